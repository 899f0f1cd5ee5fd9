"""The limits of one number in Redis: sends and failed checks, exact in every window, over all its verifications."""

import asyncio
import random

import pytest

from service.core.limits import UNLIMITED, Limit, Limited, Limits
from service.core.verification import Status, Verdict
from tests.store.engines import CODE_TTL_MS, FORGOTTEN_MS, MINUTE_MS, OTHER_NUMBER

SHORT = Limits(((2, 300), (5, 900)))


async def _try_to_issue(stores, **fields):
    """Return the instant of a send that was granted, or None."""
    try:
        return (await stores.issue(**fields)).created_at_ms
    except Limited:
        return None


async def test_no_window_holds_more_sends_than_its_limit(stores):
    """However sends and resends are spread, no window at any position holds more of them than allowed."""
    stores = stores.under(number=SHORT)
    draw = random.Random(7)
    granted = []
    while not granted or granted[-1] - granted[0] < 1500:
        instant = await _try_to_issue(stores)
        if instant is not None:
            granted.append(instant)
        await asyncio.sleep(draw.choice([0, 0.01, 0.05, 0.12]))
    for most, window_ms in SHORT.windows:
        spans = [later - earlier for earlier, later in zip(granted, granted[most:], strict=False)]
        assert min(spans) >= window_ms, (granted, most, window_ms)


async def test_a_burst_gets_no_more_than_the_limit(stores):
    """Of fifty simultaneous sends to one number exactly the limit is granted; another number has its own."""
    stores = stores.under(number=Limits(((3, MINUTE_MS),)))
    granted = await asyncio.gather(*(_try_to_issue(stores) for _ in range(50)))
    assert sum(instant is not None for instant in granted) == 3
    assert await _try_to_issue(stores, to=OTHER_NUMBER) is not None


async def test_the_wait_is_enough_and_no_longer_than_needed(stores):
    """After the returned wait a send is allowed, and the wait never exceeds the window."""
    stores = stores.under(number=Limits(((1, 300),)))
    await stores.issue()
    with pytest.raises(Limited) as limited:
        await stores.issue()
    assert 0 < limited.value.retry_after_ms <= 300
    await asyncio.sleep(limited.value.retry_after_ms / 1000)
    await stores.issue()


async def test_a_refused_send_is_not_counted(stores):
    """Asking while limited does not extend the wait."""
    stores = stores.under(number=Limits(((1, MINUTE_MS),)))
    await stores.issue()
    for _ in range(3):
        assert await _try_to_issue(stores) is None
    stores.time_passes(MINUTE_MS)
    assert await _try_to_issue(stores) is not None


async def test_resends_count_like_issues(stores):
    """Sends of all verifications of a number share one limit, and each result says when the next is allowed."""
    stores = stores.under(number=Limits(((2, MINUTE_MS),)))
    verification = await stores.issue("111111")
    assert verification.resend_at_ms == verification.created_at_ms
    resent = await stores.resend(verification, "222222")
    assert resent.resend_at_ms == verification.created_at_ms + MINUTE_MS
    with pytest.raises(Limited):
        await stores.resend(verification, "333333")
    with pytest.raises(Limited):
        await stores.issue("111111")
    assert len((await stores.read(verification)).sends) == 2


async def test_the_longest_window_is_remembered(stores):
    """A number's sends are remembered for the longest window, even if every record has long expired."""
    day_ms = 24 * 60 * MINUTE_MS
    stores = stores.under(number=Limits(((1, MINUTE_MS), (2, day_ms))))
    for _ in range(2):
        await stores.issue()
        stores.time_passes(day_ms // 2 - MINUTE_MS)
    assert await _try_to_issue(stores) is None
    stores.time_passes(2 * MINUTE_MS)
    assert await _try_to_issue(stores) is not None


async def test_a_number_is_remembered_as_long_as_its_newest_send(stores):
    """However short the windows are, the record of a number lives as long as any of its verifications can."""
    verification = await stores.issue("111111")
    for code in ("222222", "333333"):
        assert FORGOTTEN_MS - MINUTE_MS < stores.admin.pttl(stores.number_key()) <= FORGOTTEN_MS
        stores.time_passes(CODE_TTL_MS // 2)
        await stores.resend(verification, code)


async def test_too_many_failed_checks_stop_new_codes_only(stores):
    """A verification keeps its own attempts, whatever was typed for other verifications of its number."""
    stores = stores.under(failed_checks=Limits(((7, MINUTE_MS),)))
    held, *strange = [await stores.sent("111111") for _ in range(3)]
    typed = [await stores.verdict(verification, "000000") for verification in strange for _ in range(5)]
    assert typed == [Verdict.WRONG_CODE] * 10
    assert await _try_to_issue(stores) is None
    assert await _try_to_issue(stores, to=OTHER_NUMBER) is not None
    assert await stores.verdict(held, "000000") is Verdict.WRONG_CODE
    assert await stores.verdict(held, "111111") is Verdict.APPROVED


async def test_a_resend_allows_no_more_guesses(stores):
    """A resend reduces neither the verification's attempts nor the number's failed checks (A3)."""
    stores = stores.under(failed_checks=Limits(((4, MINUTE_MS),)))
    verification = await stores.sent("111111")
    await stores.verdict(verification, "000000")
    await stores.verdict(verification, "000000", purpose="payment")
    await stores.resend(verification, "222222")
    assert await stores.verdict(verification, "000000") is Verdict.WRONG_CODE
    await stores.resend(verification, "333333")
    assert await stores.verdict(verification, "000000", purpose="payment") is Verdict.MISMATCH
    standing = await stores.read(verification)
    assert (standing.attempts, standing.status) == (4, Status.PENDING)
    with pytest.raises(Limited):
        await stores.resend(verification, "444444")
    assert await stores.verdict(verification, "333333") is Verdict.APPROVED


async def test_a_number_with_too_many_failed_checks_gets_no_message(stores):
    """A number at its limit of failed checks gets no message, by issue or resend, until the window has passed."""
    stores = stores.under(failed_checks=Limits(((2, MINUTE_MS),)))
    verification = await stores.sent("111111")
    for _ in range(2):
        await stores.check(verification, "000000")
    assert await _try_to_issue(stores) is None
    with pytest.raises(Limited) as limited:
        await stores.resend(verification, "222222")
    assert 0 < limited.value.retry_after_ms <= MINUTE_MS
    assert await _try_to_issue(stores, to=OTHER_NUMBER) is not None
    stores.time_passes(MINUTE_MS)
    await stores.resend(verification, "222222")


@pytest.mark.parametrize(("limit", "minutes"), [(Limit.NUMBER, (2, 1)), (Limit.FAILED_CHECKS, (1, 2))])
async def test_a_refusal_names_the_limit_that_lasts_longer(stores, limit, minutes):
    """If sends and failed checks of a number are both used up, the longer wait is reported, with its name."""
    number, failed = (Limits(((1, each * MINUTE_MS),)) for each in minutes)
    verification = await stores.sent("111111")
    await stores.under(failed_checks=failed).check(verification, "000000")
    stores = stores.under(number=number, failed_checks=failed)
    for step in (stores.issue(), stores.resend(verification, "222222")):
        with pytest.raises(Limited) as limited:
            await step
        assert limited.value.limit is limit
        assert MINUTE_MS < limited.value.retry_after_ms <= 2 * MINUTE_MS


async def test_only_failed_checks_are_counted_as_failed(stores):
    """Right codes, including late ones, do not count as failed checks of the number."""
    stores = stores.under(failed_checks=Limits(((1, MINUTE_MS),)))
    verification = await stores.sent("111111")
    late = await stores.sent("111111")
    for _ in range(3):
        await stores.check(verification, "111111")
    stores.time_passes(CODE_TTL_MS)
    assert await stores.verdict(late, "111111") is Verdict.EXPIRED
    fresh = await stores.sent("111111")
    assert await stores.verdict(fresh, "111111") is Verdict.APPROVED


async def test_failed_checks_outlive_the_number_limit_and_the_record(stores):
    """A number's failed checks are remembered for their own window, however short the other one is."""
    day_ms = 24 * 60 * MINUTE_MS
    stores = stores.under(number=Limits(((1, 1000),)), failed_checks=Limits(((1, day_ms),)))
    await stores.check(await stores.sent("111111"), "000000")
    stores.time_passes(day_ms - MINUTE_MS)
    assert await _try_to_issue(stores) is None
    stores.time_passes(MINUTE_MS)
    assert await _try_to_issue(stores) is not None


async def test_sends_and_failed_checks_are_remembered_independently(stores):
    """A wrong code leaves the number's sends remembered, and a send leaves its wrong codes remembered."""
    day_ms = 24 * 60 * MINUTE_MS
    long, short = Limits(((1, day_ms),)), Limits(((9, 1000),))
    by_sends = stores.under(number=long, failed_checks=short)
    await by_sends.check(await by_sends.sent("111111"), "000000")
    by_failures = stores.under(number=short, failed_checks=long)
    await by_failures.check(await by_failures.sent("111111", to=OTHER_NUMBER), "000000")
    await stores.sent("111111", to=OTHER_NUMBER)
    stores.time_passes(day_ms - MINUTE_MS)
    assert await _try_to_issue(by_sends) is None
    assert await _try_to_issue(by_failures, to=OTHER_NUMBER) is None


async def test_the_stored_failed_checks_are_bounded_by_their_limit(stores):
    """However many wrong codes are typed, only those that the limit needs are kept."""
    stores = stores.under(failed_checks=Limits(((2, MINUTE_MS), (7, 60 * MINUTE_MS))))
    verifications = [await stores.sent("111111", to=OTHER_NUMBER)]
    verifications += [await stores.under(failed_checks=UNLIMITED).sent("111111", to=OTHER_NUMBER) for _ in range(3)]
    for verification in verifications * 5:
        await stores.check(verification, "000000")
    assert stores.number_record(OTHER_NUMBER)[b"failed"].count(b",") == 6
    stores.time_passes(59 * MINUTE_MS)
    assert await _try_to_issue(stores, to=OTHER_NUMBER) is None
