"""The client under load: callers cancel while connections are lost, scripts flushed, slots moved and servers killed.

Each command increments a key of its own: the reply identifies the command, and the key counts how often it ran.
"""

import asyncio
import contextlib
import os
import random
import signal
import threading
import time

import pytest
import redis as redis_py
from redis.crc import key_slot
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from service.core.store_health import StoreUnavailable
from service.core.verification import Status, Verdict
from service.embedded.server import embedded_valkey
from service.redis_client import Script
from tests.redis_client.proxy import Proxy
from tests.redis_client.servers import cluster, opened, server
from tests.store.engines import Engine, open_stores, sid_of

MARK = Script("mark", "#!lua\nreturn {ARGV[1], redis.call('INCR', KEYS[1])}")
MARK_EACH = Script(
    "mark_each",
    "#!lua\nlocal all = {}\nfor i, key in ipairs(KEYS) do all[i] = {ARGV[i], redis.call('INCR', key)} end\nreturn all",
)


def patient(url):
    """Open a client with a long timeout: these tests are not about time, and the machine may be busy."""
    return opened(url, timeout_seconds=20)


@pytest.fixture
def node(tmp_path):
    with server(tmp_path / "redis") as running:
        running.admin.script_load(MARK.text)  # a command cancelled at NOSCRIPT would not run
        yield running


async def outcomes(calls):
    return await asyncio.gather(*calls, return_exceptions=True)


def kinds(results):
    return {type(result) for result in results}


def mark(redis, n, key="{x}%d"):
    return asyncio.create_task(redis.run(MARK, [key % n], [n]))


def assert_own_replies(results, ran, *failures):
    """Assert that each reply belongs to its caller, that nothing ran twice, and which errors occurred."""
    expected = (list, asyncio.CancelledError, *failures)
    assert [result for result in results if not isinstance(result, expected)] == []
    assert kinds(results) == set(expected)
    for n, (result, times) in enumerate(zip(results, map(int, ran), strict=True)):
        if isinstance(result, list):
            assert (result, times) == ([b"%d" % n, 1], 1)
        else:
            assert times <= 1, f"call {n} ended with {result!r} and ran {times} times"


def runs(admin, count, key="{x}%d"):
    """Return how often each command ran."""
    return [times or 0 for times in admin.mget([key % n for n in range(count)])]


@contextlib.contextmanager
def repeating(step):
    """Repeat a step in a thread until the block ends; yield the list of its results."""
    results, ended = [], threading.Event()

    def repeat():
        while not ended.is_set():
            results.append(step())
            time.sleep(0.001)

    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        yield results
    finally:
        ended.set()
        thread.join()


async def test_connections_lost_among_many_cancellations_shift_no_reply(node):
    """While callers cancel and connections are lost, each command gets its own reply or an error."""
    draw = random.Random(3)
    async with Proxy(node.port) as proxy, patient(proxy.url) as redis:
        await redis.ping()
        calls = []
        for wave in range(120):
            calls += [mark(redis, len(calls) + n) for n in range(25)]
            await asyncio.sleep(draw.choice([0, 0, 0.001]))
            for task in draw.sample(calls[-200:], min(len(calls), 10)):
                task.cancel()
            if wave % 20 == 10:
                proxy.drops_replies = True  # Redis runs what is written from now on, and its replies are lost
            if wave % 20 == 14:
                await asyncio.sleep(0.005)
                proxy.cut()
                proxy.drops_replies = False
        results = await outcomes(calls)
        assert await redis.command("ECHO", "in step") == b"in step"
        assert proxy.connections == 7
        assert not any(redis._nodes._queues())
    ran = runs(node.admin, len(calls))
    assert_own_replies(results, ran, RedisConnectionError)
    lost = [n for n, result in enumerate(results) if isinstance(result, RedisConnectionError) and int(ran[n])]
    assert lost, "some ran although their replies were lost"


async def test_what_is_cancelled_before_a_new_connection_opens_never_runs(node):
    """Commands that wait for a new connection are written once, except those whose callers cancelled."""
    async with patient(node.url) as redis:
        await redis.ping()
        node.admin.client_kill_filter(_type="normal", skipme=True)
        await asyncio.sleep(0.02)
        node.freeze()  # a new connection gets no reply yet
        calls = [mark(redis, n) for n in range(400)]
        await asyncio.sleep(0.1)
        for n in range(0, 400, 2):
            calls[n].cancel()
        node.thaw()
        results = await outcomes(calls)
    assert kinds(results[0::2]) == {asyncio.CancelledError}
    assert results[1::2] == [[b"%d" % n, 1] for n in range(1, 400, 2)]
    assert node.admin.dbsize() == 200


@pytest.mark.parametrize("lost", [False, True])
async def test_what_the_kernel_did_not_accept_can_still_be_cancelled(node, lost):
    """Commands held back by a full socket never run if cancelled; the others run, on this connection or the next."""
    async with patient(node.url) as redis:
        await redis.ping()
        node.freeze()
        large = b"x" * 100_000
        calls = [asyncio.create_task(redis.run(MARK, [f"{{x}}{n}"], [n, large])) for n in range(200)]
        await asyncio.sleep(0.1)
        written = len(redis._nodes._connection.awaiting_reply)
        assert 0 < written < 150, "the socket accepts some and not all"
        cancelled = range(written, 200, 2)
        for n in cancelled:
            calls[n].cancel()
        if lost:
            redis._nodes._connection._transport.abort()
            await asyncio.sleep(0.01)
        node.thaw()
        results = await outcomes(calls)
    ran = runs(node.admin, 200)
    assert_own_replies(results, ran, *[RedisConnectionError] * lost)
    assert kinds(results[:written]) == {RedisConnectionError if lost else list}
    assert kinds(results[written::2]) == {asyncio.CancelledError}
    assert kinds(results[written + 1 :: 2]) == {list}
    assert set(ran[written::2]) == {0}


async def test_scripts_flushed_under_load_are_sent_again(node):
    """During repeated SCRIPT FLUSH every command that is not cancelled gets its own reply and runs once."""
    draw = random.Random(4)
    async with patient(node.url) as redis:
        with repeating(node.admin.script_flush) as flushes:
            single, several = [], []
            for wave in range(60):
                if wave % 3 == 0:
                    node.admin.script_flush()  # the next wave starts without the script
                requests = [(f"{{y}}{n}", [n]) for n in range(5 * len(several), 5 * len(several) + 5)]
                several.append(asyncio.create_task(redis.run_each(MARK_EACH, requests)))
                single += [mark(redis, len(single) + n) for n in range(20)]
                await asyncio.sleep(draw.choice([0, 0.001]))
                for task in draw.sample(single[-40:] + several[-4:], 5):
                    task.cancel()
            results, lists = await outcomes(single), await outcomes(several)
    assert len(flushes) > 10
    each = [one for run in lists for one in (run if isinstance(run, list) else [run] * 5)]
    assert_own_replies(results, runs(node.admin, len(single)))
    assert_own_replies(each, runs(node.admin, len(each), "{y}%d"))
    assert node.admin.info("commandstats")["cmdstat_eval"]["calls"] > 10


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    with cluster(tmp_path_factory.mktemp("pair"), (0, 8191), (8192, 16383)) as nodes:
        yield nodes


async def test_a_script_flushed_on_one_node_runs_again_only_there(pair):
    """Of concurrent runs on two nodes only those on the flushed node are sent again, and each runs once."""
    async with patient(f"redis+cluster://127.0.0.1:{pair[0].port}") as redis:
        await redis.run_each(MARK_EACH, [(f"warm{n}", [n]) for n in range(20)])
        pair[0].admin.script_flush()
        replies = await redis.run_each(MARK_EACH, [(f"one{n}", [n]) for n in range(100)])
    assert replies == [[b"%d" % n, 1] for n in range(100)]
    assert pair[0].admin.info("errorstats")["errorstat_NOSCRIPT"]["count"] > 20


@pytest.mark.slow
async def test_a_slot_that_moves_under_load_shifts_no_reply_and_runs_nothing_twice(pair):
    """During ASK and MOVED, with some commands cancelled, no caller gets an error or the reply of another."""
    draw, slot, places = random.Random(5), key_slot(b"x"), list(range(4000))
    draw.shuffle(places)
    source, target = pair if slot < 8192 else reversed(pair)
    source.admin.mset({f"{{x}}{n}": 0 for n in places[::2]})  # the commands create the others
    async with patient(f"redis+cluster://127.0.0.1:{source.port}") as redis:
        moving = asyncio.create_task(asyncio.to_thread(move_slot, slot, source, target))
        calls = {}
        for start in range(0, len(places), 20):
            wave = places[start : start + 20]
            calls |= {n: mark(redis, n) for n in wave}
            for _ in range(draw.randint(1, 4)):
                await asyncio.sleep(0)  # some are written by then, and some redirected
            for n in draw.sample(wave, 3):
                calls[n].cancel()
            await asyncio.sleep(0.002)
        results = await outcomes(calls[n] for n in sorted(calls))
        await moving
    assert_own_replies(results, runs(target.admin, len(places)))
    errors = source.admin.info("errorstats")
    assert errors["errorstat_ASK"]["count"] > 10
    assert errors["errorstat_MOVED"]["count"] > 0
    assert source.admin.execute_command("CLUSTER COUNTKEYSINSLOT", slot) == 0


def move_slot(slot, source, target):
    """Move a slot with its keys, a few at a time, as a rebalance does."""
    source_id, target_id = (node.admin.execute_command("CLUSTER MYID") for node in (source, target))
    target.admin.execute_command("CLUSTER SETSLOT", slot, "IMPORTING", source_id)
    source.admin.execute_command("CLUSTER SETSLOT", slot, "MIGRATING", target_id)
    while keys := source.admin.execute_command("CLUSTER GETKEYSINSLOT", slot, 50):
        source.admin.execute_command("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)
        time.sleep(0.005)
    for node in (target, source):
        node.admin.execute_command("CLUSTER SETSLOT", slot, "NODE", target_id)


@contextlib.contextmanager
def durable(tmp_path):
    """Run the embedded Valkey, which keeps every acknowledged write and restarts after a kill."""
    with embedded_valkey(tmp_path / "data") as url, redis_py.Redis.from_url(url, protocol=2) as admin:
        yield url, admin


def process_of(admin):
    return admin.info("server")["process_id"]


@pytest.mark.slow
async def test_a_server_killed_under_load_keeps_all_that_it_replied_to_and_runs_nothing_twice(tmp_path):
    """After three kills with an append-only file every replied command is kept, and no other is repeated."""
    draw = random.Random(6)
    with durable(tmp_path) as (url, admin):
        async with patient(url) as redis:
            calls = []
            for _ in range(3):
                victim = process_of(admin)
                for wave in range(40):
                    calls += [mark(redis, len(calls) + n) for n in range(25)]
                    await asyncio.sleep(draw.choice([0, 0.001]))
                    for task in draw.sample(calls[-100:], min(len(calls), 5)):
                        task.cancel()
                    if wave == 20:
                        os.kill(victim, signal.SIGKILL)
                await outcomes(calls)
                await until_answered(redis)
            results = await outcomes(calls)
        assert_own_replies(results, runs(admin, len(calls)), RedisConnectionError)


async def until_answered(redis):
    """Wait until the client has connected again."""
    while True:
        with contextlib.suppress(RedisConnectionError, RedisTimeoutError):
            return await redis.ping()
        await asyncio.sleep(0.02)


@pytest.mark.slow
async def test_a_server_killed_under_a_thousand_checks_approves_no_code_twice_and_loses_no_approval(tmp_path):
    """Every `approved` response is kept, none is given twice or for a wrong code, every approval is pending."""
    with durable(tmp_path) as (url, admin):
        async with open_stores(Engine("durable", url, admin)) as stores:
            held = await asyncio.gather(*(stores.sent("111111", to=f"+1415555{n:04d}") for n in range(1000)))
            first = await checks_with_a_kill_between(stores, held, process_of(admin))
            await until_answered(stores.scripts._client)
            second = await asyncio.gather(*(stores.verdict(one, "111111") for one in held))
            verdicts = [[*once, again] for once, again in zip(first, second, strict=True)]
            unanswered = [one for one in verdicts if StoreUnavailable in map(type, one)]
            assert 0 < len(unanswered) < 1000, "the kill came in the middle"
            for right, wrong, twin, again in verdicts:
                assert [right, twin, again].count(Verdict.APPROVED) <= 1
                assert wrong in {Verdict.WRONG_CODE, Verdict.USED} or isinstance(wrong, StoreUnavailable)
                assert again is (Verdict.USED if Verdict.APPROVED in (right, twin) else again)
                assert again in {Verdict.USED, Verdict.APPROVED}
            states = [(await stores.read(one)).status for one in held]
            assert set(states) == {Status.APPROVED}
            assert sorted(await stores.pending()) == sorted(map(sid_of, held))


async def checks_with_a_kill_between(stores, held, victim):
    """Check the right code, a wrong one and the right one again at the same time for each; kill Redis half-way."""
    calls = []
    for place, one in enumerate(held):
        calls.append([asyncio.create_task(stores.verdict(one, code)) for code in ("111111", "000000", "111111")])
        if place % 10 == 0:
            await asyncio.sleep(0)
        if place == 500:
            os.kill(victim, signal.SIGKILL)
    return [await outcomes(three) for three in calls]
