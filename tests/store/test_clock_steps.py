"""Redis's clock steps back (promise 11): no limit lasts longer than its window, and no count is lost.

A step back is the opposite of passing time: every instant and every TTL in Redis lies further in the future.
"""

import pytest

from service.core.idempotency import Abandoned
from service.core.limits import Limit, Limited, Limits, Unit
from service.core.verification import Status, Verdict
from service.core.verification_store import NotPending
from tests.store.engines import MINUTE_MS, NUMBER

HOUR_MS = 60 * MINUTE_MS
TWO_A_MINUTE = Limits(((2, MINUTE_MS),))


async def refused_for_ms(stores):
    """Return for how long a number is refused a new code (ms), or 0."""
    try:
        await stores.issue("999999")
    except Limited as limited:
        return limited.retry_after_ms
    return 0


async def test_a_number_is_refused_no_longer_than_its_window(stores):
    """After a step of an hour a number at its limit is refused for a minute, and asking does not extend that."""
    stores = stores.under(number=TWO_A_MINUTE)
    for code in ("111111", "222222"):
        await stores.issue(code)
    stores.time_passes(-HOUR_MS)
    assert (await stores.numbers.held(NUMBER)).record.wait_ms <= MINUTE_MS
    assert MINUTE_MS * 0.9 < await refused_for_ms(stores) <= MINUTE_MS
    stores.time_passes(MINUTE_MS / 2)
    assert 0 < await refused_for_ms(stores) <= MINUTE_MS / 2
    stores.time_passes(MINUTE_MS / 2)
    assert await refused_for_ms(stores) == 0


async def test_failed_checks_count_no_longer_than_their_window(stores):
    """The same applies to too many failed checks, which still count although their instants are in the future."""
    stores = stores.under(failed_checks=TWO_A_MINUTE)
    verification = await stores.sent("111111")
    for _ in range(2):
        await stores.check(verification, "000000")
    stores.time_passes(-HOUR_MS)
    assert MINUTE_MS * 0.9 < await refused_for_ms(stores) <= MINUTE_MS
    stores.time_passes(MINUTE_MS)
    assert await refused_for_ms(stores) == 0


async def test_a_shared_limit_keeps_its_count_and_its_window(stores):
    """A limit shared by many keeps its count, and is free again after its window."""
    unit = Unit(Limit.CLIENT_IP, "x", TWO_A_MINUTE)
    for _ in range(2):
        assert (await stores.limits.reserve([unit]))[0].wait_ms == 0
    stores.time_passes(-HOUR_MS)
    shift_slices(stores, "otp:limit:*", HOUR_MS)
    for _ in range(2):
        [refused] = await stores.limits.reserve([unit])
        assert 0 < refused.wait_ms <= MINUTE_MS * 1.1
    shift_slices(stores, "otp:limit:*", -int(MINUTE_MS * 1.2))
    assert (await stores.limits.reserve([unit]))[0].wait_ms == 0


async def test_an_idempotency_key_is_held_for_no_longer_than_a_lease(stores):
    """A request that died before the step holds its Idempotency-Key for one more lease, not for an hour."""

    async def begin(fence):
        named = {"fence": fence, "fingerprint": "f", "verification_id": "ve_1", "lease_ms": 30_000}
        return await stores.idempotency.begin("key", **named)

    await begin("a")
    stores.time_passes(-HOUR_MS)
    assert 29_000 < (await begin("b")).running_ms <= 30_000
    stores.time_passes(15_000)
    assert 14_000 < (await begin("b")).running_ms <= 15_000
    stores.time_passes(15_001)
    assert (await begin("b")).is_overdue
    stores.time_passes(-HOUR_MS)
    assert 29_000 < (await begin("b")).running_ms <= 30_000
    stores.time_passes(30_001)
    assert (await begin("b")).abandoned == Abandoned("ve_1")


async def test_a_code_from_before_the_step_has_expired(stores):
    """A code of unknown age is not approved and is shown as expired, and its message is confirmed."""
    verification = await stores.sent("111111")
    stores.time_passes(-HOUR_MS)
    assert (await stores.read(verification)).status is Status.EXPIRED
    assert (await stores.verifications.cancel(verification.id)).status is Status.EXPIRED
    with pytest.raises(NotPending):
        await stores.resend(verification, "222222")
    assert await stores.verdict(verification, "111111") is Verdict.EXPIRED
    assert len(await stores.pending()) == 1
    again = await stores.sent("333333")
    assert await stores.verdict(again, "333333") is Verdict.APPROVED


async def test_a_small_step_expires_no_code(stores):
    """A step of a few seconds, as after a failover to a replica, expires no code."""
    verification = await stores.sent("111111")
    stores.time_passes(-4000)
    assert (await stores.read(verification)).status is Status.PENDING
    assert await stores.verdict(verification, "111111") is Verdict.APPROVED


async def test_a_stored_verdict_is_not_replayed_after_a_step(stores):
    """The verdict stored for an Idempotency-Key before the step is not replayed after it."""
    verification = await stores.sent("111111")
    named = {"idempotency_key": "k", "fingerprint": "f" * 16}
    assert not (await stores.check(verification, "000000", **named)).replayed
    stores.time_passes(-HOUR_MS)
    assert not (await stores.check(verification, "000000", **named)).replayed


def shift_slices(stores, pattern, ms):
    """Shift the slices of limits, whose instants are slice numbers, by a time."""
    for key in stores.admin.scan_iter(pattern):
        for field, count in stores.admin.hgetall(key).items():
            window, place = map(int, field.split(b":"))
            moved = f"{window}:{place + ms // -(-window // 20)}"
            stores.admin.hdel(key, field)
            stores.admin.hset(key, moved, count)
            stores.admin.pexpire(key, HOUR_MS * 2)


async def test_a_code_from_the_future_is_valid_once_the_clock_has_caught_up(stores):
    """After a step of 30 s a code is `expired` until the clock is within 5 s of its sending, and then approved."""
    verification = await stores.sent()
    stores.time_passes(-30_000)
    assert await stores.verdict(verification, "111111") is Verdict.EXPIRED
    assert (await stores.read(verification)).status is Status.EXPIRED
    stores.time_passes(28_000)
    assert (await stores.read(verification)).status is Status.PENDING
    assert await stores.verdict(verification, "111111") is Verdict.APPROVED
