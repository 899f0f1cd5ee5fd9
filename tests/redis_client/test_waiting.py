"""Waiting for replicas: what is reported as replicated is there, and nothing else is."""

import asyncio

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoPermissionError, ReadOnlyError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from service.redis_client import Script, WaitPolicy
from tests.redis_client.servers import cluster, eventually, opened, replicated_server, server

WRITE = Script("write", "#!lua\nredis.call('SET', KEYS[1], ARGV[1])\nreturn ARGV[1]")
BROKEN = Script("broken", "#!lua\nreturn redis.call('INCR', KEYS[1])")
POLICY = WaitPolicy(replicas=1, wait_ms=1000)


@pytest.fixture(scope="module")
def replicated(tmp_path_factory):
    """Run a primary and its replica for all tests of this file."""
    folder = tmp_path_factory.mktemp("waiting")
    with replicated_server(folder) as nodes:
        yield nodes


def rounds(primary):
    """Return how often WAIT has run."""
    return primary.admin.info("commandstats").get("cmdstat_wait", {"calls": 0})["calls"]


async def test_what_is_reported_as_replicated_is_on_the_replica(replicated):
    """The script's own write is there, and what other connections wrote before it."""
    primary, replica = replicated
    async with opened(primary.url, wait=POLICY) as redis:
        await redis.command("SET", "before", "1")
        assert await redis.run_and_wait(WRITE, ["k"], ["v"]) == (b"v", True)
        assert (replica.admin.get("before"), replica.admin.get("k")) == (b"1", b"v")


async def test_a_frozen_replica_is_not_counted(replicated):
    """The script has run, and is reported as not replicated; once the replica goes on, writes are again."""
    primary, replica = replicated
    async with opened(primary.url, wait=POLICY) as redis:
        replica.freeze()
        try:
            assert await redis.run_and_wait(WRITE, ["k"], ["late"]) == (b"late", False)
            assert await redis.command("GET", "k") == b"late", "the other connection does not wait"
        finally:
            replica.thaw()
        assert await redis.run_and_wait(WRITE, ["k"], ["v"]) == (b"v", True)


async def test_scripts_that_arrive_during_a_round_share_the_next_one(replicated):
    """A hundred scripts at once take two rounds at most; an error is that of its own script only."""
    primary, _ = replicated
    async with opened(primary.url, wait=POLICY) as redis:
        await redis.run_and_wait(WRITE, ["k"], ["text"])
        for name in ("a", "b"):
            await asyncio.gather(redis.run_and_wait(BROKEN, [name], []))  # from now on the server knows the script
        before = rounds(primary)
        calls = [redis.run_and_wait(WRITE, [f"k{each}"], [each]) for each in range(100)]
        *written, failure = await asyncio.gather(*calls, redis.run_and_wait(BROKEN, ["k"], []), return_exceptions=True)
    assert written == [(str(each).encode(), True) for each in range(100)]
    assert isinstance(failure, ResponseError)
    assert rounds(primary) - before <= 2


async def test_equal_commands_share_one_write(replicated):
    """Of a hundred equal commands at once two run at most, and all are replicated; other commands are written too."""
    primary, replica = replicated
    async with opened(primary.url, wait=POLICY) as redis:
        before = primary.admin.info("commandstats")["cmdstat_incr"]["calls"] if primary.admin.incr("n") else 0
        written = await asyncio.gather(*(redis.command_and_wait("INCR", "n", key="n") for _ in range(100)))
        other = await redis.command_and_wait("SET", "other", "1", key="other")
    assert all(each.is_replicated for each in (*written, other))
    assert primary.admin.info("commandstats")["cmdstat_incr"]["calls"] - before <= 2
    assert replica.admin.get("other") == b"1"


async def test_a_command_is_left_out_if_the_replicas_followed_a_moment_ago(replicated):
    """A round that ended well answers for it; one that failed, or one of an earlier connection, does not."""
    primary, replica = replicated
    async with opened(primary.url, wait=POLICY) as redis:
        command = ("SET", "left", "out")

        async def is_written():
            primary.admin.delete("left")
            assert (await redis.command_and_wait(*command, key="left", unless_within=30)).is_replicated
            return primary.admin.exists("left") == 1

        assert await is_written()
        assert not await is_written()
        redis._waits.renew_connections()
        assert await is_written()
        with pytest.raises(ResponseError):
            await redis.run_and_wait(Script("fails", "#!lua\nreturn redis.call('NONE')"), ["k"], [])
        assert await is_written()
        replica.freeze()
        try:
            assert not (await redis.run_and_wait(WRITE, ["k"], ["late"])).is_replicated
            assert not (await redis.command_and_wait(*command, key="left", unless_within=30)).is_replicated
        finally:
            replica.thaw()


async def test_a_cancelled_caller_does_not_disturb_the_round(replicated):
    """Others of the same round have their own results."""
    primary, _ = replicated
    async with opened(primary.url, wait=POLICY) as redis:
        await redis.run_and_wait(WRITE, ["k"], ["0"])
        calls = [asyncio.create_task(redis.run_and_wait(WRITE, [f"k{each}"], [each])) for each in range(3)]
        await asyncio.sleep(0)
        calls[1].cancel()
        assert [await calls[0], await calls[2]] == [(b"0", True), (b"2", True)]


async def test_of_a_caller_that_has_gone_before_its_round_nothing_runs(replicated):
    """What is cancelled while it waits for a round of others is not written in the next one."""
    primary, replica = replicated
    async with opened(primary.url, wait=POLICY) as redis:
        await redis.run_and_wait(WRITE, ["k"], ["0"])
        replica.freeze()
        try:
            first = asyncio.create_task(redis.run_and_wait(WRITE, ["k"], ["1"]))
            await asyncio.to_thread(eventually, lambda: primary.admin.get("k") == b"1")
            gone = asyncio.create_task(redis.run_and_wait(WRITE, ["gone"], ["1"]))
            await asyncio.sleep(0)
            gone.cancel()
            await first
        finally:
            replica.thaw()
        assert (await redis.run_and_wait(WRITE, ["k"], ["2"])).is_replicated
    assert not primary.admin.exists("gone")


async def test_a_call_ends_in_time_also_behind_a_round_that_is_not_answered(tmp_path):
    """A frozen server: two calls, of which one waits for the round of the other, end together, not after each other."""
    with server(tmp_path) as frozen:
        policy = WaitPolicy(replicas=0, wait_ms=10)
        async with opened(frozen.url, wait=policy, timeout_seconds=4) as redis:
            await redis.run_and_wait(WRITE, ["k"], ["0"])
            frozen.freeze()
            calls = [asyncio.create_task(redis.run_and_wait(WRITE, ["k"], ["1"]))]
            await asyncio.sleep(0.2)
            began = asyncio.get_running_loop().time()
            calls.append(asyncio.create_task(redis.command_and_wait("SET", "k", "2", key="k")))
            assert all(
                isinstance(each, RedisTimeoutError) for each in await asyncio.gather(*calls, return_exceptions=True)
            )
            assert asyncio.get_running_loop().time() - began < 6  # two rounds in turn would take 8 s
            frozen.thaw()


async def test_a_lost_connection_fails_the_round(replicated):
    """What ran before the loss is not reported as replicated; the next round has a new connection."""
    primary, replica = replicated
    async with opened(primary.url, wait=WaitPolicy(1, 5000)) as redis:
        await redis.run_and_wait(WRITE, ["k"], ["0"])
        replica.freeze()
        try:
            call = asyncio.create_task(redis.run_and_wait(WRITE, ["k"], ["1"]))
            await asyncio.to_thread(eventually, lambda: primary.admin.get("k") == b"1")
            primary.admin.client_kill_filter(_type="normal", skipme=True)
            with pytest.raises(RedisConnectionError):
                await call
        finally:
            replica.thaw()
        assert await redis.run_and_wait(WRITE, ["k"], ["2"]) == (b"2", True)


async def test_a_node_that_becomes_a_replica_reports_nothing_as_replicated(replicated):
    """WAIT ends with an error when the node is demoted, so the script's write counts as not replicated."""
    primary, replica = replicated
    async with opened(primary.url, wait=WaitPolicy(1, 5000)) as redis:
        await redis.run_and_wait(WRITE, ["k"], ["0"])
        replica.freeze()
        try:
            call = asyncio.create_task(redis.run_and_wait(WRITE, ["k"], ["1"]))
            await asyncio.to_thread(eventually, lambda: primary.admin.get("k") == b"1")
            primary.admin.replicaof("127.0.0.1", 1)
            assert await call == (b"1", False)
        finally:
            primary.admin.replicaof("NO", "ONE")
            replica.thaw()
        await asyncio.to_thread(eventually, lambda: primary.admin.info("replication")["connected_slaves"] == 1)


async def test_a_replica_is_named_as_the_cause(replicated):
    """A node that is a replica by now refuses the script and WAIT: the script's own error is told, not that of WAIT."""
    primary, _ = replicated
    async with opened(primary.url, wait=POLICY) as redis:
        await redis.run_and_wait(WRITE, ["k"], ["0"])
        primary.admin.replicaof("127.0.0.1", 1)
        try:
            with pytest.raises(ReadOnlyError):
                await redis.run_and_wait(WRITE, ["k"], ["1"])
        finally:
            primary.admin.replicaof("NO", "ONE")
    await asyncio.to_thread(eventually, lambda: primary.admin.info("replication")["connected_slaves"] == 1)


async def test_a_missing_permission_is_named(replicated):
    """A user that may not WAIT gets that error, and waits for nothing in vain."""
    primary, _ = replicated
    primary.admin.execute_command("ACL", "SETUSER", "otp", "on", ">p", "~*", "+@all", "-wait")
    async with opened(f"redis://otp:p@127.0.0.1:{primary.port}", wait=POLICY) as redis:
        with pytest.raises(NoPermissionError):
            await redis.run_and_wait(WRITE, ["k"], ["0"])


async def test_a_client_without_the_option_refuses(replicated):
    """Nobody believes to have waited: the call is an error."""
    primary, _ = replicated
    async with opened(primary.url) as redis:
        with pytest.raises(ValueError, match="waits for no replicas"):
            await redis.run_and_wait(WRITE, ["k"], ["0"])
        with pytest.raises(ValueError, match="waits for no replicas"):
            await redis.command_and_wait("SET", "k", "0", key="k")


async def test_a_slot_that_moves_is_followed(tmp_path):
    """In a cluster the script runs on the node that has its key, also while and after its slot moves."""
    with cluster(tmp_path, (0, 8191), (8192, 16383)) as (first, second):
        slot = first.admin.execute_command("CLUSTER KEYSLOT", "k")
        source, target = (first, second) if slot < 8192 else (second, first)
        source_id, target_id = (each.admin.execute_command("CLUSTER MYID") for each in (source, target))
        async with opened(f"redis+cluster://127.0.0.1:{first.port}", wait=WaitPolicy(0, 10)) as redis:
            assert (await redis.run_and_wait(WRITE, ["k"], ["0"])).is_replicated
            target.admin.execute_command("CLUSTER SETSLOT", slot, "IMPORTING", source_id)
            source.admin.execute_command("CLUSTER SETSLOT", slot, "MIGRATING", target_id)
            source.admin.execute_command("MIGRATE", "127.0.0.1", target.port, "k", 0, 1000)
            assert (await redis.run_and_wait(WRITE, ["k"], ["asked"])).result == b"asked"
            for node in (target, source):
                node.admin.execute_command("CLUSTER SETSLOT", slot, "NODE", target_id)
            assert (await redis.run_and_wait(WRITE, ["k"], ["moved"])).result == b"moved"
            assert target.admin.get("k") == b"moved"


async def test_a_promoted_replica_is_followed(tmp_path):
    """After a failover of a cluster the first wait runs on the new primary, although the old one still replies."""
    with cluster(tmp_path, (0, 16383), (1, 0)) as (primary, replica):
        replica.admin.execute_command("CLUSTER REPLICATE", primary.admin.execute_command("CLUSTER MYID"))
        eventually(lambda: replica.admin.info("replication").get("master_link_status") == "up")
        async with opened(f"redis+cluster://127.0.0.1:{primary.port}", wait=WaitPolicy(0, 10)) as redis:
            await redis.run_and_wait(WRITE, ["k"], ["0"])
            replica.admin.execute_command("CLUSTER FAILOVER", "TAKEOVER")
            await asyncio.to_thread(eventually, lambda: primary.admin.info("replication")["role"] == "slave")
            assert (await redis.run_and_wait(WRITE, ["k"], ["moved"])).result == b"moved"
            assert replica.admin.get("k") == b"moved"
