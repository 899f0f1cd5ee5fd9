"""Shared by the fault tests: service processes, and a test's own Redis that it may suspend, fill and kill."""

import pytest

from tests.attacks.processes import launcher
from tests.redis_client.servers import server


@pytest.fixture
async def launch(tmp_path):
    """Return a function that starts a service process; all end with the test."""
    async with launcher(tmp_path) as start_process:
        yield start_process


@pytest.fixture
def own_redis(tmp_path):
    """Run a Redis server for this test only."""
    with server(tmp_path / "redis") as running:
        yield running


@pytest.fixture
def pending(redis):
    """Return the outbox: `pending()` reads what is pending in the shared Redis."""
    return Outbox(redis)


class Outbox:
    """The entries of the outbox in all partitions."""

    def __init__(self, redis):
        self._redis = redis

    def __call__(self):
        """Return what is pending: SID -> due time (ms), which is the end of the lease for a leased entry."""
        return {sid: int(due) for _, sid, due in self._entries()}

    def end_leases(self):
        """Make every entry due now, as if its lease had expired."""
        for key, sid, _ in self._entries():
            self._redis.zadd(key, {sid: 1}, xx=True)

    def _entries(self):
        for key in self._redis.scan_iter("otp:*:outbox"):
            for sid, due in self._redis.zrange(key, 0, -1, withscores=True):
                yield key, sid.decode(), due
