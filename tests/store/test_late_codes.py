"""Promise 6 in Redis: a right secret that comes too late approves nothing, and its message is confirmed once."""

import pytest

from service.core.actions import Action
from service.core.verification import Delivery, Feedback, Status, Verdict
from tests.store.engines import CODE_TTL_MS, sid_of


@pytest.fixture(params=Action)
def stores(stores, request):
    """Issue and check with the secret of each action."""
    return stores.under(action=request.param)


async def _expired(stores):
    verification = await stores.sent("111111")
    stores.time_passes(CODE_TTL_MS)
    return stores, verification


async def _superseded(stores):
    stores = stores.under(supersede_codes=True)
    verification = await stores.sent("111111")
    await stores.resend(verification, "222222")
    await stores.verifications.note_handed(verification.id, 2)
    return stores, verification


async def _approved_by_another_send(stores):
    verification = await stores.sent("111111")
    await stores.resend(verification, "222222")
    await stores.deliver(verification, 2)
    assert await stores.verdict(verification, "222222") is Verdict.APPROVED
    return stores, verification


async def _canceled(stores):
    verification = await stores.sent("111111")
    await stores.verifications.cancel(verification.id)
    return stores, verification


LATE = {
    "expired": (_expired, Verdict.EXPIRED, Status.EXPIRED),
    "superseded": (_superseded, Verdict.SUPERSEDED, Status.PENDING),
    "after_approval": (_approved_by_another_send, Verdict.USED, Status.APPROVED),
    "after_cancel": (_canceled, Verdict.CANCELED, Status.CANCELED),
}
late_ways = pytest.mark.parametrize(("lateness", "verdict", "status"), LATE.values(), ids=LATE)


@late_ways
async def test_a_late_code_confirms_its_message_and_approves_nothing(stores, lateness, verdict, status):
    """Whatever made the code late, the confirmation of its own message is pending and the state does not change."""
    stores, verification = await lateness(stores)
    others = set(await stores.pending())
    result = await stores.check(verification, "111111")
    assert (result.verdict, result.enqueued, result.verification.status) == (verdict, True, status)
    assert result.verification.sends[0].feedback is Feedback.PENDING
    assert set(await stores.pending()) - others == {sid_of(verification, 1)}


@late_ways
async def test_a_late_code_confirms_once(stores, lateness, verdict, status):
    """A late code that is typed again enqueues nothing, even after the first entry was settled."""
    stores, verification = await lateness(stores)
    await stores.check(verification, "111111")
    for entry in (await stores.claim(verification)).entries:
        assert await stores.confirmations.settle(entry)
    again = await stores.check(verification, "111111")
    assert (again.verdict, again.enqueued) == (verdict, False)
    assert await stores.pending() == []
    assert again.verification.sends[0].feedback is Feedback.CONFIRMED


@late_ways
async def test_a_late_code_costs_an_attempt(stores, lateness, verdict, status):
    """A late check is counted like any other; once no attempts are left nothing is compared or enqueued."""
    stores, verification = await lateness(stores)
    before, others = (await stores.read(verification)).attempts, set(await stores.pending())
    while (await stores.read(verification)).attempts < 5:
        assert await stores.verdict(verification, "000000") is Verdict.WRONG_CODE
    result = await stores.check(verification, "111111")
    ended = {Status.APPROVED: Verdict.USED, Status.CANCELED: Verdict.CANCELED}
    assert result.verdict is ended.get(status, Verdict.LOCKED)
    assert (result.enqueued, result.verification.attempts) == (False, 5)
    assert before < 5
    assert set(await stores.pending()) == others


@late_ways
async def test_a_late_code_without_its_sid_waits(stores, lateness, verdict, status):
    """A late code whose message has no SID yet is pending as soon as the SID arrives."""
    stores, verification = await lateness(stores)
    stores.raw(verification).remove("sid", send=1)
    others = set(await stores.pending())
    result = await stores.check(verification, "111111")
    assert (result.verdict, result.enqueued) == (verdict, False)
    assert result.verification.sends[0].feedback is Feedback.AWAITING_SID
    assert await stores.deliver(verification, 1)
    assert set(await stores.pending()) - others == {sid_of(verification, 1)}


async def test_the_last_attempt_may_be_late(stores):
    """An expired code as the last attempt is still confirmed, and locks."""
    stores, verification = await _expired(stores)
    for _ in range(4):
        await stores.check(verification, "000000")
    result = await stores.check(verification, "111111")
    assert (result.verdict, result.enqueued) == (Verdict.EXPIRED, True)
    assert result.verification.status is Status.MAX_ATTEMPTS_REACHED


async def test_the_newest_code_is_accepted_with_supersede_codes(stores):
    """With `supersede_codes` the newest code is accepted, even after an older one was tried."""
    stores, verification = await _superseded(stores)
    await stores.deliver(verification, 2)
    assert await stores.verdict(verification, "111111") is Verdict.SUPERSEDED
    assert await stores.verdict(verification, "222222") is Verdict.APPROVED
    assert set(await stores.pending()) == {sid_of(verification, 1), sid_of(verification, 2)}


@pytest.mark.parametrize("passing", [True, False])
async def test_a_send_that_was_taken_back_supersedes_nothing(stores, passing):
    """With `supersede_codes` the newest code is that of the newest message that may have been sent."""
    stores = stores.under(supersede_codes=True)
    verification = await stores.sent("111111")
    resent = await stores.resend(verification, "222222")
    await stores.verifications.note_handed(verification.id, 2)
    await stores.verifications.refuse(resent, 2, error_code=None, passing=passing)
    await stores.resend(verification, "333333")
    assert await stores.verdict(verification, "111111") is Verdict.APPROVED


@pytest.mark.parametrize("code", ["111111", "222222"])
async def test_a_send_that_was_not_handed_to_twilio_supersedes_nothing(stores, code):
    """A resend whose process died before it called Twilio leaves the earlier code valid."""
    stores = stores.under(supersede_codes=True)
    verification = await stores.sent("111111")
    await stores.resend(verification, "222222")
    assert await stores.verdict(verification, code) is Verdict.APPROVED


@pytest.mark.parametrize("told_by", ["Twilio", "its silence", "a callback after its silence"])
async def test_a_send_that_was_handed_to_twilio_supersedes_all_before_it(stores, told_by):
    """A message that Twilio accepted, or may have accepted, supersedes every earlier code."""
    stores = stores.under(supersede_codes=True)
    verification = await stores.sent("111111")
    for code in ("222222", "333333", "444444"):
        await stores.resend(verification, code)
    if told_by != "Twilio":
        for _ in range(2):
            await stores.verifications.note_handed(verification.id, 3)
    if told_by != "its silence":
        await stores.deliver(verification, 3, status=Delivery.DELIVERED)
    assert await stores.verdict(verification, "111111") is Verdict.SUPERSEDED
    assert await stores.verdict(verification, "222222") is Verdict.SUPERSEDED
    assert (await stores.read(verification)).sends[2].status is (
        Delivery.UNKNOWN if told_by == "its silence" else Delivery.DELIVERED
    )
    assert await stores.verdict(verification, "333333" if told_by == "Twilio" else "444444") is Verdict.APPROVED


async def test_by_default_a_later_send_supersedes_nothing(stores):
    """By default every unexpired code is accepted, even if a later message was handed to Twilio."""
    verification = await stores.sent("111111")
    await stores.resend(verification, "222222")
    await stores.deliver(verification, 2)
    assert await stores.verdict(verification, "111111") is Verdict.APPROVED


async def test_noting_a_handed_send_changes_nothing_else(stores):
    """A known delivery status stays, and no missing send or record is created."""
    verification = await stores.sent("111111")
    await stores.deliver(verification, status=Delivery.DELIVERED)
    before = stores.record(verification)
    for number in (0, 1, 2):
        await stores.verifications.note_handed(verification.id, number)
    await stores.verifications.note_handed(stores.new().id, 1)
    assert stores.record(verification) == before
    assert len(list(stores.admin.scan_iter("otp:{*}:v:*"))) == 1
