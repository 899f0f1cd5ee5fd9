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


def _is_legible(entry):
    return entry.is_legible and read_confirmation(entry.particulars) is not None


async def test_an_entry_carries_its_particulars(stores):
    """A claimed entry says which message of which verification, of which country and channel, since when."""
    verification = await _enqueueing(stores)
    claim = await stores.claim(verification, lease_ms=LEASE_MS)
    (entry,) = claim.entries
    assert (entry.key, entry.tries, entry.is_legible) == (sid_of(verification), 0, True)
    assert read_confirmation(entry.particulars) == (verification.id, 1, "US", "sms")
    assert verification.created_at_ms <= entry.since_ms <= claim.now_ms
    assert entry.due_ms == claim.now_ms + LEASE_MS == claim.next_due_ms


async def test_an_empty_partition_has_nothing_to_claim(stores):
    """A claim where nothing is pending brings nothing and writes nothing."""
    claim = await stores.claim(stores.new())
    assert (claim.entries, claim.next_due_ms) == ((), None)
    assert list(stores.admin.scan_iter()) == []


async def test_an_entry_is_leased_to_one_worker(stores):
    """Of twenty claims at once each entry goes to exactly one."""
    verifications = [await _enqueueing(stores) for _ in range(30)]
    claims = await asyncio.gather(*(stores.claim(verifications[0], lease_ms=LEASE_MS, most=4) for _ in range(20)))
    leased = Counter(entry.key for claim in claims for entry in claim.entries)
    assert leased == Counter(sid_of(verification) for verification in verifications)


async def test_what_is_due_first_is_claimed_first(stores):
    """A claim takes at most so many entries, the oldest first, and leaves the others due."""
    verifications = []
    for _ in range(3):
        verifications.append(await _enqueueing(stores))
        stores.time_passes(1000)
    claim = await stores.claim(verifications[0], lease_ms=LEASE_MS, most=2)
    assert [entry.key for entry in claim.entries] == [sid_of(verification) for verification in verifications[:2]]
    assert claim.next_due_ms <= claim.now_ms


async def test_the_entry_of_a_dead_worker_is_taken_over(stores):
    """When a lease has run out another worker gets the entry; the first one can neither postpone nor fail it then."""
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


async def test_what_twilio_has_accepted_is_settled_whoever_says_so(stores):
    """A settlement after the end of its lease still removes the entry: Twilio has the report."""
    verification = await _enqueueing(stores)
    first = await _claim_one(stores, verification)
    stores.time_passes(LEASE_MS)
    await _claim_one(stores, verification)
    assert await stores.confirmations.settle(replace(first, due_ms=first.due_ms - LEASE_MS)) is True
    assert await stores.pending() == []


async def test_a_settled_entry_is_gone_for_good(stores):
    """What Twilio has taken is confirmed, counted once, and never pending again."""
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
    """An entry that exists keeps its due time and its tries, however often its cause is repeated."""
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


async def test_what_waits_for_its_sid_is_counted(stores):
    """A typed code without a SID counts once, until its SID comes or its record has expired; a wrong one never does."""

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


async def test_what_has_expired_waits_no_longer_and_the_rest_does(stores):
    """One entry's end does not end the others of its partition, and what has expired is cleared by the next one."""
    first = await stores.issue("111111")
    await stores.check(first, "111111")
    stores.time_passes(CODE_TTL_MS)
    later = await stores.issue("111111")
    await stores.check(later, "111111")
    stores.time_passes(HOUR_MS)  # the first record is gone
    assert await count_awaiting_sid(stores.scripts) == 1
    await stores.check(await stores.issue("111111"), "111111")
    key = redis_keys.awaiting_sid(partition_of(first.id))
    assert await count_awaiting_sid(stores.scripts) == stores.admin.zcard(key) == 2


async def test_a_short_wait_ends_no_longer_one(stores):
    """What waits for its SID, and the look for its message, live as long as the longest record of the partition."""
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
    """The record may expire while Twilio is away: the entry is still there, and settling revives nothing."""
    verification = await _enqueueing(stores)
    stores.admin.delete(redis_keys.verification(verification.id))
    entry = await _claim_one(stores, verification)
    assert await stores.confirmations.settle(entry) is True
    assert stores.record(verification) == {}


async def test_entries_live_a_day_after_they_were_last_touched(stores):
    """Each claim and each postponement gives the queue a new day (25 h), so that a busy worker loses nothing."""
    verification = await _enqueueing(stores)
    for _ in range(3):
        stores.time_passes(DAY_MS)
        claim = await stores.claim(verification, lease_ms=2 * HOUR_MS)
        assert [_is_legible(entry) for entry in claim.entries] == [True]
    stores.time_passes(HOUR_MS)
    held = replace(claim.entries[0], due_ms=claim.entries[0].due_ms - HOUR_MS)
    assert await stores.confirmations.postpone(held, delay_ms=0, was_tried=True)
    stores.time_passes(DAY_MS + HOUR_MS // 2)
    assert [_is_legible(entry) async for entry in stores.confirmations.pending()] == [True]


async def test_a_failed_entry_can_be_retried(stores):
    """A failed confirmation is kept with its reason, and can be retried once, with fresh tries."""
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


async def test_the_end_of_an_entry_is_that_of_its_own_send(stores):
    """Whether the entry of a later send failed, is tried again or was taken is shown with that send alone."""
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
async def test_an_illegible_entry_can_be_failed_and_blocks_no_other(stores, line):
    """An entry whose particulars are lost or garbled is claimed as illegible, and can be failed, listed and retried."""
    verification = await _enqueueing(stores)
    healthy = await _enqueueing(stores)
    info = redis_keys.outbox_info(partition_of(verification.id))
    poisoned = sid_of(verification)
    if line is None:
        stores.admin.hdel(info, poisoned)
    else:
        stores.admin.hset(info, poisoned, line)
    entries = {entry.key: entry for entry in (await stores.claim(verification)).entries}
    assert {sid: _is_legible(entry) for sid, entry in entries.items()} == {poisoned: False, sid_of(healthy): True}
    assert await stores.confirmations.fail(entries[poisoned], "illegible")
    failed = (await stores.failed())[poisoned]
    assert failed.reason == "illegible"
    assert await stores.confirmations.retry(failed.entry) is True
    assert set(await stores.pending()) == {poisoned, sid_of(healthy)}


async def test_the_queue_at_a_glance(stores):
    """The state sums entries over all partitions, with the oldest one's age, the halt and the worker's beat."""
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
    """Its age is told beside younger entries that are due before and after it, and beside illegible ones."""
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


async def test_a_look_keeps_the_entries_alive(stores):
    """While posting has stopped the worker only looks, and that alone keeps the entries for another day."""
    verification = await _enqueueing(stores)
    for _ in range(3):
        stores.time_passes(DAY_MS)
        assert (await stores.claim(verification, most=0)).entries == ()
    assert await stores.pending() == [sid_of(verification)]
    assert await _claim_one(stores, verification)


async def test_failed_entries_are_forgotten_after_two_weeks(stores):
    """Each failed confirmation is kept 14 days: newer ones do not prolong that, and older ones do not shorten it."""
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


async def test_many_entries_can_be_walked(stores):
    """Listing pending and failed entries leaves none out, past one page."""
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
