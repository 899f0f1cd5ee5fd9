"""One server: order, time, loss, scripts. Real processes; faults are made, not imagined."""

import asyncio
import hashlib
import random
import time
from inspect import signature

import pytest
import uvloop
from redis.exceptions import AuthenticationError, ReadOnlyError, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from service.redis_client import Script
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


async def outcomes(calls):
    return await asyncio.gather(*calls, return_exceptions=True)


def kinds(results):
    return {type(result) for result in results}


def is_idle(client):
    return not any(client._nodes._queues())


async def test_each_of_5000_concurrent_calls_gets_its_own_reply(redis):
    """No reply reaches another call, however many are on the way."""
    replies = await asyncio.gather(*(redis.run(ECHO, [f"{{{n}}}"], [n]) for n in range(5000)))
    assert replies == [[b"{%d}" % n, b"%d" % n] for n in range(5000)]
    assert is_idle(redis)


async def test_cancelled_calls_leave_no_reply_to_others(redis, node):
    """Calls cancelled before and after they are written cost the others nothing, and those not written never run."""
    await redis.run(COUNT, ["early"], [])
    draw = random.Random(7)
    early = [asyncio.create_task(redis.run(COUNT, ["early"], [])) for _ in range(COMMANDS_PER_WRITE - 1)]
    await asyncio.sleep(0)  # all have been made and none is written
    for task in early:
        task.cancel()
    calls = [asyncio.create_task(redis.run(ECHO, ["{1}"], [n])) for n in range(5000)]
    node.freeze()
    await asyncio.sleep(0.05)  # all are written and none can be answered
    doomed = set(draw.sample(range(5000), 2000))
    for n in doomed:
        calls[n].cancel()
    node.thaw()
    replies = await outcomes(calls)
    assert [n for n in range(5000) if isinstance(replies[n], asyncio.CancelledError)] == sorted(doomed)
    assert all(replies[n] == [b"{1}", b"%d" % n] for n in range(5000) if n not in doomed)
    assert await redis.command("GET", "early") == b"1"
    assert is_idle(redis)


async def test_calls_cancelled_at_random_moments_do_not_shift_replies(redis):
    """Rounds of calls whose callers give up at any time keep question and answer together."""
    draw = random.Random(11)

    async def impatient(n):
        async with asyncio.timeout(draw.choice([None, draw.uniform(0, 0.02)])):
            assert await redis.run(ECHO, ["{1}"], [n]) == [b"{1}", b"%d" % n]

    for _ in range(5):
        results = await outcomes(impatient(n) for n in range(1000))
        assert kinds(results) == {type(None), TimeoutError}
    assert await redis.command("ECHO", "still in step") == b"still in step"
    assert is_idle(redis)


async def test_a_frozen_server_costs_one_timeout_and_runs_each_script_once(redis, node):
    """While Redis is frozen calls end in time; after it wakes what was written counts once and what was not, never."""
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


async def test_a_short_stall_is_only_waited_for(redis, node):
    """A server that pauses for less than the time answers every call on the same connection."""
    before = await redis.command("CLIENT", "ID")
    node.freeze()
    calls = asyncio.gather(*(redis.run(COUNT, ["n"], []) for _ in range(100)))
    await asyncio.sleep(0.5)
    node.thaw()
    assert await calls == list(range(1, 101))
    assert await redis.command("CLIENT", "ID") == before


async def test_a_silent_connection_is_replaced(node):
    """A wire that swallows everything, with no end to notice, is given up and a new one works."""
    async with Proxy(node.port) as proxy, opened(proxy.url, timeout_seconds=0.3) as redis:
        await redis.ping()
        proxy.deaf = True
        with pytest.raises(RedisTimeoutError):
            await redis.command("INCR", "n")
        proxy.deaf = False
        await asyncio.sleep(0.5)
        assert await redis.command("INCR", "n") == 2
        assert proxy.connections == 2


async def test_an_idle_connection_closed_by_the_server_is_replaced_unseen(redis, node):
    """CLIENT KILL between two calls, 50 times and with the next call right behind, costs no call an error."""
    for n in range(1, 51):
        assert await redis.run(COUNT, ["n"], []) == n
        assert node.admin.client_kill_filter(_type="normal", skipme=True) == 1


async def test_an_idle_connection_past_the_servers_timeout_is_replaced_unseen(redis, node):
    """The server's own idle timeout is no error either."""
    node.admin.config_set("timeout", 1)
    await redis.ping()
    node.admin.connection_pool.disconnect()
    await asyncio.sleep(2.5)
    await redis.ping()


async def test_calls_whose_replies_were_lost_fail_and_are_not_repeated(node):
    """When the connection drops after Redis ran a script, the caller learns it and the script ran once."""
    async with Proxy(node.port) as proxy, opened(proxy.url) as redis:
        await redis.run(COUNT, ["n"], [])
        proxy.deaf = True
        calls = asyncio.gather(*(redis.run(COUNT, ["n"], []) for _ in range(100)), return_exceptions=True)
        await asyncio.to_thread(eventually, lambda: node.admin.get("n") == b"101")
        proxy.deaf = False
        proxy.cut()
        assert kinds(await calls) == {RedisConnectionError}
        assert await redis.run(COUNT, ["n"], []) == 102
        assert is_idle(redis)


async def test_calls_fail_at_once_while_redis_is_away_and_work_again_within_a_second(redis, node):
    """Under kill -9: ConnectionError for all, quickly; after the restart the service fixes itself."""
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


async def test_calls_in_flight_at_kill_fail_with_connection_error(redis, node):
    """Nobody waits for a server that is dead."""
    await redis.ping()
    node.freeze()
    calls = asyncio.gather(*(redis.run(COUNT, ["n"], []) for _ in range(100)), return_exceptions=True)
    await asyncio.sleep(0.05)
    started = time.monotonic()
    node.kill()
    assert kinds(await calls) == {RedisConnectionError}
    assert time.monotonic() - started < 0.3


async def test_many_calls_make_one_connection_attempt():
    """A thousand calls over many turns of the loop, with nobody there to talk to, knock once; then there is a pause."""
    knocks = []

    async def slam(_reader, writer):
        knocks.append(writer)
        await asyncio.sleep(0.1 if len(knocks) == 1 else 0)
        writer.transport.abort()

    endpoint = await asyncio.start_server(slam, "127.0.0.1", 0)
    async with endpoint, opened(f"redis://127.0.0.1:{endpoint.sockets[0].getsockname()[1]}") as redis:
        calls = []
        for _ in range(50):
            calls += [asyncio.create_task(redis.ping()) for _ in range(20)]
            await asyncio.sleep(0.001)
        assert kinds(await outcomes(calls)) == {RedisConnectionError}
        assert len(knocks) == 1
        for _ in range(100):
            assert kinds(await outcomes([redis.ping()])) == {RedisConnectionError}
            await asyncio.sleep(0.005)
        assert 1 < len(knocks) < 10


async def test_a_flushed_script_is_invisible(redis, node):
    """After SCRIPT FLUSH and after a restart 100 calls at once just work, each run once."""
    await redis.run(COUNT, ["n"], [])
    node.admin.script_flush()
    assert sorted(await asyncio.gather(*(redis.run(COUNT, ["n"], []) for _ in range(100)))) == list(range(2, 102))
    node.kill()
    node.start()
    assert sorted(await asyncio.gather(*(redis.run(COUNT, ["n"], []) for _ in range(100)))) == list(range(1, 101))


async def test_a_script_on_several_keys_answers_in_order_or_fails_as_a_whole(redis, node):
    """One call gives each key its answer, a flushed script is fixed, an error is the answer in every place."""
    for expected in ([2, 1, 3], [4, 2, 6]):
        node.admin.script_flush()
        assert await redis.run_each(PUT_EACH, [("a", ["xx"]), ("b", ["x"]), ("c", ["xxx"])]) == expected
    assert node.admin.info("commandstats")["cmdstat_eval"]["calls"] == 2
    assert await redis.run_each(PUT_EACH, []) == []
    node.admin.delete("b")
    node.admin.hset("b", "no", "string")
    assert kinds(await redis.run_each(PUT_EACH, [("a", ["x"]), ("b", ["x"])])) == {ResponseError}
    assert is_idle(redis)


async def test_a_script_on_several_keys_raises_nothing(redis):
    """A closed client raises nothing: the result of each key is the error."""
    await redis.ping()
    await redis.close()
    assert kinds(await redis.run_each(PUT_EACH, [("a", ["x"]), ("b", ["x"])])) == {RedisConnectionError}


async def test_a_script_on_several_keys_can_be_given_up(redis, node):
    """Whoever gives up waiting leaves no call behind, and the next call has its own reply."""
    await redis.run(COUNT, ["n"], [])
    node.freeze()
    calls = asyncio.create_task(redis.run_each(PUT_EACH, [("m", ["x"]), ("m", ["x"])]))
    await asyncio.sleep(0.05)
    calls.cancel()
    assert kinds(await outcomes([calls])) == {asyncio.CancelledError}
    assert all(command.reply.cancelled() for queue in redis._nodes._queues() for command in queue)
    node.thaw()
    assert await redis.run(COUNT, ["n"], []) == 2


async def test_a_known_script_is_one_command(redis, node):
    """In the steady state a script costs one EVALSHA and nothing else."""
    await redis.run(COUNT, ["n"], [])
    node.admin.config_resetstat()
    await asyncio.gather(*(redis.run(COUNT, ["n"], []) for _ in range(100)))
    stats = {name: fields["calls"] for name, fields in node.admin.info("commandstats").items()}
    stats.pop("cmdstat_config|resetstat", None)
    stats.pop("cmdstat_info", None)
    assert stats == {"cmdstat_evalsha": 100, "cmdstat_incr": 100}


async def test_concurrent_calls_share_a_few_writes_and_one_round_trip(node):
    """Over a slow wire 500 calls take about as long as one; what does not fill a write leaves in one."""
    async with Proxy(node.port) as proxy, opened(proxy.url) as redis:
        await redis.ping()
        proxy.delay_seconds = 0.1
        chunks_before, started = proxy.chunks, time.monotonic()
        await asyncio.gather(*(redis.command("ECHO", n) for n in range(500)))
        assert time.monotonic() - started < 10  # one after the other they would take 100 s
        assert proxy.chunks - chunks_before <= 500 / COMMANDS_PER_WRITE + 1
        chunks_before = proxy.chunks
        await asyncio.gather(*(redis.command("ECHO", n) for n in range(COMMANDS_PER_WRITE - 1)))
        assert proxy.chunks - chunks_before == 1


async def test_a_full_write_does_not_wait_for_the_turn_to_end(redis, node):
    """Redis runs the first calls of a burst while the event loop is still busy making the others."""
    await redis.ping()
    node.admin.config_resetstat()
    calls = [redis._nodes.send(pack((b"ECHO", n))) for n in range(COMMANDS_PER_WRITE + 3)]

    def echoed():  # asked without a turn of the loop
        return node.admin.info("commandstats").get("cmdstat_echo", {"calls": 0})["calls"]

    deadline = time.monotonic() + 5
    while echoed() < COMMANDS_PER_WRITE and time.monotonic() < deadline:
        pass
    assert echoed() == COMMANDS_PER_WRITE
    assert await asyncio.gather(*calls) == [b"%d" % n for n in range(COMMANDS_PER_WRITE + 3)]


async def test_calls_in_flight_are_bounded(redis, node):
    """A frozen server cannot make the service eat memory: beyond the bound a call fails at once."""
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
    """Closing leaves nobody waiting and no socket open, and may be repeated."""
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
    """Closing does not wait for a server that does not greet."""
    node.freeze()
    async with opened(node.url) as redis:
        call = asyncio.create_task(redis.ping())
        await asyncio.sleep(0.05)
        started = time.monotonic()
        await redis.close()
        assert time.monotonic() - started < 0.3
        assert kinds(await outcomes([call])) == {RedisConnectionError}


async def test_a_demoted_primary_is_left_behind(redis, node):
    """READONLY goes to the caller, once, and the next call comes over a new connection."""
    before = await redis.command("CLIENT", "ID")
    await asyncio.sleep(0.6)
    node.admin.replicaof("127.0.0.1", 1)
    with pytest.raises(ReadOnlyError):
        await redis.run(COUNT, ["n"], [])
    assert await redis.command("CLIENT", "ID") > before
    after = await redis.command("CLIENT", "ID")
    with pytest.raises(ReadOnlyError):
        await redis.command("SET", "n", 1)
    assert await redis.command("CLIENT", "ID") == after  # young: a lasting replica is not dialed for every call


async def test_errors_of_redis_and_of_scripts_are_response_errors(redis):
    """What Redis refuses reaches the one caller who asked, with Redis's words."""
    broken = Script("broken", "#!lua\nreturn redis.call('INCR', KEYS[1])")
    await redis.command("RPUSH", "list", "x")
    results = await outcomes(
        [redis.ping(), redis.command("GET", "list"), redis.run(broken, ["list"], []), redis.ping()]
    )
    assert [isinstance(result, ResponseError) for result in results] == [False, True, True, False]
    assert "WRONGTYPE" in str(results[1])


async def test_replies_come_as_redis_sent_them(redis):
    """Bytes, numbers, nil and nested lists; words may be bytes, str or int and nothing else."""
    script = Script("types", "#!lua\nreturn {1, 'a', {}, {false, ARGV[1]}}")
    assert await redis.run(script, [], [b"\r\n\x00\xff"]) == [1, b"a", [], [None, b"\r\n\x00\xff"]]
    assert await redis.command("GET", "nothing", key="nothing") is None
    assert await redis.command_on_primaries("DBSIZE") == [0]
    long = b"x" * 3_000_000
    await redis.command("SET", "long", long)
    assert await redis.command("GET", "long") == long
    with pytest.raises(TypeError):
        await redis.command("SET", "n", None)


async def test_a_server_that_is_no_redis_is_a_connection_error():
    """Garbage, answers to no question and a sudden end all come out as ConnectionError, at once."""
    for greeting in (b"HTTP/1.1 400 Bad Request\r\n\r\n", b"+OK\r\n+OK\r\n+OK\r\n", b"", b"$-x\r\n"):

        async def answer(_reader, writer, greeting=greeting):
            writer.write(greeting)
            try:
                await asyncio.sleep(0.05)
            finally:
                writer.transport.abort()

        stranger = await asyncio.start_server(answer, "127.0.0.1", 0)
        async with stranger, opened(f"redis://127.0.0.1:{stranger.sockets[0].getsockname()[1]}") as redis:
            for _ in range(3):
                with pytest.raises(RedisConnectionError):
                    await redis.ping()


async def test_a_wrong_password_is_told_as_such(tmp_path):
    """AuthenticationError is a ConnectionError that says what to fix, and never shows the password."""
    with server(tmp_path / "locked", "--requirepass", "right") as node:
        async with opened(f"redis://:wrong-secret@127.0.0.1:{node.port}") as redis:
            with pytest.raises(AuthenticationError) as caught:
                await redis.ping()
            assert "wrong-secret" not in str(caught.value)
        async with opened(f"redis://:right@127.0.0.1:{node.port}/3") as redis:
            await redis.command("SET", "n", 1)
            assert "db3" in (await redis.command("INFO", "keyspace")).decode()


def test_a_script_without_its_shebang_is_refused():
    """Without #!lua a one-node cluster would hide cross-slot faults."""
    with pytest.raises(ValueError, match="#!lua"):
        Script("bare", "return 1")
    assert COUNT.sha == hashlib.sha1(COUNT.text.encode(), usedforsecurity=False).hexdigest()


@pytest.mark.parametrize(
    "scenario",
    [
        test_each_of_5000_concurrent_calls_gets_its_own_reply,
        test_cancelled_calls_leave_no_reply_to_others,
        test_a_frozen_server_costs_one_timeout_and_runs_each_script_once,
        test_an_idle_connection_closed_by_the_server_is_replaced_unseen,
        test_calls_fail_at_once_while_redis_is_away_and_work_again_within_a_second,
        test_calls_in_flight_are_bounded,
        test_close_fails_what_is_pending_and_what_comes_later,
    ],
)
def test_the_promises_hold_on_uvloop(scenario, node):
    """The service runs on uvloop, whose sockets are another implementation: the same promises, the same tests."""

    async def run():
        async with opened(node.url) as redis:
            await scenario(**{name: {"redis": redis, "node": node}[name] for name in signature(scenario).parameters})

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())
