"""Checks in Redis, on every engine: each verdict; count before compare, enqueue before consume."""

import asyncio
from collections import Counter

import pytest

from service.core.idempotency import OtherBody
from service.core.store_health import StoreUnavailable
from service.core.verification import Feedback, Status, Verdict, partition_of
from service.core.verification_store import UnknownVerification
from service.metrics import without_slots
from service.store import keys as redis_keys
from tests.records import undated
from tests.store.engines import CODE_TTL_MS, FORGOTTEN_MS, MINUTE_MS, OTHER_NUMBER, ROTATED, sid_of


async def test_a_right_code_is_approved_and_its_message_pending(stores):
    """The right code approves, and enqueues the confirmation of exactly the message that contained it."""
    verification = await stores.sent("111111")
    result = await stores.check(verification, "111111")
    assert (result.verdict, result.enqueued, result.replayed) == (Verdict.APPROVED, True, False)
    assert result.verification.status is Status.APPROVED
    assert result.verification.sends[0].feedback is Feedback.PENDING
    assert undated(result.verification) == undated(await stores.read(verification))._replace(number_tag=None)
    assert await stores.pending() == [sid_of(verification)]


async def test_a_code_is_accepted_once(stores):
    """Of a hundred simultaneous checks with the right code one is approved, and one confirmation is pending."""
    stores = stores.under(max_attempts=1000)
    verification = await stores.sent("111111")
    verdicts = await asyncio.gather(*(stores.verdict(verification, "111111") for _ in range(100)))
    assert Counter(verdicts) == {Verdict.APPROVED: 1, Verdict.USED: 99}
    assert await stores.pending() == [sid_of(verification)]


async def test_a_key_of_another_owner_checks_nothing(stores):
    """For a key of another owner a verification is unknown, even with the right code, and no attempt is counted."""
    verification = await stores.sent("111111", owner="a" * 12)
    for code in ("000000", "111111"):
        with pytest.raises(UnknownVerification):
            await stores.check(verification, code, owner="b" * 12)
    assert (await stores.read(verification)).attempts == 0
    nobodys = await stores.sent("111111", to=OTHER_NUMBER)
    with pytest.raises(UnknownVerification):
        await stores.check(nobodys, "111111", owner="b" * 12)
    assert await stores.verdict(verification, "111111", owner="a" * 12) is Verdict.APPROVED
    assert await stores.verdict(nobodys, "111111") is Verdict.APPROVED


async def test_after_the_last_attempt_nothing_is_compared(stores):
    """Five wrong codes lock: then the right one is not compared, enqueues nothing and counts no attempt."""
    verification = await stores.sent("111111")
    assert [await stores.verdict(verification, "000000") for _ in range(5)] == [Verdict.WRONG_CODE] * 5
    assert (await stores.read(verification)).status is Status.MAX_ATTEMPTS_REACHED
    result = await stores.check(verification, "111111")
    assert (result.verdict, result.enqueued, result.verification.attempts) == (Verdict.LOCKED, False, 5)
    assert await stores.pending() == []


async def test_a_code_of_a_locked_verification_enqueues_nothing(stores):
    """A locked verification stays locked if more attempts are allowed later: its code is wrong and confirms nothing."""
    verification = await stores.sent("111111")
    for _ in range(5):
        await stores.check(verification, "000000")
    result = await stores.under(max_attempts=10).check(verification, "111111")
    assert (result.verdict, result.enqueued) == (Verdict.WRONG_CODE, False)
    assert result.verification.status is Status.MAX_ATTEMPTS_REACHED
    assert await stores.pending() == []


async def test_parallel_guesses_get_no_more_attempts(stores):
    """Of two hundred simultaneous guesses five are compared."""
    verification = await stores.sent("111111")
    guesses = (f"{guess:06}" for guess in range(200_000, 200_200))
    verdicts = await asyncio.gather(*(stores.verdict(verification, guess) for guess in guesses))
    assert Counter(verdicts) == {Verdict.WRONG_CODE: 5, Verdict.LOCKED: 195}
    assert await stores.verdict(verification, "111111") is Verdict.LOCKED


async def test_the_last_attempt_may_be_right(stores):
    """The right code as the last attempt is approved; every later check is `used` and not compared."""
    verification = await stores.sent("111111")
    for _ in range(4):
        await stores.check(verification, "000000")
    assert await stores.verdict(verification, "111111") is Verdict.APPROVED
    assert await stores.verdict(verification, "111111") is Verdict.USED
    assert (await stores.read(verification)).attempts == 5


@pytest.mark.parametrize("asked", [{"to": OTHER_NUMBER}, {"purpose": "payment"}])
async def test_a_mismatch_is_not_compared(stores, asked):
    """A right code for another number or purpose is a `mismatch`: it counts an attempt and confirms nothing."""
    verification = await stores.sent("111111")
    result = await stores.check(verification, "111111", **asked)
    assert (result.verdict, result.enqueued, result.verification.attempts) == (Verdict.MISMATCH, False, 1)
    assert await stores.verdict(verification, "111111", to=verification.to, purpose="login") is Verdict.APPROVED


async def test_the_code_of_another_verification_is_wrong(stores):
    """A code is valid for its own verification only, even if two belong to one number."""
    first, second = await stores.sent("111111"), await stores.sent("222222")
    assert await stores.verdict(first, "222222") is Verdict.WRONG_CODE
    assert await stores.verdict(second, "222222") is Verdict.APPROVED
    assert await stores.pending() == [sid_of(second)]


async def test_a_code_written_under_an_old_key_is_accepted(stores):
    """After a key rotation earlier codes are still accepted: all listed keys are tried."""
    verification = await stores.sent("111111")
    assert await stores.under(ROTATED).verdict(verification, "111111") is Verdict.APPROVED


@pytest.mark.parametrize("typed", [(1, 2), (2, 1)])
async def test_each_code_confirms_its_own_message(stores, typed):
    """After a resend either code is approved and confirms its own message only; the other one does so later."""
    verification = await stores.sent("111111")
    await stores.resend(verification, "222222")
    await stores.deliver(verification, 2)
    for send, verdict in zip(typed, (Verdict.APPROVED, Verdict.USED), strict=True):
        result = await stores.check(verification, f"{send}" * 6)
        shown = (await stores.read(verification))._replace(number_tag=None)
        assert (result.verdict, undated(result.verification)) == (verdict, undated(shown))
        confirmed = typed[: typed.index(send) + 1]
        feedback = [Feedback.PENDING if number in confirmed else Feedback.NONE for number in (1, 2)]
        assert await stores.feedback(verification) == feedback
        assert sorted(await stores.pending()) == sorted(sid_of(verification, number) for number in confirmed)


async def test_each_send_has_its_own_expiry(stores):
    """The first code expires at its own time; the second one stays valid."""
    verification = await stores.sent("111111")
    stores.time_passes(CODE_TTL_MS - MINUTE_MS)
    await stores.resend(verification, "222222")
    stores.time_passes(MINUTE_MS)
    assert await stores.verdict(verification, "111111") is Verdict.EXPIRED
    assert await stores.verdict(verification, "222222") is Verdict.APPROVED


async def test_a_code_is_valid_until_its_expiry(stores):
    """A code is accepted shortly before its TTL has elapsed, and not afterwards."""
    early, late = await stores.sent("111111"), await stores.sent("111111")
    stores.time_passes(CODE_TTL_MS - MINUTE_MS)
    assert await stores.verdict(early, "111111") is Verdict.APPROVED
    stores.time_passes(MINUTE_MS)
    assert await stores.verdict(late, "111111") is Verdict.EXPIRED


async def test_an_expired_record_is_unknown(stores):
    """A verification whose record has expired is unknown."""
    verification = await stores.sent("111111")
    stores.time_passes(FORGOTTEN_MS)
    with pytest.raises(UnknownVerification):
        await stores.check(verification, "111111")


async def test_a_code_is_consumed_after_its_entry_is_written(stores):
    """If the entry cannot be written nothing is approved: the attempt is counted, and the code stays valid."""
    verification = await stores.sent("111111")
    pending = redis_keys.outbox(partition_of(verification.id))
    stores.admin.set(pending, "in the way", ex=60)
    with pytest.raises(StoreUnavailable):
        await stores.check(verification, "111111")
    standing = await stores.read(verification)
    assert (standing.status, standing.attempts, standing.sends[0].feedback) == (Status.PENDING, 1, Feedback.NONE)
    stores.admin.delete(pending)
    assert await stores.verdict(verification, "111111") is Verdict.APPROVED
    assert await stores.pending() == [sid_of(verification)]


async def test_a_repeated_check_returns_the_same_verdict(stores):
    """The same Idempotency-Key and body within 60 s return the same verdict, without a new attempt or entry."""
    verification = await stores.sent("111111")
    same = {"idempotency_key": "k1", "fingerprint": "ab"}
    assert await stores.verdict(verification, "000000", idempotency_key="k0", fingerprint="cd") is Verdict.WRONG_CODE
    first = await stores.check(verification, "111111", **same)
    again = await stores.check(verification, "111111", **same)
    assert (first.verdict, first.enqueued, first.replayed) == (Verdict.APPROVED, True, False)
    assert (again.verdict, again.enqueued, again.replayed) == (Verdict.APPROVED, False, True)
    assert again.verification.attempts == 2
    assert await stores.verdict(verification, "000000", idempotency_key="k0", fingerprint="cd") is Verdict.WRONG_CODE
    assert (await stores.read(verification)).attempts == 2


async def test_a_repeated_key_with_another_body_is_refused(stores):
    """An Idempotency-Key with another body is refused, and the code is not checked."""
    verification = await stores.sent("111111")
    await stores.check(verification, "000000", idempotency_key="k1", fingerprint="ab")
    with pytest.raises(OtherBody):
        await stores.check(verification, "111111", idempotency_key="k1", fingerprint="cd")
    assert (await stores.read(verification)).attempts == 1


async def test_a_repeated_check_is_remembered_for_a_minute(stores):
    """The same Idempotency-Key returns the old verdict for 60 s, and is checked again afterwards."""
    verification = await stores.sent("111111")
    assert await stores.verdict(verification, "111111", idempotency_key="k1", fingerprint="ab") is Verdict.APPROVED
    stores.time_passes(50_000)
    assert (await stores.check(verification, "111111", idempotency_key="k1", fingerprint="ab")).replayed
    stores.time_passes(11_000)
    later = await stores.check(verification, "111111", idempotency_key="k1", fingerprint="ab")
    assert (later.verdict, later.replayed, later.verification.attempts) == (Verdict.USED, False, 2)


async def test_the_last_attempt_can_be_repeated(stores):
    """Repeating the attempt that locked returns its own verdict rather than `locked`."""
    stores = stores.under(max_attempts=1)
    verification = await stores.sent("111111")
    same = {"idempotency_key": "k1", "fingerprint": "ab"}
    assert [await stores.verdict(verification, "000000", **same) for _ in range(2)] == [Verdict.WRONG_CODE] * 2


async def test_every_verdict_is_counted(stores):
    """The counters count each verdict, and approvals by country and channel."""
    stores = stores.under(max_attempts=3)
    verification, guessed = await stores.sent("111111"), await stores.sent("222222")
    for code in ("000000", "111111", "111111"):
        await stores.check(verification, code)
    for _ in range(4):
        await stores.check(guessed, "000000")
    totals = await stores.stats.totals()
    expected = {"issued:US:sms": 2, "accepted:US:sms": 2, "queued:US:sms": 2, "approved:US:sms": 1}
    assert without_slots(totals) == Counter({**expected, "check:wrong_code": 4, "check:used": 1, "check:locked": 1})
