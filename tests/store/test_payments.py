"""Payments in Redis, on every engine: a secret approves its payment alone, and the payment is nowhere in clear."""

import pytest

from service.core.payment import Payment, bound
from service.core.verification import Feedback, Verdict, partition_of
from service.store.lost_messages import RedisLostMessages
from tests.store.engines import MINUTE_MS, ROTATED, sid_of

PAYMENT, OTHER = Payment("12.50 EUR", "Acme Books"), Payment("12.50 EUR", "Evil Books")


def paying(code, payment=PAYMENT):
    """Return what is digested for a code."""
    return bound(code, payment)


async def test_a_code_with_its_payment_is_approved(stores):
    """The right code with the same payment approves and confirms, after a rotation of the keys too."""
    verification = await stores.sent(paying("111111"), payment=PAYMENT)
    assert await stores.under(ROTATED).verdict(verification, paying("111111"), payment=PAYMENT) is Verdict.APPROVED
    assert await stores.pending() == [sid_of(verification)]


@pytest.mark.parametrize("payment", [OTHER, Payment("", "Acme Books"), None], ids=["other", "half", "none"])
@pytest.mark.parametrize("code", ["111111", "000000"], ids=["right", "wrong"])
async def test_another_payment_is_a_mismatch(stores, code, payment):
    """With another payment, or none, the verdict is `mismatch` whatever the code: an attempt, and no confirmation."""
    verification = await stores.sent(paying("111111"), payment=PAYMENT)
    result = await stores.check(verification, paying(code, payment), payment=payment)
    assert (result.verdict, result.enqueued, result.verification.attempts) == (Verdict.MISMATCH, False, 1)
    assert await stores.pending() == []
    assert await stores.feedback(verification) == [Feedback.NONE]
    assert await stores.verdict(verification, paying("000000"), payment=PAYMENT) is Verdict.WRONG_CODE
    assert await stores.verdict(verification, paying("111111"), payment=PAYMENT) is Verdict.APPROVED


async def test_a_verification_without_a_payment_approves_none(stores):
    """A payment in the check of a code that was sent for none is a mismatch, which the limits of the number count."""
    verification = await stores.sent("111111")
    assert await stores.verdict(verification, paying("111111"), payment=PAYMENT) is Verdict.MISMATCH
    assert stores.number_record()[b"streak"] == b"1"
    assert await stores.verdict(verification, "111111") is Verdict.APPROVED


async def test_a_payment_is_read_for_the_next_message_alone(stores):
    """What is read has the payment, for a resend; what a check answers has not; and the record shows neither value."""
    verification = await stores.sent(paying("111111"), payment=PAYMENT)
    read = await stores.read(verification)
    assert read.payment == verification.payment == PAYMENT
    assert (await stores.resend(read, paying("222222"))).payment == PAYMENT
    checked = await stores.check(verification, paying("000000"), payment=PAYMENT)
    assert checked.verification.payment is None
    stored = b"".join(b"".join(each) for each in stores.record(verification).items())
    assert b"12.50" not in stored
    assert b"Acme" not in stored
    assert await stores.verdict(verification, paying("222222"), payment=PAYMENT) is Verdict.APPROVED


async def test_the_same_idempotency_key_repeats_a_mismatch(stores):
    """A repeated check of a payment gets the same verdict and costs no attempt."""
    verification = await stores.sent(paying("111111"), payment=PAYMENT)
    asked = {"payment": OTHER, "idempotency_key": "k" * 22, "fingerprint": "f" * 16}
    results = [await stores.check(verification, paying("111111", OTHER), **asked) for _ in range(2)]
    assert [(each.verdict, each.replayed) for each in results] == [(Verdict.MISMATCH, False), (Verdict.MISMATCH, True)]
    assert results[1].verification.attempts == 1


async def test_a_lost_message_is_found_with_its_payment(stores):
    """A lookup has the payment, without which no text of the list would have the digest."""
    verification = await stores.issue(paying("111111"), payment=PAYMENT)
    await stores.check(verification, paying("111111"), payment=PAYMENT)
    stores.time_passes(MINUTE_MS)
    lost = await RedisLostMessages(stores.scripts, stores.keyring).claim(partition_of(verification.id))
    assert lost.payment == PAYMENT
    assert lost.digests == set(stores.keyring.code_digests(verification.id, paying("111111"))[:1])
