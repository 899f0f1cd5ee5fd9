"""What the fault tests share: real service processes, and a Redis of a test's own that it may freeze, fill and kill."""

import pytest

from tests.attacks.processes import launcher
from tests.redis_client.servers import server


@pytest.fixture
async def launch(tmp_path):
    """Give a function that starts one service process; all end with the test."""
    async with launcher(tmp_path) as start_process:
        yield start_process


@pytest.fixture
def own_redis(tmp_path):
    """Run a server that belongs to the test alone."""
    with server(tmp_path / "redis") as running:
        yield running


@pytest.fixture
def pending(redis):
    """Give the outbox: `pending()` reads what the shared Redis says is pending."""
    return Outbox(redis)


class Outbox:
    """The entries of the outbox in all partitions."""

    def __init__(self, redis):
        self._redis = redis

    def __call__(self):
        """Read what is pending: SID -> due time (ms), the end of its lease when it is leased."""
        return {sid: int(due) for _, sid, due in self._entries()}

    def end_leases(self):
        """Make every entry due now, as when its lease had run out."""
        for key, sid, _ in self._entries():
            self._redis.zadd(key, {sid: 1}, xx=True)

    def _entries(self):
        for key in self._redis.scan_iter("otp:*:outbox"):
            for sid, due in self._redis.zrange(key, 0, -1, withscores=True):
                yield key, sid.decode(), due
