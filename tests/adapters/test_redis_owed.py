"""Confirmations in Redis, on every engine: leased to one worker, ended once, never lost, given up with a reason."""

import asyncio
from collections import Counter
from dataclasses import replace

import pytest

from service.adapters import redis_keys
from service.core.verification import Feedback, Verdict, partition_of
from tests.adapters.engines import CODE_TTL_MS, MINUTE_MS, NUMBER, OTHER_NUMBER, sid_of

LEASE_MS = MINUTE_MS
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS


async def _owing(stores, **fields):
    """Approve a verification, so that its confirmation is owed."""
    verification = await stores.sent("111111", **fields)
    assert await stores.verdict(verification, "111111") is Verdict.APPROVED
    return verification


async def _claim_one(stores, verification):
    (debt,) = (await stores.claim(verification, lease_ms=LEASE_MS)).debts
    return debt


async def test_a_debt_carries_its_particulars(stores):
    """A claimed debt says which message of which verification, of which country and channel, since when."""
    verification = await _owing(stores)
    claim = await stores.claim(verification, lease_ms=LEASE_MS)
    (debt,) = claim.debts
    assert (debt.sid, debt.verification_id, debt.send_number) == (sid_of(verification), verification.id, 1)
    assert (debt.country, debt.channel, debt.tries, debt.legible) == ("US", "sms", 0, True)
    assert verification.created_at_ms <= debt.since_ms <= claim.now_ms
    assert debt.due_ms == claim.now_ms + LEASE_MS == claim.next_due_ms


async def test_an_empty_partition_has_nothing_to_claim(stores):
    """A claim where nothing is owed brings nothing and writes nothing."""
    claim = await stores.claim(stores.new())
    assert (claim.debts, claim.next_due_ms) == ((), None)
    assert list(stores.admin.scan_iter()) == []


async def test_a_debt_is_leased_to_one_worker(stores):
    """Of twenty claims at once each debt goes to exactly one."""
    verifications = [await _owing(stores) for _ in range(30)]
    claims = await asyncio.gather(*(stores.claim(verifications[0], lease_ms=LEASE_MS, most=4) for _ in range(20)))
    leased = Counter(debt.sid for claim in claims for debt in claim.debts)
    assert leased == Counter(sid_of(verification) for verification in verifications)


async def test_what_is_due_first_is_claimed_first(stores):
    """A claim takes at most so many debts, the oldest first, and leaves the others due."""
    verifications = []
    for _ in range(3):
        verifications.append(await _owing(stores))
        stores.time_passes(1000)
    claim = await stores.claim(verifications[0], lease_ms=LEASE_MS, most=2)
    assert [debt.sid for debt in claim.debts] == [sid_of(verification) for verification in verifications[:2]]
    assert claim.next_due_ms <= claim.now_ms


async def test_a_dead_worker_is_taken_over(stores):
    """When a lease has run out another worker gets the debt; the first one can neither postpone nor bury it then."""
    verification = await _owing(stores)
    first = await _claim_one(stores, verification)
    assert (await stores.claim(verification, lease_ms=LEASE_MS)).debts == ()
    stores.time_passes(LEASE_MS)
    second = await _claim_one(stores, verification)
    stale = replace(first, due_ms=first.due_ms - LEASE_MS)
    assert await stores.confirmations.postpone(stale, delay_ms=0, was_tried=True) is False
    assert await stores.confirmations.bury(stale, "late") is False
    assert (await stores.owed(), await stores.dead()) == ([second.sid], {})
    assert await stores.confirmations.settle(second) is True
    assert await stores.confirmations.settle(stale) is False
    assert await stores.confirmations.bury(second, "late") is False
    assert await stores.confirmations.postpone(second, delay_ms=0, was_tried=True) is False
    assert (await stores.owed(), await stores.dead()) == ([], {})
    assert await stores.feedback(verification) == [Feedback.CONFIRMED]


async def test_what_twilio_has_accepted_is_settled_whoever_says_so(stores):
    """A settlement that comes after the end of its lease removes the debt all the same: Twilio knows."""
    verification = await _owing(stores)
    first = await _claim_one(stores, verification)
    stores.time_passes(LEASE_MS)
    await _claim_one(stores, verification)
    assert await stores.confirmations.settle(replace(first, due_ms=first.due_ms - LEASE_MS)) is True
    assert await stores.owed() == []


async def test_a_settled_debt_is_gone_for_good(stores):
    """What Twilio has taken is confirmed, counted once, and never owed again."""
    verification = await _owing(stores)
    debt = await _claim_one(stores, verification)
    assert [await stores.confirmations.settle(debt) for _ in range(2)] == [True, False]
    assert await stores.verdict(verification, "111111") is Verdict.USED
    assert await stores.deliver(verification) is False
    assert await stores.owed() == []
    assert (await stores.stats.totals())["confirmed:US:sms"] == 1


@pytest.mark.parametrize(("was_tried", "tries"), [(True, 1), (False, 0)])
async def test_a_postponed_debt_comes_back(stores, was_tried, tries):
    """A postponed debt is due again after its delay and not before; only a real try is counted."""
    verification = await _owing(stores)
    debt = await _claim_one(stores, verification)
    assert await stores.confirmations.postpone(debt, delay_ms=5 * MINUTE_MS, was_tried=was_tried) is True
    stores.time_passes(4 * MINUTE_MS)
    assert (await stores.claim(verification)).debts == ()
    stores.time_passes(MINUTE_MS)
    again = await _claim_one(stores, verification)
    assert (again.sid, again.tries, again.send_number) == (debt.sid, tries, 1)


async def test_no_sid_is_owed_twice(stores):
    """A debt that exists keeps its due time and its tries, however often its cause is repeated."""
    verification = await stores.issue("111111")
    await stores.check(verification, "111111")
    assert await stores.deliver(verification) is True
    debt = await _claim_one(stores, verification)
    await stores.confirmations.postpone(debt, delay_ms=MINUTE_MS, was_tried=True)
    stores.admin.hset(redis_keys.verification(verification.id), "f:1", "waiting")
    stores.admin.hdel(redis_keys.verification(verification.id), "s:1")
    await stores.deliver(verification)
    assert (await stores.claim(verification)).debts == ()
    assert [debt.tries async for debt in stores.confirmations.owed()] == [1]


async def test_what_waits_for_its_sid_is_counted(stores):
    """A typed code without a SID counts once, until its SID comes or its record has expired; a wrong one never does."""

    async def awaiting():
        return (await stores.confirmations.state()).awaiting_sid

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
    assert (await stores.confirmations.state()).awaiting_sid == 1
    await stores.check(await stores.issue("111111"), "111111")
    key = redis_keys.awaiting_sid(partition_of(first.id))
    assert (await stores.confirmations.state()).awaiting_sid == stores.admin.zcard(key) == 2


async def test_debts_outlive_their_verification(stores):
    """The record may expire while Twilio is away: the debt is still there, and settling revives nothing."""
    verification = await _owing(stores)
    stores.admin.delete(redis_keys.verification(verification.id))
    debt = await _claim_one(stores, verification)
    assert await stores.confirmations.settle(debt) is True
    assert stores.record(verification) == {}


async def test_debts_live_a_day_after_they_were_last_touched(stores):
    """Each claim and each postponement gives the queue a new day (25 h), so that a busy worker loses nothing."""
    verification = await _owing(stores)
    for _ in range(3):
        stores.time_passes(DAY_MS)
        claim = await stores.claim(verification, lease_ms=2 * HOUR_MS)
        assert [debt.legible for debt in claim.debts] == [True]
    stores.time_passes(HOUR_MS)
    held = replace(claim.debts[0], due_ms=claim.debts[0].due_ms - HOUR_MS)
    assert await stores.confirmations.postpone(held, delay_ms=0, was_tried=True)
    stores.time_passes(DAY_MS + HOUR_MS // 2)
    assert [debt.legible async for debt in stores.confirmations.owed()] == [True]


async def test_a_buried_debt_can_be_replayed(stores):
    """A confirmation that was given up is kept with its reason, and can be owed again once, with fresh tries."""
    verification = await _owing(stores)
    debt = await _claim_one(stores, verification)
    await stores.confirmations.postpone(debt, delay_ms=0, was_tried=True)
    debt = await _claim_one(stores, verification)
    assert [await stores.confirmations.bury(debt, "404 | gone") for _ in range(2)] == [True, False]
    assert await stores.feedback(verification) == [Feedback.DEAD]
    dead = (await stores.dead())[debt.sid]
    assert (dead.reason, dead.debt.tries, dead.debt.verification_id) == ("404 | gone", 1, verification.id)
    assert dead.died_at_ms >= dead.debt.since_ms == debt.since_ms
    assert (await stores.owed(), await stores.verdict(verification, "111111")) == ([], Verdict.USED)
    assert [await stores.confirmations.replay(dead.debt) for _ in range(2)] == [True, False]
    assert await stores.feedback(verification) == [Feedback.OWED]
    again = await _claim_one(stores, verification)
    assert (again.sid, again.tries, again.verification_id) == (debt.sid, 0, verification.id)
    assert await stores.dead() == {}


@pytest.mark.parametrize("line", [None, "", "rubbish", "1|2|3", "x|y|z|a|b|c", "0|0||||", "1|2|3|4|5|6|7|8"])
async def test_a_poisoned_debt_can_be_buried_and_holds_up_nobody(stores, line):
    """A debt whose particulars are lost or garbled is handed out as illegible, buried, listed and replayed."""
    verification = await _owing(stores)
    healthy = await _owing(stores)
    info = redis_keys.owed_info(partition_of(verification.id))
    poisoned = sid_of(verification)
    if line is None:
        stores.admin.hdel(info, poisoned)
    else:
        stores.admin.hset(info, poisoned, line)
    debts = {debt.sid: debt for debt in (await stores.claim(verification)).debts}
    assert {sid: debt.legible for sid, debt in debts.items()} == {poisoned: False, sid_of(healthy): True}
    assert await stores.confirmations.bury(debts[poisoned], "illegible")
    dead = (await stores.dead())[poisoned]
    assert dead.reason == "illegible"
    assert await stores.confirmations.replay(dead.debt) is True
    assert set(await stores.owed()) == {poisoned, sid_of(healthy)}


async def test_the_queue_at_a_glance(stores):
    """The state sums owed and dead over all partitions, tells the oldest debt's age, and who has stopped or is gone."""
    empty = await stores.confirmations.state()
    assert (empty.owed, empty.oldest_seconds, empty.dead) == (0, 0, 0)
    assert (empty.halted, empty.is_worked) == (None, False)
    first = await _owing(stores, to=NUMBER)
    second = await _owing(stores, to=OTHER_NUMBER)
    assert partition_of(first.id) != partition_of(second.id)
    await stores.confirmations.bury(await _claim_one(stores, first), "given up")
    stores.time_passes(HOUR_MS)
    await _claim_one(stores, second)
    await stores.confirmations.halt("401", ttl_seconds=60)
    await stores.confirmations.beat(ttl_seconds=60)
    state = await stores.confirmations.state()
    assert (state.owed, state.dead, state.halted, state.is_worked) == (1, 1, "401", True)
    assert 3600 <= state.oldest_seconds < 3900
    await stores.confirmations.resume()
    assert (await stores.confirmations.state()).halted is None
    stores.time_passes(HOUR_MS)
    assert (await stores.confirmations.state()).is_worked is False


async def test_a_look_keeps_the_debts_alive(stores):
    """While posting has stopped the worker only looks, and that alone keeps the debts for another day."""
    verification = await _owing(stores)
    for _ in range(3):
        stores.time_passes(DAY_MS)
        assert (await stores.claim(verification, most=0)).debts == ()
    assert await stores.owed() == [sid_of(verification)]
    assert await _claim_one(stores, verification)


async def test_the_dead_are_forgotten_after_two_weeks(stores):
    """Each dead confirmation is kept 14 days of its own: newer ones do not keep it longer, older ones do not end it."""
    old = await _owing(stores)
    await stores.confirmations.bury(await _claim_one(stores, old), "old")
    stores.time_passes(13 * DAY_MS)
    fresh = await _owing(stores)
    debts = {debt.sid: debt for debt in (await stores.claim(fresh)).debts}
    await stores.confirmations.bury(debts[sid_of(fresh)], "new")
    assert set(await stores.dead()) == {sid_of(old), sid_of(fresh)}
    stores.time_passes(2 * DAY_MS)
    last = await _owing(stores)
    debts = {debt.sid: debt for debt in (await stores.claim(last)).debts}
    await stores.confirmations.bury(debts[sid_of(last)], "newest")
    assert set(await stores.dead()) == {sid_of(fresh), sid_of(last)}
    particulars = stores.admin.hkeys(redis_keys.dead_info(partition_of(last.id)))
    assert {sid.decode() for sid in particulars} == {sid_of(fresh), sid_of(last)}


async def test_many_debts_can_be_walked(stores):
    """Listing what is owed and what is dead leaves nobody out, past one page."""
    verification = await _owing(stores)
    p = partition_of(verification.id)
    sids = [f"SM{number:032x}" for number in range(1200)]
    stores.admin.zadd(redis_keys.owed(p), dict.fromkeys(sids, 1))
    stores.admin.zadd(redis_keys.dead(p), dict.fromkeys(sids, 2))
    stores.admin.hset(redis_keys.dead_info(p), mapping=dict.fromkeys(sids, "0|1|ve|1|US|sms|given up"))
    for key in (redis_keys.dead(p), redis_keys.dead_info(p)):
        stores.admin.expire(key, 60)
    assert set(await stores.owed()) == {*sids, sid_of(verification)}
    assert {sid: dead.reason for sid, dead in (await stores.dead()).items()} == dict.fromkeys(sids, "given up")
