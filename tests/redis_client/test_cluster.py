"""The client with a cluster: moving slots, nodes that freeze or die, one shared request for the slot map."""

import asyncio
import time

import pytest
from redis.crc import key_slot
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from service.core.numbers import Erased
from service.redis_client import Script, open_redis_client
from tests.free_ports import free_port
from tests.redis_client.servers import cluster, eventually, opened, server
from tests.store.engines import Engine, open_stores

COUNT = Script("count", "#!lua\nreturn redis.call('INCR', KEYS[1])")
COUNT_EACH = Script(
    "count_each",
    "#!lua\nlocal all = {}\nfor i, key in ipairs(KEYS) do all[i] = redis.call('INCR', key) end\nreturn all",
)
COUNT_BOTH = Script("count_both", "#!lua\nreturn redis.call('INCR', KEYS[1]) + redis.call('INCR', KEYS[2])")
SUM = Script("sum", "#!lua\nreturn redis.call('GET', KEYS[1]) + redis.call('GET', KEYS[2])")
KEYS = [f"otp:{{{partition:x}}}:n" for partition in range(16)]


def url(nodes):
    return "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in nodes)


def node_id(node):
    return node.admin.execute_command("CLUSTER MYID")


def give_slot(slot, source, target):
    """Move an empty slot from one node to another."""
    for node in (target, source):
        node.admin.execute_command("CLUSTER SETSLOT", slot, "NODE", node_id(target))


def calls_of(node, command):
    return node.admin.info("commandstats").get(f"cmdstat_{command}", {"calls": 0})["calls"]


def redirections_of(node):
    return node.admin.info("errorstats").get("errorstat_MOVED", {"count": 0})["count"]


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    with cluster(tmp_path_factory.mktemp("pair"), (0, 8191), (8192, 16383)) as nodes:
        yield nodes


@pytest.fixture(autouse=True)
def _empty(request):
    if "pair" in request.fixturenames:
        for node in request.getfixturevalue("pair"):
            node.admin.flushall()


async def test_each_key_finds_its_node(pair):
    """Concurrent commands reach the nodes that hold their keys, without a single MOVED."""
    async with opened(url([pair[1]])) as redis:
        await redis.ping()
        for node in pair:
            node.admin.config_resetstat()
        for expected in range(1, 21):
            assert await asyncio.gather(*(redis.run(COUNT, [key], []) for key in KEYS)) == [expected] * 16
        assert [await redis.command("GET", key, key=key) for key in KEYS] == [b"20"] * 16
        assert sorted(await redis.command_on_primaries("DBSIZE")) == sorted(node.admin.dbsize() for node in pair)
        assert all("MOVED" not in str(node.admin.info("errorstats")) for node in pair)


async def test_an_operator_finds_numbers_on_all_nodes(pair):
    """A scan of a partition reaches its node: numbers of all sixteen partitions are found and erased."""
    numbers = [f"+1415555{number:04d}" for number in range(100)]
    async with open_stores(Engine("pair", url(pair), pair[0].admin)) as stores:
        one_of_each = {stores.keyring.partition(number): number for number in numbers}
        assert len(one_of_each) == 16
        for number in numbers:
            await stores.issue(to=number)
        for number in one_of_each.values():
            assert len((await stores.numbers.held(number)).verifications) == 1
            assert await stores.numbers.erase(number) == Erased(record=True, verifications=1)
        left = [number for number in numbers if await stores.numbers.held(number)]
    assert left == [number for number in numbers if number not in one_of_each.values()]


async def test_nodes_of_the_url_that_are_down_are_skipped(pair):
    """One running node in the URL is enough to find the cluster."""
    seeds = f"redis+cluster://127.0.0.1:{free_port()},127.0.0.1:{pair[0].port},127.0.0.1:{free_port()}"
    async with opened(seeds) as redis:
        assert await asyncio.gather(*(redis.run(COUNT, [key], []) for key in KEYS)) == [1] * 16


async def test_a_cluster_without_a_running_node_is_a_connection_error():
    """If no node of the URL runs, a command raises ConnectionError within its timeout."""
    async with opened(f"redis+cluster://127.0.0.1:{free_port()}") as redis:
        started = time.monotonic()
        with pytest.raises(RedisConnectionError):
            await redis.run(COUNT, ["n"], [])
        assert time.monotonic() - started < 1.5


async def test_a_server_without_cluster_mode_is_a_connection_error(tmp_path):
    """A cluster URL for a single server raises ConnectionError with the reason."""
    with server(tmp_path / "single") as node:
        async with opened(f"redis+cluster://127.0.0.1:{node.port}") as redis:
            with pytest.raises(RedisConnectionError, match="cluster support disabled"):
                await redis.ping()


async def test_moved_slots_are_followed_and_learned(pair):
    """After a slot has moved, commands succeed, run once, and soon go directly to the new node."""
    key = next(key for key in KEYS if key_slot(key.encode()) < 8192)
    slot = key_slot(key.encode())
    async with opened(url(pair)) as redis:
        await redis.ping()
        give_slot(slot, pair[0], pair[1])
        try:
            counted = await asyncio.gather(*(redis.run(COUNT, [key], []) for _ in range(100)))
            assert sorted(counted) == list(range(1, 101))
            pair[0].admin.config_resetstat()
            assert await redis.run(COUNT, [key], []) == 101
            assert "MOVED" not in str(pair[0].admin.info("errorstats"))
        finally:
            pair[1].admin.flushall()
            give_slot(slot, pair[1], pair[0])


async def test_keys_of_a_migrating_slot_are_found(pair):
    """While a slot migrates, ASK finds keys that have moved, and TRYAGAIN is repeated for keys on both nodes."""
    source, target = pair
    slot = key_slot(b"{x}")
    source, target = (source, target) if slot < 8192 else (target, source)
    async with opened(url(pair)) as redis:
        await redis.command("SET", "{x}a", 1, key="{x}a")
        await redis.command("SET", "{x}b", 2, key="{x}b")
        target.admin.execute_command("CLUSTER SETSLOT", slot, "IMPORTING", node_id(source))
        source.admin.execute_command("CLUSTER SETSLOT", slot, "MIGRATING", node_id(target))
        try:
            source.admin.execute_command("MIGRATE", "127.0.0.1", target.port, "{x}a", 0, 5000)
            counted = await asyncio.gather(*(redis.run(COUNT, ["{x}a"], []) for _ in range(50)))
            assert sorted(counted) == list(range(2, 52))
            assert calls_of(target, "asking") > 0
            both = asyncio.create_task(redis.run(SUM, ["{x}a", "{x}b"], []))
            await asyncio.sleep(0.1)
            assert not both.done()  # TRYAGAIN: one key here, one there
            source.admin.execute_command("MIGRATE", "127.0.0.1", target.port, "{x}b", 0, 5000)
            assert await both == 53
        finally:
            target.admin.flushall()
            source.admin.flushall()
            for node in pair:
                node.admin.execute_command("CLUSTER SETSLOT", slot, "STABLE")


async def test_a_slow_migration_costs_time_and_no_error(pair):
    """A script with a moved key and a new key follows ASK and TRYAGAIN for as long as the slot migrates."""
    source, target = pair
    slot = key_slot(b"{x}")
    source, target = (source, target) if slot < 8192 else (target, source)
    async with opened(url(pair), timeout_seconds=5) as redis:
        await redis.command("SET", "{x}gone", 1, key="{x}gone")
        target.admin.execute_command("CLUSTER SETSLOT", slot, "IMPORTING", node_id(source))
        source.admin.execute_command("CLUSTER SETSLOT", slot, "MIGRATING", node_id(target))
        try:
            source.admin.execute_command("MIGRATE", "127.0.0.1", target.port, "{x}gone", 0, 5000)
            moving = asyncio.create_task(redis.run(COUNT_BOTH, ["{x}gone", "{x}new"], []))
            await asyncio.wait([moving], timeout=0.6)
            assert not moving.done(), moving.exception()
            give_slot(slot, source, target)
            assert await moving == 3
        finally:
            target.admin.flushall()
            give_slot(slot, target, source)


async def test_a_migration_longer_than_the_timeout_is_an_error(pair):
    """Retries end with the timeout of the command, which then fails and has not run."""
    source, target = pair
    slot = key_slot(b"{x}")
    source, target = (source, target) if slot < 8192 else (target, source)
    async with opened(url(pair), timeout_seconds=0.5) as redis:
        await redis.command("SET", "{x}gone", 1, key="{x}gone")
        target.admin.execute_command("CLUSTER SETSLOT", slot, "IMPORTING", node_id(source))
        source.admin.execute_command("CLUSTER SETSLOT", slot, "MIGRATING", node_id(target))
        try:
            source.admin.execute_command("MIGRATE", "127.0.0.1", target.port, "{x}gone", 0, 5000)
            started = time.monotonic()
            with pytest.raises(RedisTimeoutError):
                await redis.run(COUNT_BOTH, ["{x}gone", "{x}new"], [])
            assert time.monotonic() - started < 1.5
            give_slot(slot, source, target)
            assert await redis.run(COUNT_BOTH, ["{x}gone", "{x}new"], []) == 3
        finally:
            target.admin.flushall()
            give_slot(slot, target, source)


async def test_two_nodes_that_redirect_to_each_other_are_tried_until_they_agree(pair):
    """While two nodes disagree about a slot, a command waits without an error and with few redirections."""
    source, target = pair
    slot = key_slot(b"{x}")
    source, target = (source, target) if slot < 8192 else (target, source)
    async with opened(url(pair), timeout_seconds=5) as redis:
        await redis.ping()
        try:
            source.admin.execute_command("CLUSTER SETSLOT", slot, "NODE", node_id(target))
            counting = asyncio.create_task(redis.run(COUNT, ["{x}"], []))
            await asyncio.wait([counting], timeout=0.5)
            assert not counting.done(), counting.exception()
            assert 0 < redirections_of(source) + redirections_of(target) < 100
            give_slot(slot, source, target)
            assert await counting == 1
        finally:
            target.admin.flushall()
            give_slot(slot, target, source)


async def test_keys_of_two_slots_are_refused(pair):
    """A script with keys of two slots raises ResponseError."""
    async with opened(url(pair)) as redis:
        with pytest.raises(ResponseError):
            await redis.run(SUM, [KEYS[0], KEYS[1]], [])


async def test_a_cluster_behind_one_address_is_detected(tmp_path):
    """After one CROSSSLOT for a script with keys of several slots, it runs once for each key."""
    with cluster(tmp_path, (0, 16383)) as (node,):
        async with opened(f"redis://127.0.0.1:{node.port}") as redis:
            for expected in (1, 2):
                assert await redis.run_each(COUNT_EACH, [(key, []) for key in KEYS]) == [expected] * 16
            assert node.admin.info("errorstats")["errorstat_CROSSSLOT"]["count"] == 1


async def test_a_flushed_script_is_sent_again_on_every_node(pair):
    """A node that replies NOSCRIPT gets the text of the script."""
    async with opened(url(pair)) as redis:
        for expected in (1, 2):
            assert await asyncio.gather(*(redis.run(COUNT, [key], []) for key in KEYS)) == [expected] * 16
            for node in pair:
                node.admin.script_flush()
        for expected in (3, 4):
            assert await redis.run_each(COUNT_EACH, [(key, []) for key in KEYS]) == [expected] * 16
            for node in pair:
                node.admin.script_flush()


async def test_a_frozen_node_does_not_delay_the_others(pair):
    """Commands to a frozen node time out, commands to the other node succeed."""
    frozen = [key for key in KEYS if key_slot(key.encode()) < 8192]
    lively = [key for key in KEYS if key not in frozen]
    async with opened(url(pair), timeout_seconds=0.5) as redis:
        await asyncio.gather(*(redis.run(COUNT, [key], []) for key in KEYS))
        pair[0].freeze()
        started = time.monotonic()
        stuck = asyncio.gather(*(redis.run(COUNT, [key], []) for key in frozen), return_exceptions=True)
        assert await asyncio.gather(*(redis.run(COUNT, [key], []) for key in lively)) == [2] * len(lively)
        assert time.monotonic() - started < 0.4
        assert all(isinstance(result, RedisError) for result in await stuck)
        assert time.monotonic() - started < 1
        pair[0].thaw()
        await asyncio.sleep(1)
        assert await asyncio.gather(*(redis.run(COUNT, [key], []) for key in frozen)) == [3] * len(frozen)


async def test_a_script_for_several_keys_fails_only_on_the_frozen_node(pair):
    """Keys of a frozen node get the error and the others their results; cancelling shifts no reply."""
    lively = [key for key in KEYS if key_slot(key.encode()) >= 8192]
    calls = [(key, []) for key in KEYS]
    async with opened(url(pair), timeout_seconds=0.5) as redis:
        assert await redis.run_each(COUNT_EACH, calls) == [1] * 16
        pair[0].freeze()
        try:
            results = dict(zip(KEYS, await redis.run_each(COUNT_EACH, calls), strict=True))
            assert {key: results.pop(key) for key in lively} == dict.fromkeys(lively, 2)
            assert all(isinstance(result, RedisError) for result in results.values())
            cancelled = asyncio.create_task(redis.run_each(COUNT_EACH, calls))
            await asyncio.sleep(0.1)
            cancelled.cancel()
            with pytest.raises(asyncio.CancelledError):
                await cancelled
            assert await asyncio.gather(*(redis.run(COUNT, [key], []) for key in lively)) == [4] * len(lively)
        finally:
            pair[0].thaw()
            await asyncio.sleep(1)


async def test_a_cancelled_caller_does_not_cancel_the_slot_map_of_others(pair):
    """All commands share one request for the slot map, and cancelling one of them does not end it."""
    async with opened(url(pair)) as redis:
        calls = [asyncio.create_task(redis.run(COUNT, [key], [])) for key in KEYS]
        await asyncio.sleep(0)
        calls[0].cancel()
        assert await asyncio.gather(*calls[1:]) == [1] * 15


async def test_closing_during_the_first_commands_ends_them(pair):
    """Closing while the slot map is requested fails all commands with ConnectionError."""
    redis = await open_redis_client(url(pair), client_name="tests")
    calls = [asyncio.create_task(redis.run(COUNT, [key], [])) for key in KEYS]
    await asyncio.sleep(0)
    await redis.close()
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(result) for result in results} == {RedisConnectionError}
    with pytest.raises(RedisConnectionError):
        await redis.ping()


@pytest.mark.slow
async def test_a_replica_takes_over_in_the_cluster(tmp_path):
    """After a primary was killed and its replica promoted, commands reach the new primary."""
    with cluster(tmp_path, (0, 16383), (1, 0)) as (primary, replica):
        replica.admin.execute_command("CLUSTER REPLICATE", node_id(primary))
        eventually(lambda: replica.admin.info("replication").get("master_link_status") == "up")
        async with opened(url([primary, replica])) as redis:
            assert await redis.run(COUNT, ["n"], []) == 1
            eventually(lambda: replica.admin.info("replication")["slave_repl_offset"] > 0)
            primary.kill()
            replica.admin.execute_command("CLUSTER FAILOVER", "TAKEOVER")
            deadline = time.monotonic() + 5
            while True:
                try:
                    assert await redis.run(COUNT, ["n"], []) >= 1
                    break
                except RedisConnectionError:
                    assert time.monotonic() < deadline
                    await asyncio.sleep(0.05)
