"""Test numbers in Redis: always the same code, and never an entry, because nothing was sent."""

import pytest

from service.core.channels import Channel
from service.core.limits import Limited, Limits
from service.core.verification import Feedback, Verdict
from service.core.verification_store import SameCode
from tests.store.engines import CODE_TTL_MS, FORGOTTEN_MS, MINUTE_MS, ROTATED

CODE = "493027"


async def resend(stores, verification, code=CODE, *, is_test=True):
    """Write the next send to a test number."""
    digests = stores.keyring.code_digests(verification.id, code)
    return await stores.verifications.resend(verification, digests, Channel.SMS, is_test=is_test)


async def test_an_approval_of_a_test_number_enqueues_nothing(stores):
    """Its code is accepted once; no confirmation is pending or awaited, and the TTL of the record is unchanged."""
    stores = stores.under(late_window_seconds=0)
    verification = await stores.issue(CODE, is_test=True)
    assert [await stores.verdict(verification, CODE) for _ in range(2)] == [Verdict.APPROVED, Verdict.USED]
    assert await stores.feedback(verification) == [Feedback.NONE]
    assert await stores.pending() == []
    stores.time_passes(CODE_TTL_MS)
    assert stores.record(verification) == {}


async def test_a_resend_to_a_test_number_has_the_same_code_with_its_own_expiry(stores):
    """The code of a test number is valid as long as the newest send, with `supersede_codes`, too."""
    stores = stores.under(supersede_codes=True)
    verification = await stores.issue(CODE, is_test=True)
    stores.time_passes(CODE_TTL_MS - MINUTE_MS)
    resent = await resend(stores, verification)
    assert len(resent.sends) == 2
    stores.time_passes(2 * MINUTE_MS)
    assert await stores.verdict(verification, CODE) is Verdict.APPROVED
    assert await stores.feedback(verification) == [Feedback.NONE] * 2
    assert await stores.pending() == []


async def test_a_resend_to_a_test_number_outlives_a_rotation(stores):
    """The same code under a newer key belongs to the newest send, not to the first one."""
    verification = await stores.issue(CODE, is_test=True)
    stores.time_passes(CODE_TTL_MS - MINUTE_MS)
    rotated = stores.under(ROTATED)
    await resend(rotated, verification)
    stores.time_passes(2 * MINUTE_MS)
    assert await rotated.verdict(verification, CODE) is Verdict.APPROVED


async def test_a_former_test_number_gets_messages_like_any_other(stores):
    """After the setting was removed a resend has a code of its own, and that message is confirmed."""
    verification = await stores.issue(CODE, is_test=True)
    with pytest.raises(SameCode):
        await resend(stores, verification, is_test=False)
    await resend(stores, verification, "111111", is_test=False)
    await stores.deliver(verification, 2)
    assert await stores.verdict(verification, "111111") is Verdict.APPROVED
    assert await stores.feedback(verification) == [Feedback.NONE, Feedback.PENDING]


async def test_a_test_number_has_the_usual_limits(stores):
    """Sends and failed checks of a test number are counted, and stop it."""
    stores = stores.under(number=Limits(((2, FORGOTTEN_MS),)), most_failed_in_a_row=3)
    verification = await stores.issue(CODE, is_test=True)
    await resend(stores, verification)
    with pytest.raises(Limited):
        await stores.issue(CODE, is_test=True)
    for _ in range(3):
        assert await stores.verdict(verification, "000000") is Verdict.WRONG_CODE
    assert await stores.verdict(verification, CODE) is Verdict.LOCKED
