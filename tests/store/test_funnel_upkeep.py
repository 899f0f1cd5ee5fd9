"""How conversion counters are merged, rolled up and read: each count once, whoever is killed in between."""

import asyncio
from itertools import pairwise

import pytest

from service.core.partitions import PARTITIONS
from service.core.reports.counters import DAY_MS, HOUR_MS, read_labels
from service.core.store_health import StoreUnavailable
from service.core.verification import Delivery
from service.store import keys as redis_keys
from service.store.funnel import RedisFunnel
from service.store.funnel_upkeep import RedisFunnelUpkeep
from service.store.merged_counters import Merged
from tests.store.engines import CODE_TTL_MS
from tests.store.test_funnel import FIRST, counted

NUMBERS = [f"+1415555{number:04}" for number in range(40)]  # in most partitions
LONG_AGO_MS = 4 * DAY_MS


def shifted(stores, ms):
    """Move all counters into the past, as if they had been counted then; `ms` is in whole days."""
    hours, days = ms // HOUR_MS, ms // DAY_MS
    for key in list(stores.admin.scan_iter("otp:*:funnel:[hd][0-9]*")):
        prefix, _, name = key.decode().rpartition(":")
        moved = f"{name[0]}{int(name[1:]) - (hours if name[0] == 'h' else days)}"
        stores.admin.rename(key, f"{prefix}:{moved}")
        stores.admin.hincrby(f"{prefix}:{moved}", "^code", -ms // 1000)
        stores.admin.srem(f"{prefix}:open", name)
        stores.admin.sadd(f"{prefix}:open", moved)


async def rows(stores, *, by="hours"):
    """Read the counters of the last ten days by their labels."""
    funnel = RedisFunnel(stores.scripts)
    now_ms = await funnel.now_ms()
    length = HOUR_MS if by == "hours" else DAY_MS
    starts = range((now_ms // length - 10 * DAY_MS // length) * length, now_ms + 1, length)
    sums = Merged()
    async for bucket in getattr(funnel, by)(starts):
        sums.add(bucket.rows, {})
    return {labels: {name: count for name, count in row.items() if count} for labels, row in sums.rows.items()}


async def traffic(stores):
    """Issue and approve verifications of many numbers; return what is counted."""
    issued = [await stores.sent("111111", to=to) for to in NUMBERS]
    for sent in issued[::2]:
        await stores.check(sent, "111111")
    return issued, {FIRST: {"n": len(NUMBERS), "1q.c0.a": len(NUMBERS) // 2, "1q.-.p": len(NUMBERS) // 2}}


async def test_ended_hours_are_merged_and_read_alike(stores):
    """An hour that has ended is one key; the figures are the same before and after, also of what moves later."""
    issued, expected = await traffic(stores)
    assert await rows(stores) == counted(stores) == expected
    await RedisFunnelUpkeep(stores.scripts).merge_ended_hours()
    assert counted(stores) == expected, "this hour has not ended"
    shifted(stores, DAY_MS)
    for sent in issued:
        stores.raw(sent).set("sent_at_ms", sent.sends[0].sent_at_ms - DAY_MS, 1)
    await RedisFunnelUpkeep(stores.scripts).merge_ended_hours()
    assert counted(stores) == {}
    assert not any(stores.admin.smembers(redis_keys.funnel_open(p)) for p in PARTITIONS)
    assert await rows(stores) == expected
    await stores.check(issued[1], "111111")
    await stores.deliver(issued[3], status=Delivery.DELIVERED, sender="+15005550006")
    late = {
        FIRST: {"n": -1, "1q.-.p": -2, "1q.l.p": 1},
        "US|sms|+15005550006|login|code|1": {"n": 1, "3d.-.p": 1, "t33": 1},
    }
    assert counted(stores) == late
    moved = {
        FIRST: {"n": 39, "1q.c0.a": 20, "1q.-.p": 18, "1q.l.p": 1},
        "US|sms|+15005550006|login|code|1": {"n": 1, "3d.-.p": 1, "t33": 1},
    }
    assert await rows(stores) == moved
    await RedisFunnelUpkeep(stores.scripts).merge_ended_hours()
    assert await rows(stores) == moved


@pytest.mark.parametrize("step", ["funnel_take", "funnel_swap", "funnel_done"])
async def test_a_killed_merge_counts_once(stores, step, monkeypatch):
    """A worker that is killed in any step of a merge, before or after it, loses nothing and doubles nothing."""
    _, expected = await traffic(stores)
    shifted(stores, DAY_MS)
    run = stores.scripts.run
    for killed_at in range(3):
        calls = 0

        async def interrupted(name, keys, args=()):
            nonlocal calls
            if name != step:
                return await run(name, keys, args)
            calls += 1
            if calls > killed_at:  # noqa: B023
                raise StoreUnavailable("killed before")
            await run(name, keys, args)
            raise StoreUnavailable("killed after")

        with monkeypatch.context() as patch:
            patch.setattr(stores.scripts, "run", interrupted)
            with pytest.raises(StoreUnavailable):
                await RedisFunnelUpkeep(stores.scripts).merge_ended_hours()
        assert await rows(stores) == expected
    await RedisFunnelUpkeep(stores.scripts).merge_ended_hours()
    assert counted(stores) == {}
    assert await rows(stores) == expected


async def test_a_slow_worker_undoes_nothing(stores):
    """A worker that forgets or replaces counters too late, after another one has, changes nothing."""
    partition = (await stores.issue("111111")).id[3]
    [name] = [name.decode() for name in stores.admin.smembers(redis_keys.funnel_open(partition))]
    taking, done = redis_keys.funnel_taking(partition, name), redis_keys.funnel_taken(partition, name)
    counters, taken, _ = taking
    run = stores.scripts.run
    assert (await run("funnel_take", taking, [60]))[0] == 1
    assert stores.admin.ttl(taking[2]) > 50, "the number of a take is not used again"
    stores.admin.hincrby(counters, f"{FIRST}|1q.-.p", 1)
    stores.admin.expire(counters, 60)
    assert await run("funnel_done", done, [1, name]) == 1
    assert stores.admin.smembers(done[2]) == {name.encode()}, "it has been counted in since"
    assert (await run("funnel_take", taking, [60]))[0] == 2
    assert await run("funnel_done", done, [1, name]) == 0
    assert stores.admin.exists(taken)
    merged = redis_keys.funnel_merged(name)
    expires_at = stores.admin.time()[0] + 60
    assert [await run("funnel_swap", [merged], [0, content, expires_at]) for content in ("first", "late")] == [1, 0]
    assert stores.admin.hget(merged, "b") == b"first"


async def test_a_document_that_cannot_be_replaced_is_given_up(stores, monkeypatch):
    """When others replace the merged counters each time, the worker looks again later, and does not try for ever."""
    run, tries = stores.scripts.run, []

    async def replaced_by_others(name, keys, args=()):
        if name == "funnel_swap":
            tries.append(keys)
            return 0
        return await run(name, keys, args)

    monkeypatch.setattr(stores.scripts, "run", replaced_by_others)
    with pytest.raises(StoreUnavailable):
        await RedisFunnelUpkeep(stores.scripts).fill("h1", {FIRST: {"n": 1}}, {})
    assert len(tries) == 100


async def test_many_workers_and_readers_agree(stores):
    """Several workers merge while sends move and reports are read: each report shows every send, in one state."""
    issued, _ = await traffic(stores)
    shifted(stores, DAY_MS)
    for sent in issued:
        stores.raw(sent).set("sent_at_ms", sent.sends[0].sent_at_ms - DAY_MS, 1)
    is_over = asyncio.Event()

    async def work():
        funnel = RedisFunnelUpkeep(stores.scripts)
        while not is_over.is_set():
            await funnel.merge_ended_hours()

    async def move():
        for sent in issued[1::2]:
            await stores.check(sent, "111111")
            await asyncio.sleep(0)
        is_over.set()

    async def read():
        seen = []
        while not is_over.is_set():
            [row] = (await rows(stores)).values()
            assert sum(count for name, count in row.items() if name[0].isdigit()) == row["n"] == len(NUMBERS)
            seen.append(row.get("1q.l.p", 0))
        assert all(before <= after for before, after in pairwise(seen)), "what was counted stays counted"

    await asyncio.gather(work(), work(), move(), read())
    assert await rows(stores) == {FIRST: {"n": 40, "1q.c0.a": 20, "1q.l.p": 20}}


async def test_a_day_is_rolled_up_once(stores):
    """Two days after its end a day is the sum of its hours, however often it is rolled up; later moves are added."""
    issued, expected = await traffic(stores)
    shifted(stores, LONG_AGO_MS)
    funnel = RedisFunnelUpkeep(stores.scripts)
    await funnel.roll_up()
    assert await rows(stores, by="days") == {}, "its hours are not merged yet"
    await funnel.merge_ended_hours()
    await asyncio.gather(*(RedisFunnelUpkeep(stores.scripts).roll_up() for _ in range(3)))
    await funnel.roll_up()
    await RedisFunnelUpkeep(stores.scripts).roll_up()
    assert await rows(stores, by="days") == await rows(stores, by="hours") == expected
    stores.raw(issued[1]).set("sent_at_ms", issued[1].sends[0].sent_at_ms - LONG_AGO_MS, 1)
    await stores.check(issued[1], "111111")
    late = {FIRST: {"n": 40, "1q.c0.a": 20, "1q.-.p": 19, "1q.l.p": 1}}
    assert await rows(stores, by="days") == late
    await funnel.merge_ended_hours()
    assert await rows(stores, by="days") == late
    assert await rows(stores, by="hours") == expected, "the hours of an old day no longer change"


async def test_a_digest_tells_that_a_day_changed(stores):
    """The digest of days stays the same until one of them changes; while a change is not merged there is none."""
    issued, _ = await traffic(stores)
    shifted(stores, LONG_AGO_MS)
    upkeep, funnel = RedisFunnelUpkeep(stores.scripts), RedisFunnel(stores.scripts)
    today = await funnel.now_ms() // DAY_MS
    starts_ms = range((today - 40) * DAY_MS, today * DAY_MS, DAY_MS)
    digests = [await funnel.digest(starts_ms)]
    await upkeep.merge_ended_hours()
    await upkeep.roll_up()
    digests += [await funnel.digest(starts_ms), await funnel.digest(starts_ms[1:])]
    assert digests[1] == await funnel.digest(starts_ms)
    stores.raw(issued[1]).set("sent_at_ms", issued[1].sends[0].sent_at_ms - LONG_AGO_MS, 1)
    await stores.check(issued[1], "111111")
    assert await funnel.digest(starts_ms) is None
    await upkeep.merge_ended_hours()
    digests.append(await funnel.digest(starts_ms))
    assert len(set(digests)) == 4
    assert None not in digests


async def test_a_young_day_is_not_rolled_up(stores):
    """Until two days after its end a day may still change, and its hours are read instead."""
    _, expected = await traffic(stores)
    shifted(stores, 2 * DAY_MS)
    funnel = RedisFunnelUpkeep(stores.scripts)
    await funnel.merge_ended_hours()
    await funnel.roll_up()
    assert await rows(stores, by="days") == {}
    assert await rows(stores) == expected


def test_merged_combinations_are_bounded():
    """Beyond 2,000 combinations merged counters are `other`, and stay so for what moves later."""
    merged = Merged()
    merged.add({f"US|sms||p{number}|code|1": {"n": 1} for number in range(2000)}, {})
    merged.add({"US|sms||rare|code|2": {"n": 3, "1q.-.p": 3}}, {})
    again = Merged.unpacked(merged.packed())
    again.add({"US|sms||rare|code|2": {"1q.-.p": -1, "1q.l.p": 1}, "US|sms||p7|code|1": {"n": 1}}, {})
    assert again.rows["other|other|other|other|other|2"] == {"n": 3, "1q.-.p": 2, "1q.l.p": 1}
    assert again.rows["US|sms||p7|code|1"] == {"n": 2}
    assert len(again.rows) == 2001
    assert read_labels("other|other|other|other|other|2").send_number == 2


async def test_what_lapses_is_logged_once(stores):
    """When the last code of a verification has ended, each of its sends that did not convert is in the log."""
    ignored = await stores.sent("111111", purpose="ignored")
    await stores.resend(ignored, "222222")
    await stores.deliver(ignored, 2, status=Delivery.UNDELIVERED, error_code=30003)
    stores.raw(ignored).set("sent_at_ms", 1_700_000_000_000, 1)
    used = await stores.sent("111111", purpose="used")
    await stores.resend(used, "222222")
    await stores.check(used, "222222")
    refused = await stores.issue("111111", purpose="refused")
    await stores.verifications.refuse(refused, 1, error_code=21610, passing=False)
    funnel = RedisFunnel(stores.scripts)

    async def listed():
        for partition in PARTITIONS:
            await RedisFunnelUpkeep(stores.scripts).log_lapsed(partition)
        return {
            (entry.verification_id, entry.labels.send_number): (entry.reason, entry.state.error_code)
            for entry in await funnel.entries()
        }

    assert await listed() == {(refused.id, 1): ("not_accepted", 21610)}
    stores.time_passes(CODE_TTL_MS)
    expected = {
        (refused.id, 1): ("not_accepted", 21610),
        (ignored.id, 1): ("no_report", None),
        (ignored.id, 2): ("not_delivered", 30003),
        (used.id, 1): ("another_send", None),
    }
    assert await listed() == expected
    assert await listed() == expected
    assert len(await funnel.entries()) == len(expected)
    at = {entry.labels.send_number: entry.sent_at_ms for entry in await funnel.entries() if entry[0] == ignored.id}
    assert at[1] <= 1_700_000_000_000 < at[2]


async def test_an_expired_verification_is_not_logged(stores):
    """A verification whose record has expired or was erased is no longer looked at; the one behind it is logged."""
    sent = await stores.sent("111111")
    due_key = redis_keys.funnel_due(sent.id[3])
    stores.admin.zadd(due_key, {"ve_gone": 1, sent.id: 2})
    await RedisFunnelUpkeep(stores.scripts).log_lapsed(sent.id[3])
    assert [entry.verification_id for entry in await RedisFunnel(stores.scripts).entries()] == [sent.id]
    assert not stores.admin.exists(due_key)


async def test_a_resend_puts_off_when_a_verification_is_logged(stores):
    """Also when many others wait for the log: what a person may still answer is not in it."""
    sent = await stores.sent("111111")
    due_key = redis_keys.funnel_due(sent.id[3])
    stores.admin.zadd(due_key, {f"ve_{number}": 2e12 for number in range(1000)})
    ends_ms = stores.admin.zscore(due_key, sent.id)
    stores.admin.zadd(due_key, {sent.id: ends_ms - CODE_TTL_MS})
    await stores.resend(sent, "222222")
    await RedisFunnelUpkeep(stores.scripts).log_lapsed(sent.id[3])
    assert await RedisFunnel(stores.scripts).entries() == []
    assert stores.admin.zscore(due_key, sent.id) >= ends_ms


async def test_the_log_is_bounded(stores):
    """The log and what waits for it are short, whatever is sent."""
    sent = await stores.issue("111111")
    partition = sent.id[3]
    stores.admin.rpush(redis_keys.funnel_unconverted(partition), *["old"] * 600)
    stores.admin.zadd(redis_keys.funnel_due(partition), {f"ve_{number}": 2e12 for number in range(1000)})
    await stores.issue("111111")
    assert stores.admin.zcard(redis_keys.funnel_due(partition)) == 1001
    await stores.verifications.refuse(sent, 1, error_code=None, passing=False)
    assert stores.admin.llen(redis_keys.funnel_unconverted(partition)) == 500
    stores.admin.delete(redis_keys.funnel_unconverted(partition))
