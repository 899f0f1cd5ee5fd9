"""The hard stop of one number in Redis: after too many failed checks in a row, only an operator can release it."""

import pytest

from service.core.limits import Limited, Limits
from service.core.verification import Status, Verdict
from tests.store.engines import CODE_TTL_MS, FORGOTTEN_MS, MINUTE_MS, OTHER_NUMBER

HOUR_MS, DAY_MS = 60 * MINUTE_MS, 24 * 60 * MINUTE_MS
YEAR_MS = 365 * DAY_MS


async def type_wrong_codes(stores, count, **fields):
    """Type this many wrong codes, five to a verification."""
    for start in range(0, count, 5):
        verification = await stores.sent("111111", **fields)
        for _ in range(min(5, count - start)):
            assert await stores.verdict(verification, "000000") is Verdict.WRONG_CODE


async def assert_stopped(stores, held):
    """Assert that nothing of the number is sent or compared."""
    record = stores.record(held)
    assert await stores.verdict(held, "111111") is Verdict.LOCKED
    with pytest.raises(Limited) as limited:
        await stores.issue("111111")
    assert limited.value.retry_after_ms == DAY_MS
    with pytest.raises(Limited):
        await stores.resend(held, "222222")
    assert stores.record(held) == record, "nothing was counted"


async def test_guesses_at_a_refused_verification_do_not_count(stores):
    """Checks of a verification whose only message was refused are not counted: it has no code."""
    refused = await stores.issue("111111")
    await stores.verifications.refuse(refused, 1, error_code=21610, passing=False)
    for code in ("000000", "111111"):
        assert await stores.verdict(refused, code) is Verdict.WRONG_CODE
    held = await stores.sent("222222")
    assert stores.admin.hmget(stores.number_key(), "failed", "streak") == [None, None]
    assert await stores.verdict(held, "000000") is Verdict.WRONG_CODE
    assert stores.admin.hget(stores.number_key(), "streak") == b"1"


async def test_the_last_failed_check_in_a_row_stops_everything(stores):
    """After the last allowed failed check in a row, nothing of the number is compared or sent any more."""
    stores = stores.under(most_failed_in_a_row=7)
    held = await stores.sent("111111")
    await type_wrong_codes(stores, 6)
    assert await stores.verdict(held, "111111", purpose="payment") is Verdict.MISMATCH
    await assert_stopped(stores, held)
    assert (await stores.read(held)).status is Status.PENDING
    assert await stores.pending() == []
    other = await stores.sent("111111", to=OTHER_NUMBER)
    assert await stores.verdict(other, "111111") is Verdict.APPROVED
    assert (await stores.stats.totals())["numbers:stopped"] == 1


async def test_the_stop_allows_as_many_failed_checks_as_it_says(stores):
    """With one failed check left a right code is approved, and resets the count."""
    stores = stores.under(most_failed_in_a_row=7)
    for _ in range(3):
        held = await stores.sent("111111")
        await type_wrong_codes(stores, 6)
        assert await stores.verdict(held, "111111") is Verdict.APPROVED
        assert b"streak" not in stores.number_record()
    assert "numbers:stopped" not in await stores.stats.totals()


async def test_a_stopped_number_still_reports_ended_verifications(stores):
    """While its number is stopped an ended verification returns `used` or `canceled` for any code."""
    stores = stores.under(most_failed_in_a_row=5)
    approved, canceled = await stores.sent("111111"), await stores.sent("111111")
    await stores.check(approved, "111111")
    await stores.verifications.cancel(canceled.id)
    await type_wrong_codes(stores, 5)
    for code in ("111111", "000000"):
        assert await stores.verdict(approved, code) is Verdict.USED
        assert await stores.verdict(canceled, code) is Verdict.CANCELED
    assert await stores.feedback(canceled) == ["none"]


async def test_only_an_approval_resets_the_count(stores):
    """Right codes that are late or already used neither raise nor reset the count."""
    late, used = await stores.sent("111111"), await stores.sent("222222")
    await stores.check(used, "222222")
    await type_wrong_codes(stores, 3)
    stores.time_passes(CODE_TTL_MS)
    assert await stores.verdict(late, "111111") is Verdict.EXPIRED
    assert await stores.verdict(used, "222222") is Verdict.USED
    assert stores.number_record()[b"streak"] == b"3"


async def test_a_repeated_check_is_counted_once(stores):
    """A wrong code under one Idempotency-Key is one failed check, however often the request is repeated."""
    verification = await stores.sent("111111")
    for _ in range(3):
        assert await stores.verdict(verification, "000000", idempotency_key="k") is Verdict.WRONG_CODE
    assert stores.number_record()[b"streak"] == b"1"


async def test_the_count_outlives_every_window_and_record(stores):
    """Three failed checks of six are remembered for half a year, five for five sixths of a year."""
    stores = stores.under(most_failed_in_a_row=6, failed_checks=Limits(((3, DAY_MS),)))
    for count, remembered_ms in ((3, YEAR_MS // 2), (2, YEAR_MS * 5 // 6)):
        await type_wrong_codes(stores, count)
        stores.time_passes(remembered_ms - MINUTE_MS)
    await type_wrong_codes(stores, 1)
    with pytest.raises(Limited):
        await stores.issue("111111")


async def test_a_count_is_remembered_in_proportion_to_its_size(stores):
    """Each failed check adds its share of the year, after which the count is deleted."""
    stores = stores.under(most_failed_in_a_row=100)
    for failed in (1, 2, 5):
        await type_wrong_codes(stores, failed)
        share_ms = YEAR_MS * failed // 100
        assert share_ms - MINUTE_MS < stores.admin.pttl(stores.number_key()) <= share_ms
        stores.time_passes(share_ms)
        assert not stores.admin.exists(stores.number_key())


async def test_waiting_allows_no_more_guesses_than_the_stop(stores):
    """However an attacker spaces guesses, a year allows no more of them than the stop."""
    stores = stores.under(most_failed_in_a_row=20)
    for row in (1, 5, 10, 19):
        await type_wrong_codes(stores, row)
        waited_ms = stores.admin.pttl(stores.number_key())
        assert row * YEAR_MS / (waited_ms + MINUTE_MS) <= 20
        stores.time_passes(waited_ms)


@pytest.mark.parametrize("tried", ["issue", "resend", "check"])
async def test_each_refused_try_extends_a_stop(stores, tried):
    """Each refused try extends the stop by another year; a year without any ends it."""
    stores = stores.under(most_failed_in_a_row=5, late_window_seconds=2 * YEAR_MS // 1000)
    held = await stores.sent("111111", ttl_seconds=2 * YEAR_MS // 1000)
    await type_wrong_codes(stores, 5)
    stores.time_passes(YEAR_MS - MINUTE_MS)
    if tried == "check":
        assert await stores.verdict(held, "111111") is Verdict.LOCKED
    else:
        with pytest.raises(Limited):
            await (stores.issue("111111") if tried == "issue" else stores.resend(held, "222222"))
    stores.time_passes(YEAR_MS - MINUTE_MS)
    assert stores.number_record()[b"streak"] == b"5"
    stores.time_passes(MINUTE_MS)
    await stores.issue("111111")


async def test_a_mistyped_code_is_forgotten_after_an_approval(stores):
    """After an approval the number is deleted when its windows and its verification have expired."""
    stores = stores.under(number=Limits(((9, HOUR_MS),)), failed_checks=Limits(((9, 9 * DAY_MS),)))
    verification = await stores.sent("111111")
    await stores.check(verification, "000000")
    assert stores.admin.pttl(stores.number_key()) > YEAR_MS // 100 - MINUTE_MS
    await stores.check(verification, "111111")
    assert 9 * DAY_MS - MINUTE_MS < stores.admin.pttl(stores.number_key()) <= 9 * DAY_MS


@pytest.mark.parametrize("remembered", ["number", "failed_checks", "record"])
async def test_an_approval_deletes_nothing_that_is_still_needed(stores, remembered):
    """An approval keeps the sends, the failed checks and the newest verification of a number for as long as before."""
    long, short = Limits(((9, 9 * DAY_MS),)), Limits(((9, 1000),))
    stores = stores.under(number=short, failed_checks=short)
    if remembered != "record":
        stores = stores.under(**{remembered: long})
    verification = await stores.sent("111111")
    for code in ("000000", "111111"):
        await stores.check(verification, code)
    # Another verification may have a password that lives a day longer.
    needed_ms = FORGOTTEN_MS + DAY_MS if remembered == "record" else 9 * DAY_MS
    assert needed_ms - MINUTE_MS < stores.admin.pttl(stores.number_key()) <= needed_ms
