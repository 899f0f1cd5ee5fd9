"""Confirmations in Redis, on every engine: leased to one worker, ended once, never lost, failed with a reason."""

import asyncio
from collections import Counter
from dataclasses import replace

import pytest

from service.core.confirming import read_confirmation
from service.core.verification import Feedback, Verdict, partition_of
from service.store import keys as redis_keys
from service.store.lost_messages import count_awaiting_sid
from tests.store.engines import CODE_TTL_MS, MINUTE_MS, NUMBER, OTHER_NUMBER, sid_of

LEASE_MS = MINUTE_MS
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS


async def _enqueueing(stores, **fields):
    """Approve a verification, so that its confirmation is pending."""
    verification = await stores.sent("111111", **fields)
    assert await stores.verdict(verification, "111111") is Verdict.APPROVED
    return verification


async def _claim_one(stores, verification):
    (entry,) = (await stores.claim(verification, lease_ms=LEASE_MS)).entries
    return entry


def _is_readable(entry):
    return entry.is_legible and read_confirmation(entry.particulars) is not None


async def test_an_entry_contains_its_data(stores):
    """A claimed entry contains its SID, verification, send, country, channel and creation time."""
    verification = await _enqueueing(stores)
    claim = await stores.claim(verification, lease_ms=LEASE_MS)
    (entry,) = claim.entries
    assert (entry.key, entry.tries, entry.is_legible) == (sid_of(verification), 0, True)
    assert read_confirmation(entry.particulars) == (verification.id, 1, "US", "sms")
    assert verification.created_at_ms <= entry.since_ms <= claim.now_ms
    assert entry.due_ms == claim.now_ms + LEASE_MS == claim.next_due_ms


async def test_an_empty_partition_has_nothing_to_claim(stores):
    """A claim where nothing is pending returns nothing and writes nothing."""
    claim = await stores.claim(stores.new())
    assert (claim.entries, claim.next_due_ms) == ((), None)
    assert list(stores.admin.scan_iter()) == []


async def test_an_entry_is_leased_to_one_worker(stores):
    """Of twenty simultaneous claims each entry goes to exactly one."""
    verifications = [await _enqueueing(stores) for _ in range(30)]
    claims = await asyncio.gather(*(stores.claim(verifications[0], lease_ms=LEASE_MS, most=4) for _ in range(20)))
    leased = Counter(entry.key for claim in claims for entry in claim.entries)
    assert leased == Counter(sid_of(verification) for verification in verifications)


async def test_the_first_due_entry_is_claimed_first(stores):
    """A claim takes a bounded number of entries, the oldest first, and leaves the others due."""
    verifications = []
    for _ in range(3):
        verifications.append(await _enqueueing(stores))
        stores.time_passes(1000)
    claim = await stores.claim(verifications[0], lease_ms=LEASE_MS, most=2)
    assert [entry.key for entry in claim.entries] == [sid_of(verification) for verification in verifications[:2]]
    assert claim.next_due_ms <= claim.now_ms


async def test_the_entry_of_a_dead_worker_is_taken_over(stores):
    """When a lease has expired another worker gets the entry; the first one can then neither postpone nor fail it."""
    verification = await _enqueueing(stores)
    first = await _claim_one(stores, verification)
    assert (await stores.claim(verification, lease_ms=LEASE_MS)).entries == ()
    stores.time_passes(LEASE_MS)
    second = await _claim_one(stores, verification)
    stale = replace(first, due_ms=first.due_ms - LEASE_MS)
    assert await stores.confirmations.postpone(stale, delay_ms=0, was_tried=True) is False
    assert await stores.confirmations.fail(stale, "late") is False
    assert (await stores.pending(), await stores.failed()) == ([second.key], {})
    assert await stores.confirmations.settle(second) is True
    assert await stores.confirmations.settle(stale) is False
    assert await stores.confirmations.fail(second, "late") is False
    assert await stores.confirmations.postpone(second, delay_ms=0, was_tried=True) is False
    assert (await stores.pending(), await stores.failed()) == ([], {})
    assert await stores.feedback(verification) == [Feedback.CONFIRMED]


async def test_a_settlement_after_the_lease_counts(stores):
    """A settlement after the end of its lease still removes the entry: Twilio has the report."""
    verification = await _enqueueing(stores)
    first = await _claim_one(stores, verification)
    stores.time_passes(LEASE_MS)
    await _claim_one(stores, verification)
    assert await stores.confirmations.settle(replace(first, due_ms=first.due_ms - LEASE_MS)) is True
    assert await stores.pending() == []


async def test_a_settled_entry_does_not_return(stores):
    """An entry that Twilio accepted is confirmed, counted once, and never pending again."""
    verification = await _enqueueing(stores)
    entry = await _claim_one(stores, verification)
    assert [await stores.confirmations.settle(entry) for _ in range(2)] == [True, False]
    assert await stores.verdict(verification, "111111") is Verdict.USED
    assert await stores.deliver(verification) is False
    assert await stores.pending() == []
    assert (await stores.stats.totals())["confirmed:US:sms"] == 1


@pytest.mark.parametrize(("was_tried", "tries"), [(True, 1), (False, 0)])
async def test_a_postponed_entry_comes_back(stores, was_tried, tries):
    """A postponed entry is due again after its delay and not before; only a real try is counted."""
    verification = await _enqueueing(stores)
    entry = await _claim_one(stores, verification)
    assert await stores.confirmations.postpone(entry, delay_ms=5 * MINUTE_MS, was_tried=was_tried) is True
    stores.time_passes(4 * MINUTE_MS)
    assert (await stores.claim(verification)).entries == ()
    stores.time_passes(MINUTE_MS)
    again = await _claim_one(stores, verification)
    assert (again.key, again.tries, again.particulars) == (entry.key, tries, entry.particulars)


async def test_no_sid_is_pending_twice(stores):
    """An existing entry keeps its due time and its tries, however often its cause is repeated."""
    verification = await stores.issue("111111")
    await stores.check(verification, "111111")
    assert await stores.deliver(verification) is True
    entry = await _claim_one(stores, verification)
    await stores.confirmations.postpone(entry, delay_ms=MINUTE_MS, was_tried=True)
    stores.raw(verification).set("feedback", "awaiting_sid", send=1)
    stores.raw(verification).remove("sid", send=1)
    await stores.deliver(verification)
    assert (await stores.claim(verification)).entries == ()
    assert [entry.tries async for entry in stores.confirmations.pending()] == [1]


async def test_confirmations_that_wait_for_a_sid_are_counted(stores):
    """A typed code without a SID counts once, until its SID arrives or its record expires; a wrong one never does."""

    async def awaiting():
        return await count_awaiting_sid(stores.scripts)

    lost, found = await stores.issue("111111"), await stores.issue("111111", to=OTHER_NUMBER)
    await stores.check(found, "222222")
    assert await awaiting() == 0
    for verification in (lost, found):
        for _ in range(2):
            await stores.check(verification, "111111")
    assert await awaiting() == 2
    assert await stores.deliver(found) is True
    assert await awaiting() == 1
    stores.time_passes(CODE_TTL_MS + HOUR_MS)
    assert await awaiting() == 0
    assert not list(stores.admin.scan_iter("*awaiting_sid"))


async def test_expired_waits_end_independently(stores):
    """The end of one entry does not end the others of its partition; an expired one is removed by the next one."""
    first = await stores.issue("111111")
    await stores.check(first, "111111")
    stores.time_passes(CODE_TTL_MS)
    later = await stores.issue("111111")
    await stores.check(later, "111111")
    stores.time_passes(HOUR_MS)  # the first record has expired
    assert await count_awaiting_sid(stores.scripts) == 1
    await stores.check(await stores.issue("111111"), "111111")
    key = redis_keys.awaiting_sid(partition_of(first.id))
    assert await count_awaiting_sid(stores.scripts) == stores.admin.zcard(key) == 2


async def test_a_short_wait_does_not_end_a_longer_one(stores):
    """Entries that wait for a SID, and lookups, live as long as the longest record of the partition."""
    long = await stores.issue("111111", ttl_seconds=4 * 3600)
    short = await stores.issue("111111")
    for verification in (long, short):
        await stores.check(verification, "111111")
    p, remaining_ms = partition_of(long.id), stores.admin.pttl(redis_keys.verification(long.id))
    for key in (redis_keys.awaiting_sid(p), redis_keys.lookups(p)):
        assert remaining_ms - MINUTE_MS < stores.admin.pttl(key) <= remaining_ms
    last = await stores.issue("111111", ttl_seconds=8 * 3600)
    await stores.check(last, "111111")
    for key in (redis_keys.awaiting_sid(p), redis_keys.lookups(p)):
        assert stores.admin.pttl(key) > remaining_ms


async def test_entries_outlive_their_verification(stores):
    """If the record expires while Twilio is unavailable, the entry remains, and settling it recreates nothing."""
    verification = await _enqueueing(stores)
    stores.admin.delete(redis_keys.verification(verification.id))
    entry = await _claim_one(stores, verification)
    assert await stores.confirmations.settle(entry) is True
    assert stores.record(verification) == {}


async def test_entries_live_a_day_after_they_were_last_touched(stores):
    """Each claim and each postponement extends the queue's TTL to 25 h, so that a busy worker loses nothing."""
    verification = await _enqueueing(stores)
    for _ in range(3):
        stores.time_passes(DAY_MS)
        claim = await stores.claim(verification, lease_ms=2 * HOUR_MS)
        assert [_is_readable(entry) for entry in claim.entries] == [True]
    stores.time_passes(HOUR_MS)
    held = replace(claim.entries[0], due_ms=claim.entries[0].due_ms - HOUR_MS)
    assert await stores.confirmations.postpone(held, delay_ms=0, was_tried=True)
    stores.time_passes(DAY_MS + HOUR_MS // 2)
    assert [_is_readable(entry) async for entry in stores.confirmations.pending()] == [True]


async def test_a_failed_entry_can_be_retried(stores):
    """A failed confirmation is kept with its reason, and can be retried once, with a new count of tries."""
    verification = await _enqueueing(stores)
    entry = await _claim_one(stores, verification)
    await stores.confirmations.postpone(entry, delay_ms=0, was_tried=True)
    entry = await _claim_one(stores, verification)
    assert [await stores.confirmations.fail(entry, "404 | gone") for _ in range(2)] == [True, False]
    assert await stores.feedback(verification) == [Feedback.FAILED]
    failed = (await stores.failed())[entry.key]
    assert (failed.reason, failed.entry.tries, failed.entry.particulars) == ("404 | gone", 1, entry.particulars)
    assert failed.failed_at_ms >= failed.entry.since_ms == entry.since_ms
    assert (await stores.pending(), await stores.verdict(verification, "111111")) == ([], Verdict.USED)
    assert [await stores.confirmations.retry(failed.entry) for _ in range(2)] == [True, False]
    assert await stores.feedback(verification) == [Feedback.PENDING]
    again = await _claim_one(stores, verification)
    assert (again.key, again.tries, again.particulars) == (entry.key, 0, entry.particulars)
    assert await stores.failed() == {}


async def test_the_outcome_of_an_entry_belongs_to_its_send(stores):
    """Whether the entry of a later send failed, is retried or was accepted is shown with that send only."""
    verification = await stores.issue("111111")
    await stores.resend(verification, "222222")
    await stores.deliver(verification, 2)
    await stores.check(verification, "222222")
    entry = await _claim_one(stores, verification)
    await stores.confirmations.fail(entry, "gone")
    assert await stores.feedback(verification) == [Feedback.NONE, Feedback.FAILED]
    await stores.confirmations.retry(entry)
    assert await stores.feedback(verification) == [Feedback.NONE, Feedback.PENDING]
    await stores.confirmations.settle(await _claim_one(stores, verification))
    assert await stores.feedback(verification) == [Feedback.NONE, Feedback.CONFIRMED]


@pytest.mark.parametrize(
    "line", [None, "", "rubbish", "1|2|3", "x|y|z|a|b|c", "0|0||||", "1|2|3|4|5|6|7|8", "two\nlines"]
)
async def test_an_unreadable_entry_can_be_failed_and_blocks_no_other(stores, line):
    """An entry with missing or malformed data is claimed as unreadable, and can be failed, listed and retried."""
    verification = await _enqueueing(stores)
    healthy = await _enqueueing(stores)
    info = redis_keys.outbox_info(partition_of(verification.id))
    poisoned = sid_of(verification)
    if line is None:
        stores.admin.hdel(info, poisoned)
    else:
        stores.admin.hset(info, poisoned, line)
    entries = {entry.key: entry for entry in (await stores.claim(verification)).entries}
    assert {sid: _is_readable(entry) for sid, entry in entries.items()} == {poisoned: False, sid_of(healthy): True}
    assert await stores.confirmations.fail(entries[poisoned], "illegible")
    failed = (await stores.failed())[poisoned]
    assert failed.reason == "illegible"
    assert await stores.confirmations.retry(failed.entry) is True
    assert set(await stores.pending()) == {poisoned, sid_of(healthy)}


async def test_the_state_of_the_queue(stores):
    """The state sums entries over all partitions, with the age of the oldest one, the halt and the worker's beat."""
    empty = await stores.confirmations.state()
    assert (empty.pending, empty.oldest_seconds, empty.failed) == (0, 0, 0)
    assert (empty.halted, empty.is_worked) == (None, False)
    first = await _enqueueing(stores, to=NUMBER)
    second = await _enqueueing(stores, to=OTHER_NUMBER)
    assert partition_of(first.id) != partition_of(second.id)
    await stores.confirmations.fail(await _claim_one(stores, first), "given up")
    stores.time_passes(HOUR_MS)
    await _claim_one(stores, second)
    await stores.confirmations.halt("401", ttl_seconds=60)
    await stores.confirmations.beat(ttl_seconds=60)
    state = await stores.confirmations.state()
    assert (state.pending, state.failed, state.halted, state.is_worked) == (1, 1, "401", True)
    assert 3600 <= state.oldest_seconds < 3900
    await stores.confirmations.resume()
    assert (await stores.confirmations.state()).halted is None
    stores.time_passes(HOUR_MS)
    assert (await stores.confirmations.state()).is_worked is False


async def test_the_oldest_entry_is_found_whenever_it_is_due(stores):
    """The age of the oldest entry is reported even if younger ones are due before it or are unreadable."""
    old = await _enqueueing(stores)
    await stores.confirmations.postpone(await _claim_one(stores, old), delay_ms=DAY_MS, was_tried=True)
    stores.time_passes(HOUR_MS)
    for _ in range(2):
        await _enqueueing(stores)
    p = partition_of(old.id)
    lost, garbled, *earlier = [f"SM{number:032x}" for number in range(60)]
    stores.admin.zadd(redis_keys.outbox(p), dict.fromkeys((lost, garbled, *earlier), 1))
    young = f"0|{int(stores.admin.time()[0]) * 1000}|ve|1|US|sms"
    stores.admin.hset(redis_keys.outbox_info(p), mapping=dict.fromkeys(earlier, young) | {garbled: "0|0||||"})
    last = await _enqueueing(stores)
    await stores.confirmations.postpone(
        {entry.key: entry for entry in (await stores.claim(last, most=100)).entries}[sid_of(last)],
        delay_ms=2 * DAY_MS,
        was_tried=True,
    )
    assert 3600 <= (await stores.confirmations.state()).oldest_seconds < 3900


async def test_looking_extends_the_life_of_entries(stores):
    """While posting is halted the worker only looks, which alone keeps the entries for another day."""
    verification = await _enqueueing(stores)
    for _ in range(3):
        stores.time_passes(DAY_MS)
        assert (await stores.claim(verification, most=0)).entries == ()
    assert await stores.pending() == [sid_of(verification)]
    assert await _claim_one(stores, verification)


async def test_failed_entries_are_kept_for_two_weeks(stores):
    """Each failed confirmation is kept for 14 days, whatever newer or older ones there are."""
    old = await _enqueueing(stores)
    await stores.confirmations.fail(await _claim_one(stores, old), "old")
    stores.time_passes(13 * DAY_MS)
    fresh = await _enqueueing(stores)
    entries = {entry.key: entry for entry in (await stores.claim(fresh)).entries}
    await stores.confirmations.fail(entries[sid_of(fresh)], "new")
    assert set(await stores.failed()) == {sid_of(old), sid_of(fresh)}
    stores.time_passes(2 * DAY_MS)
    last = await _enqueueing(stores)
    entries = {entry.key: entry for entry in (await stores.claim(last)).entries}
    await stores.confirmations.fail(entries[sid_of(last)], "newest")
    assert set(await stores.failed()) == {sid_of(fresh), sid_of(last)}
    particulars = stores.admin.hkeys(redis_keys.outbox_failed_info(partition_of(last.id)))
    assert {sid.decode() for sid in particulars} == {sid_of(fresh), sid_of(last)}


async def test_many_entries_can_be_listed(stores):
    """Listing pending and failed entries returns all of them, beyond one page."""
    verification = await _enqueueing(stores)
    p = partition_of(verification.id)
    sids = [f"SM{number:032x}" for number in range(1200)]
    stores.admin.zadd(redis_keys.outbox(p), dict.fromkeys(sids, 1))
    stores.admin.zadd(redis_keys.outbox_failed(p), dict.fromkeys(sids, 2))
    stores.admin.hset(redis_keys.outbox_failed_info(p), mapping=dict.fromkeys(sids, "0|1|ve|1|US|sms\ngiven up"))
    for key in (redis_keys.outbox_failed(p), redis_keys.outbox_failed_info(p)):
        stores.admin.expire(key, 60)
    assert set(await stores.pending()) == {*sids, sid_of(verification)}
    assert {sid: failed.reason for sid, failed in (await stores.failed()).items()} == dict.fromkeys(sids, "given up")
