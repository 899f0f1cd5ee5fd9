"""The promises of `service.store.error_counts`: no store error is lost while its process lives."""

import pytest

from service.core.store_health import StoreUnavailable
from service.store.error_counts import counted_errors
from service.store.ledgers import RedisStats
from service.store.scripts import Scripts
from tests.conftest import eventually
from tests.redis_client.servers import opened, server


@pytest.fixture
def node(tmp_path):
    """Run a server whose memory can fill up."""
    with server(tmp_path / "redis") as running:
        yield running


async def fail(scripts, *, times):
    """Make calls that must fail."""
    for _ in range(times):
        with pytest.raises(StoreUnavailable):
            await scripts.run("count", ["otp:{0}:stats"], ["x", 1])


async def test_errors_are_written_once_redis_accepts_writes(node):
    """Errors while Redis was full are later counted by cause in Redis, and no longer in the process."""
    async with opened(node.url) as client:
        scripts = Scripts(client)
        async with counted_errors(scripts) as errors:
            node.admin.config_set("maxmemory", 1)
            await fail(scripts, times=3)
            assert errors.unwritten["out_of_memory"] >= 3
            seen = dict(errors.unwritten)
            node.admin.config_set("maxmemory", 0)
            assert await eventually(lambda: not errors.unwritten, seconds=15)
            totals = await RedisStats(scripts).totals()
    assert totals["store_error:out_of_memory"] >= seen["out_of_memory"]
    assert all(node.admin.ttl(key) > 0 for key in node.admin.scan_iter())


async def test_remaining_counts_are_written_at_the_end(node):
    """A process that stops before the next try writes its remaining counts."""
    async with opened(node.url) as client:
        scripts = Scripts(client)
        async with counted_errors(scripts):
            node.admin.config_set("maxmemory", 1)
            await fail(scripts, times=2)
            node.admin.config_set("maxmemory", 0)
        assert await RedisStats(scripts).totals() == {"store_error:out_of_memory": 2}


async def test_an_error_in_all_partitions_counts_once(node):
    """A failed call over sixteen keys counts as one failed call."""
    async with opened(node.url) as client:
        scripts = Scripts(client)
        async with counted_errors(scripts) as errors:
            node.admin.config_set("maxmemory", 1)
            results = await scripts.run_each("health", [(f"otp:{{{p:x}}}:health", ("hset",)) for p in range(16)])
            assert len({id(result) for result in results}) == 1
            assert errors.unwritten == {"out_of_memory": 1}
            node.admin.config_set("maxmemory", 0)
