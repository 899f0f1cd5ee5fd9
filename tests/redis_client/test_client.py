"""A client with one server: order of replies, timeouts, lost connections, scripts. The servers are real processes."""

import asyncio
import contextlib
import hashlib
import random
import shutil
import socket
import time
from inspect import signature

import pytest
import uvloop
from redis.exceptions import AuthenticationError, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from service.redis_client import EventLoopLate, Script
from service.redis_client.node import COMMANDS_PER_WRITE, MAX_COMMANDS_IN_FLIGHT
from service.redis_client.resp import pack
from tests.redis_client.proxy import Proxy
from tests.redis_client.servers import eventually, opened, server

ECHO = Script("echo", "#!lua\nreturn {KEYS[1], ARGV[1]}")
COUNT = Script("count", "#!lua\nreturn redis.call('INCR', KEYS[1])")
PUT_EACH = Script(
    "put_each",
    "#!lua\nlocal all = {}\nfor i, key in ipairs(KEYS) do all[i] = redis.call('APPEND', key, ARGV[i]) end\nreturn all",
)


@pytest.fixture
def node(tmp_path):
    with server(tmp_path / "redis", "--enable-debug-command", "local") as running:
        yield running


@pytest.fixture
async def redis(node):
    async with opened(node.url) as client:
        yield client


@pytest.fixture
async def patient(node):
    """Open a client with a long timeout, for tests that are not about time: the machine may be busy."""
    async with opened(node.url, timeout_seconds=20) as client:
        yield client


async def outcomes(calls):
    return await asyncio.gather(*calls, return_exceptions=True)


def kinds(results):
    return {type(result) for result in results}


def is_idle(client):
    return not any(client._nodes._queues())


async def test_each_of_5000_concurrent_calls_gets_its_own_reply(patient):
    """Of many commands in flight each gets its own reply."""
    replies = await asyncio.gather(*(patient.run(ECHO, [f"{{{n}}}"], [n]) for n in range(5000)))
    assert replies == [[b"{%d}" % n, b"%d" % n] for n in range(5000)]
    assert is_idle(patient)


async def test_cancelled_calls_leave_no_reply_to_others(patient, node):
    """Cancelled commands disturb no other command, and those that were not written never run."""
    await patient.run(COUNT, ["early"], [])
    draw = random.Random(7)
    early = [asyncio.create_task(patient.run(COUNT, ["early"], [])) for _ in range(COMMANDS_PER_WRITE - 1)]
    await asyncio.sleep(0)  # all are queued and none is written
    for task in early:
        task.cancel()
    calls = [asyncio.create_task(patient.run(ECHO, ["{1}"], [n])) for n in range(5000)]
    node.freeze()
    await asyncio.sleep(0.05)  # all are written and none has a reply
    cancelled = set(draw.sample(range(5000), 2000))
    for n in cancelled:
        calls[n].cancel()
    node.thaw()
    replies = await outcomes(calls)
    assert [n for n in range(5000) if isinstance(replies[n], asyncio.CancelledError)] == sorted(cancelled)
    assert all(replies[n] == [b"{1}", b"%d" % n] for n in range(5000) if n not in cancelled)
    assert await patient.command("GET", "early") == b"1"
    assert is_idle(patient)


async def test_calls_cancelled_at_random_moments_do_not_shift_replies(patient):
    """When callers cancel at random moments, each remaining command still gets its own reply."""
    draw = random.Random(11)

    async def impatient(n):
        async with asyncio.timeout(draw.choice([None, draw.uniform(0, 0.02)])):
            assert await patient.run(ECHO, ["{1}"], [n]) == [b"{1}", b"%d" % n]

    for _ in range(5):
        results = await outcomes(impatient(n) for n in range(1000))
        assert kinds(results) == {type(None), TimeoutError}
    assert await patient.command("ECHO", "still in step") == b"still in step"
    assert is_idle(patient)


async def test_commands_to_a_frozen_server_end_in_time_and_run_at_most_once(redis, node):
    """Commands to a frozen Redis time out; when it resumes, it runs each written command once and no unwritten one."""
    await redis.run(COUNT, ["written"], [])
    node.freeze()
    started = time.monotonic()
    results = await outcomes(redis.run(COUNT, ["written"], []) for _ in range(50))
    assert kinds(results) == {RedisTimeoutError}
    assert 0.9 < time.monotonic() - started < 1.5
    started = time.monotonic()
    late = await outcomes(redis.run(COUNT, ["held back"], []) for _ in range(50))
    assert kinds(late) <= {RedisTimeoutError, RedisConnectionError}
    assert time.monotonic() - started < 1.5
    node.thaw()
    eventually(lambda: node.admin.get("written") == b"51")
    await asyncio.sleep(0.6)
    assert await redis.run(COUNT, ["written"], []) == 52
    assert await redis.command("GET", "held back") is None


async def test_a_short_stall_keeps_the_connection(redis, node):
    """A server that stalls for less than the timeout replies to every command on the same connection."""
    before = await redis.command("CLIENT", "ID")
    node.freeze()
    calls = asyncio.gather(*(redis.run(COUNT, ["n"], []) for _ in range(100)))
    await asyncio.sleep(0.5)
    node.thaw()
    assert await calls == list(range(1, 101))
    assert await redis.command("CLIENT", "ID") == before


async def test_a_silent_connection_is_replaced(node):
    """A connection without input and without an end is closed, and a new one works."""
    async with Proxy(node.port) as proxy, opened(proxy.url, timeout_seconds=0.3) as redis:
        await redis.ping()
        proxy.drops_replies = True
        with pytest.raises(RedisTimeoutError):
            await redis.command("INCR", "n")
        proxy.drops_replies = False
        await asyncio.sleep(0.5)
        assert await redis.command("INCR", "n") == 2
        assert proxy.connections == 2


async def test_an_idle_connection_closed_by_the_server_is_replaced_without_an_error(redis, node):
    """CLIENT KILL between two commands, 50 times, makes no command fail, although the next one follows at once."""
    for n in range(1, 51):
        assert await redis.run(COUNT, ["n"], []) == n
        assert node.admin.client_kill_filter(_type="normal", skipme=True) == 1


async def test_an_idle_connection_past_the_servers_timeout_is_replaced_without_an_error(redis, node):
    """The server's idle timeout makes no command fail."""
    node.admin.config_set("timeout", 1)
    await redis.ping()
    node.admin.connection_pool.disconnect()
    await asyncio.sleep(2.5)
    await redis.ping()


async def test_commands_whose_replies_were_lost_fail_and_are_not_repeated(node):
    """If the connection is lost after Redis ran a script, the caller gets ConnectionError and the script ran once."""
    async with Proxy(node.port) as proxy, opened(proxy.url) as redis:
        await redis.run(COUNT, ["n"], [])
        proxy.drops_replies = True
        calls = asyncio.gather(*(redis.run(COUNT, ["n"], []) for _ in range(100)), return_exceptions=True)
        await asyncio.to_thread(eventually, lambda: node.admin.get("n") == b"101")
        proxy.drops_replies = False
        proxy.cut()
        assert kinds(await calls) == {RedisConnectionError}
        assert await redis.run(COUNT, ["n"], []) == 102
        assert is_idle(redis)


async def test_commands_fail_fast_while_redis_is_down_and_work_again_within_a_second(redis, node):
    """After kill -9 all commands fail quickly with ConnectionError; after a restart they work again."""
    await redis.ping()
    node.kill()
    started = time.monotonic()
    assert kinds(await outcomes(redis.ping() for _ in range(200))) == {RedisConnectionError}
    for _ in range(20):
        with pytest.raises(RedisConnectionError):
            await redis.ping()
        await asyncio.sleep(0.02)
    assert time.monotonic() - started < 1.5
    node.start()
    node.admin.ping()
    started = time.monotonic()
    while kinds(await outcomes([redis.run(ECHO, ["{1}"], ["x"])])) == {RedisConnectionError}:
        assert time.monotonic() - started < 1
        await asyncio.sleep(0.02)


async def test_commands_in_flight_at_kill_fail_with_connection_error(redis, node):
    """Commands in flight do not wait for a server that was killed."""
    await redis.ping()
    node.freeze()
    calls = asyncio.gather(*(redis.run(COUNT, ["n"], []) for _ in range(100)), return_exceptions=True)
    await asyncio.sleep(0.05)
    started = time.monotonic()
    node.kill()
    assert kinds(await calls) == {RedisConnectionError}
    assert time.monotonic() - started < 0.3


async def test_many_commands_make_one_connection_attempt():
    """A thousand commands to a server that closes connections make one attempt; a pause follows each failure."""
    attempts, all_sent = [], asyncio.Event()

    async def close(_reader, writer):
        attempts.append(writer)
        await all_sent.wait()
        writer.transport.abort()

    listener = await asyncio.start_server(close, "127.0.0.1", 0)
    url = f"redis://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    async with listener, opened(url, timeout_seconds=20) as redis:
        commands = []
        for _ in range(50):
            commands += [asyncio.create_task(redis.ping()) for _ in range(20)]
            await asyncio.sleep(0.001)
        all_sent.set()
        assert kinds(await outcomes(commands)) == {RedisConnectionError}
        assert len(attempts) == 1
        started = time.monotonic()
        for _ in range(100):
            assert kinds(await outcomes([redis.ping()])) == {RedisConnectionError}
            await asyncio.sleep(0.005)
        # Each pause is at least half of 0.05, 0.1, 0.2, 0.4, 0.5, 0.5 … seconds.
        assert 1 < len(attempts) <= 6 + (time.monotonic() - started) / 0.25


async def test_a_flushed_script_is_sent_again(redis, node):
    """After SCRIPT FLUSH and after a restart, 100 concurrent scripts succeed and each runs once."""
    await redis.run(COUNT, ["n"], [])
    node.admin.script_flush()
    assert sorted(await asyncio.gather(*(redis.run(COUNT, ["n"], []) for _ in range(100)))) == list(range(2, 102))
    node.kill()
    node.start()
    assert sorted(await asyncio.gather(*(redis.run(COUNT, ["n"], []) for _ in range(100)))) == list(range(1, 101))


async def test_a_script_for_several_keys_returns_in_order_or_fails_as_a_whole(redis, node):
    """Each key gets its result in order, a flushed script is sent again, and an error is the result of every key."""
    for expected in ([2, 1, 3], [4, 2, 6]):
        node.admin.script_flush()
        assert await redis.run_each(PUT_EACH, [("a", ["xx"]), ("b", ["x"]), ("c", ["xxx"])]) == expected
    assert node.admin.info("commandstats")["cmdstat_eval"]["calls"] == 2
    assert await redis.run_each(PUT_EACH, []) == []
    node.admin.delete("b")
    node.admin.hset("b", "no", "string")
    assert kinds(await redis.run_each(PUT_EACH, [("a", ["x"]), ("b", ["x"])])) == {ResponseError}
    assert is_idle(redis)


async def test_a_script_for_several_keys_raises_nothing(redis):
    """A closed client raises nothing: the result of each key is the error."""
    await redis.ping()
    await redis.close()
    assert kinds(await redis.run_each(PUT_EACH, [("a", ["x"]), ("b", ["x"])])) == {RedisConnectionError}


async def test_a_script_for_several_keys_can_be_cancelled(redis, node):
    """Cancelling `run_each` cancels its commands, and the next command gets its own reply."""
    await redis.run(COUNT, ["n"], [])
    node.freeze()
    calls = asyncio.create_task(redis.run_each(PUT_EACH, [("m", ["x"]), ("m", ["x"])]))
    await asyncio.sleep(0.05)
    calls.cancel()
    assert kinds(await outcomes([calls])) == {asyncio.CancelledError}
    assert all(reply.cancelled() for queue in redis._nodes._queues() for reply, _, _ in queue)
    node.thaw()
    assert await redis.run(COUNT, ["n"], []) == 2


async def test_a_known_script_is_one_command(redis, node):
    """A script that the server knows costs one EVALSHA and nothing else."""
    await redis.run(COUNT, ["n"], [])
    node.admin.config_resetstat()
    await asyncio.gather(*(redis.run(COUNT, ["n"], []) for _ in range(100)))
    stats = {name: fields["calls"] for name, fields in node.admin.info("commandstats").items()}
    stats.pop("cmdstat_config|resetstat", None)
    stats.pop("cmdstat_info", None)
    assert stats == {"cmdstat_evalsha": 100, "cmdstat_incr": 100}


async def test_concurrent_commands_share_writes_and_one_round_trip(node):
    """Over a slow connection 500 commands take about as long as one; fewer than a full write leave in one write."""
    async with Proxy(node.port) as proxy, opened(proxy.url) as redis:
        await redis.ping()
        proxy.delay_seconds = 0.1
        chunks_before, started = proxy.chunks, time.monotonic()
        await asyncio.gather(*(redis.command("ECHO", n) for n in range(500)))
        assert time.monotonic() - started < 10  # one after another they would take 100 s
        assert proxy.chunks - chunks_before <= 500 / COMMANDS_PER_WRITE + 1
        chunks_before = proxy.chunks
        await asyncio.gather(*(redis.command("ECHO", n) for n in range(COMMANDS_PER_WRITE - 1)))
        assert proxy.chunks - chunks_before == 1


async def test_a_full_write_does_not_wait_for_the_event_loop(redis, node):
    """Redis runs the first commands of a burst while the event loop still queues the others."""
    await redis.ping()
    node.admin.config_resetstat()
    calls = [redis._nodes.send(pack((b"ECHO", n))) for n in range(COMMANDS_PER_WRITE + 3)]

    def echoed():  # blocks, so the event loop does not run
        return node.admin.info("commandstats").get("cmdstat_echo", {"calls": 0})["calls"]

    deadline = time.monotonic() + 5
    while echoed() < COMMANDS_PER_WRITE and time.monotonic() < deadline:
        pass
    assert echoed() == COMMANDS_PER_WRITE
    assert await asyncio.gather(*calls) == [b"%d" % n for n in range(COMMANDS_PER_WRITE + 3)]


async def test_commands_in_flight_are_bounded(redis, node):
    """Beyond a bound a command fails at once, so that a frozen server cannot exhaust the memory."""
    await redis.ping()
    node.freeze()
    calls = [asyncio.create_task(redis.ping()) for _ in range(MAX_COMMANDS_IN_FLIGHT)]
    await asyncio.sleep(0.1)
    with pytest.raises(RedisConnectionError, match="too many commands in flight"):
        await redis.ping()
    node.thaw()
    assert kinds(await outcomes(calls)) == {type(None)}
    await redis.ping()


async def test_close_fails_what_is_pending_and_what_comes_later(redis, node):
    """After closing no caller waits and no socket is open; closing again does nothing."""
    await redis.ping()
    node.freeze()
    calls = asyncio.gather(*(redis.ping() for _ in range(10)), return_exceptions=True)
    await asyncio.sleep(0.05)
    await redis.close()
    await redis.close()
    assert kinds(await calls) == {RedisConnectionError}
    with pytest.raises(RedisConnectionError, match="closed"):
        await redis.ping()
    node.thaw()
    eventually(lambda: node.admin.info("clients")["connected_clients"] == 1)


async def test_close_ends_an_attempt_to_connect(node):
    """Closing does not wait for a server that accepts the connection and never replies."""
    node.freeze()
    async with opened(node.url) as redis:
        call = asyncio.create_task(redis.ping())
        await asyncio.sleep(0.05)
        started = time.monotonic()
        await redis.close()
        assert time.monotonic() - started < 0.3
        assert kinds(await outcomes([call])) == {RedisConnectionError}


def without_primary(node):
    node.admin.replicaof("127.0.0.1", 1)


def without_replicas(node):
    node.admin.config_set("min-replicas-to-write", 1)


def without_disk(node):
    node.admin.config_set("save", "3600 1")
    shutil.rmtree(node.folder)
    node.admin.bgsave()
    eventually(lambda: node.admin.info("persistence")["rdb_last_bgsave_status"] == "err")


@pytest.mark.parametrize("refuse_writes", [without_primary, without_replicas, without_disk])
async def test_a_node_that_takes_no_writes_any_more_gets_a_new_connection(redis, node, refuse_writes):
    """The caller gets the error once, and the next command connects anew: the name may belong to another node now."""
    before = await redis.command("CLIENT", "ID")
    await asyncio.sleep(0.6)
    refuse_writes(node)
    with pytest.raises(ResponseError):
        await redis.run(COUNT, ["n"], [])
    assert await redis.command("CLIENT", "ID") > before
    after = await redis.command("CLIENT", "ID")
    with pytest.raises(ResponseError):
        await redis.command("SET", "n", 1)
    assert await redis.command("CLIENT", "ID") == after  # new: a permanent replica does not get one per command


async def test_a_refusal_that_a_proxy_passes_on_as_another_error_counts_too(redis):
    """`-ERR READONLY …`, as some providers write it, gets a new connection too."""
    refused = Script("refused", "#!lua\nreturn redis.error_reply('ERR READONLY You can not write against a replica.')")
    before = await redis.command("CLIENT", "ID")
    await asyncio.sleep(0.6)
    with pytest.raises(ResponseError):
        await redis.run(refused, ["n"], [])
    assert await redis.command("CLIENT", "ID") > before


async def test_errors_of_redis_and_of_scripts_are_response_errors(redis):
    """The error that Redis sends reaches only its own caller, with the text of Redis."""
    broken = Script("broken", "#!lua\nreturn redis.call('INCR', KEYS[1])")
    await redis.command("RPUSH", "list", "x")
    results = await outcomes(
        [redis.ping(), redis.command("GET", "list"), redis.run(broken, ["list"], []), redis.ping()]
    )
    assert [isinstance(result, ResponseError) for result in results] == [False, True, True, False]
    assert "WRONGTYPE" in str(results[1])


async def test_replies_come_as_redis_sent_them(redis):
    """Replies are bytes, numbers, None and nested lists; arguments are bytes, str or int and nothing else."""
    script = Script("types", "#!lua\nreturn {1, 'a', {}, {false, ARGV[1]}}")
    assert await redis.run(script, [], [b"\r\n\x00\xff"]) == [1, b"a", [], [None, b"\r\n\x00\xff"]]
    assert await redis.command("GET", "nothing", key="nothing") is None
    assert await redis.command_on_primaries("DBSIZE") == [0]
    long = b"x" * 3_000_000
    await redis.command("SET", "long", long)
    assert await redis.command("GET", "long") == long
    with pytest.raises(TypeError):
        await redis.command("SET", "n", None)


async def test_a_server_that_is_not_redis_is_a_connection_error():
    """Garbage, unrequested replies and a sudden end are each a ConnectionError at once."""
    for greeting in (b"HTTP/1.1 400 Bad Request\r\n\r\n", b"+OK\r\n+OK\r\n+OK\r\n", b"", b"$-x\r\n"):

        async def greet(_reader, writer, greeting=greeting):
            writer.write(greeting)
            try:
                await asyncio.sleep(0.05)
            finally:
                writer.transport.abort()

        stranger = await asyncio.start_server(greet, "127.0.0.1", 0)
        async with stranger, opened(f"redis://127.0.0.1:{stranger.sockets[0].getsockname()[1]}") as redis:
            for _ in range(3):
                with pytest.raises(RedisConnectionError):
                    await redis.ping()


async def test_a_wrong_password_is_an_authentication_error(tmp_path):
    """A wrong password raises AuthenticationError, whose text does not contain it."""
    with server(tmp_path / "locked", "--requirepass", "right") as node:
        async with opened(f"redis://:wrong-secret@127.0.0.1:{node.port}") as redis:
            with pytest.raises(AuthenticationError) as caught:
                await redis.ping()
            assert "wrong-secret" not in str(caught.value)
        async with opened(f"redis://:right@127.0.0.1:{node.port}/3") as redis:
            await redis.command("SET", "n", 1)
            assert "db3" in (await redis.command("INFO", "keyspace")).decode()


def test_a_script_without_its_shebang_is_refused():
    """A script without #!lua is a ValueError: a cluster of one node would hide its cross-slot errors."""
    with pytest.raises(ValueError, match="#!lua"):
        Script("bare", "return 1")
    assert COUNT.sha == hashlib.sha1(COUNT.text.encode(), usedforsecurity=False).hexdigest()


@contextlib.contextmanager
def another_connection(on_bytes):
    """Read another connection in this event loop; give the function that sends it bytes."""
    ours, theirs = socket.socketpair()
    loop = asyncio.get_running_loop()
    with ours, theirs:
        loop.add_reader(ours, lambda: on_bytes(ours.recv(1)))
        yield lambda: theirs.send(b"x")
        loop.remove_reader(ours)


async def test_a_reply_that_arrived_in_time_is_read_however_late_the_event_loop_is(node):
    """A reply that comes while the loop works for others is no timeout, even if that takes longer than the timeout."""
    with another_connection(lambda _: time.sleep(0.7)) as send:
        async with opened(node.url, timeout_seconds=0.3) as redis:
            await redis.ping()
            call = asyncio.create_task(redis.command("DEBUG", "SLEEP", "0.1"))
            await asyncio.sleep(0.05)  # it is written
            send()
            assert await call == b"OK"


async def test_a_timeout_while_the_event_loop_was_late_says_so(redis, node):
    """A command that gets no reply while the loop is blocked fails as EventLoopLate; with a loop in time, it is not."""
    await redis.ping()
    node.freeze()
    call = asyncio.create_task(redis.ping())
    await asyncio.sleep(0.01)
    time.sleep(1.5)  # noqa: ASYNC251 - nothing else of this loop shall run
    with pytest.raises(EventLoopLate):
        await call
    with pytest.raises((RedisTimeoutError, RedisConnectionError)) as later:
        await redis.ping()
    assert not isinstance(later.value, EventLoopLate)
    node.thaw()


@pytest.mark.parametrize(
    "scenario",
    [
        test_each_of_5000_concurrent_calls_gets_its_own_reply,
        test_cancelled_calls_leave_no_reply_to_others,
        test_commands_to_a_frozen_server_end_in_time_and_run_at_most_once,
        test_an_idle_connection_closed_by_the_server_is_replaced_without_an_error,
        test_commands_fail_fast_while_redis_is_down_and_work_again_within_a_second,
        test_commands_in_flight_are_bounded,
        test_close_fails_what_is_pending_and_what_comes_later,
        test_a_reply_that_arrived_in_time_is_read_however_late_the_event_loop_is,
        test_a_timeout_while_the_event_loop_was_late_says_so,
    ],
)
def test_the_promises_hold_on_uvloop(scenario, node):
    """The same tests pass on uvloop, which has sockets of its own."""

    async def run():
        async with opened(node.url) as redis, opened(node.url, timeout_seconds=20) as patient:
            given = {"redis": redis, "patient": patient, "node": node}
            await scenario(**{name: given[name] for name in signature(scenario).parameters})

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())
