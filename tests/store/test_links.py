"""The promises of links in Redis: they live and are erased with their verification, and only a right match approves."""

import asyncio

import pytest

from service.core.actions import Action
from service.core.store_health import StoreUnavailable
from service.core.verification import Delivery, Feedback, Status, Verdict
from service.core.verification_store import Matching, UnknownVerification, WrongAction
from service.store import keys as redis_keys
from service.store.fields import FORMAT_VERSION
from tests.store.engines import CODE_TTL_MS, FORGOTTEN_MS, MINUTE_MS, NUMBER, ROTATED, sid_of


@pytest.fixture
def links(stores):
    """Issue and check links."""
    return stores.under(action=Action.LINK)


def keys_of_links(links):
    return sorted(links.admin.scan_iter("otp:{*}:link:*"))


async def test_a_link_leads_to_its_verification_and_send(links):
    """Each send has its own link, and all lead to the one verification, as it stands."""
    verification = await links.sent("111111", origin_text="Berlin", link_return=0)
    await links.resend(verification, "222222")
    for number, code in ((1, "111111"), (2, "222222")):
        linked = await links.linked(verification, code)
        assert (linked.verification.id, linked.send_number) == (verification.id, number)
        assert linked.verification.status is Status.PENDING
        assert (linked.verification.request.origin_text, linked.verification.request.link_return) == ("Berlin", 0)
    with pytest.raises(UnknownVerification):
        await links.linked(verification, "333333")


async def test_a_link_to_a_newer_format_is_refused(links):
    """A link to a record of a newer version is not read: `StoreUnavailable` says what to do."""
    verification = await links.sent()
    links.raw(verification).set("format", FORMAT_VERSION + 1)
    with pytest.raises(StoreUnavailable, match="newer format"):
        await links.linked(verification)


async def test_to_look_changes_nothing(links):
    """However often a scanner looks, not a byte in Redis changes, and no key is made."""
    verification = await links.sent()
    before = {key: links.admin.dump(key) for key in links.admin.scan_iter()}
    for code in ("111111", "111111", "999999"):
        try:
            await links.linked(verification, code)
        except UnknownVerification:
            assert code == "999999"
    assert {key: links.admin.dump(key) for key in links.admin.scan_iter()} == before


@pytest.mark.parametrize("action", [Action.CODE, Action.PASSWORD])
async def test_only_a_link_has_a_key_of_a_link(stores, action):
    """A code and a password leave no key beside the record."""
    stores = stores.under(action=action)
    await stores.resend(await stores.sent(), "222222")
    assert keys_of_links(stores) == []


async def test_links_live_as_long_as_the_record(links):
    """A resend and a wait for the SID prolong the record, and all its links with it."""
    verification = await links.issue("111111")
    record_key = redis_keys.verification(verification.id)

    def rests():
        return [links.admin.pttl(key) for key in (record_key, *keys_of_links(links))]

    assert max(rests()) - min(rests()) < MINUTE_MS
    links.time_passes(CODE_TTL_MS - MINUTE_MS)
    await links.resend(verification, "222222")
    assert len(rests()) == 3
    assert max(rests()) - min(rests()) < MINUTE_MS
    links.time_passes(FORGOTTEN_MS - MINUTE_MS)
    assert (await links.check(verification, "222222")).verification.sends[1].feedback is Feedback.AWAITING_SID
    assert min(rests()) > 50 * MINUTE_MS
    assert max(rests()) - min(rests()) < MINUTE_MS


async def test_a_wait_for_the_sid_shortens_no_link(links):
    """A check that makes the record wait for its SID leaves it and its link the longer life that they have."""
    verification = await links.issue("111111")
    record_key = redis_keys.verification(verification.id)
    before = links.admin.pttl(record_key)
    assert (await links.check(verification, "111111")).verification.sends[0].feedback is Feedback.AWAITING_SID
    for key in (record_key, *keys_of_links(links)):
        assert before - links.admin.pttl(key) < MINUTE_MS


async def test_a_link_without_its_record_is_unknown(links):
    """A link whose record is gone leads nowhere."""
    verification = await links.sent()
    links.admin.delete(redis_keys.verification(verification.id))
    with pytest.raises(UnknownVerification):
        await links.linked(verification)


async def test_a_link_ends_with_its_send(links):
    """A link of a send that was taken back leads nowhere; those of other sends stay."""
    verification = await links.sent("111111")
    resent = await links.resend(verification, "222222")
    await links.verifications.refuse(resent, 2, error_code=None, passing=True)
    assert len(keys_of_links(links)) == 1
    assert (await links.linked(verification, "111111")).send_number == 1
    with pytest.raises(UnknownVerification):
        await links.linked(verification, "222222")


@pytest.mark.parametrize("how", ["listed", "one by one"])
async def test_links_are_erased_with_the_number(links, how):
    """Whichever way a number is erased, no link of its verifications is left."""
    verification = await links.sent("111111")
    await links.resend(verification, "222222")
    other = await links.sent("111111", to="+12025550145")
    if how == "listed":
        await links.index.forget_record(NUMBER)
    else:
        await links.index.forget_verification(verification.id)
    assert len(keys_of_links(links)) == 1
    assert (await links.linked(other)).verification.id == other.id


async def test_a_right_match_approves_and_confirms(links):
    """The right match by a genuine link approves, and enqueues the confirmation of that send alone."""
    verification = await links.sent("111111")
    await links.resend(verification, "222222")
    await links.deliver(verification, 2)
    result = await links.check(verification, "222222")
    assert (result.verdict, result.enqueued) == (Verdict.APPROVED, True)
    assert await links.pending() == [sid_of(verification, 2)]


async def test_a_wrong_match_costs_an_attempt_and_confirms(links):
    """A wrong match approves nothing and costs an attempt each time, until locked; the receipt is confirmed once."""
    verification = await links.sent()
    for attempt in range(1, 6):
        result = await links.check(verification, "111111", matching=Matching.MISMATCHED)
        assert (result.verdict, result.verification.attempts) == (Verdict.WRONG_CODE, attempt)
        assert result.enqueued is (attempt == 1)
    assert result.verification.status is Status.MAX_ATTEMPTS_REACHED
    assert await links.verdict(verification, "111111") is Verdict.LOCKED
    assert await links.pending() == [sid_of(verification)]


async def test_a_wrong_match_without_a_sid_waits_for_it(links):
    """A wrong match on a link whose SID is not known yet is confirmed when the callback brings it (promise 5)."""
    verification = await links.issue()
    result = await links.check(verification, "111111", matching=Matching.MISMATCHED)
    assert result.verification.sends[0].feedback is Feedback.AWAITING_SID
    assert await links.deliver(verification, status=Delivery.DELIVERED)
    assert await links.pending() == [sid_of(verification)]


async def test_a_declined_link_cancels_and_confirms(links):
    """To say "It wasn't me" ends the verification and confirms the receipt; afterwards nothing approves it."""
    verification = await links.sent()
    result = await links.check(verification, "111111", matching=Matching.DECLINED)
    assert (result.verdict, result.enqueued) == (Verdict.CANCELED, True)
    assert result.verification.status is Status.CANCELED
    assert await links.verdict(verification, "111111") is Verdict.CANCELED
    assert (await links.read(verification)).status is Status.CANCELED
    assert (await links.stats.totals())["canceled"] == 1


async def test_a_send_that_was_taken_back_prolongs_no_link(links):
    """When the newest send was refused, the verification ended with the one before, and so "It wasn't me" is late."""
    verification = await links.sent("111111")
    links.time_passes(CODE_TTL_MS - 1000)
    resent = await links.resend(verification, "222222")
    await links.verifications.refuse(resent, 2, error_code=30003, passing=False)
    links.time_passes(1000)
    assert await links.verdict(verification, "111111", matching=Matching.DECLINED) is Verdict.EXPIRED


async def test_an_expired_link_declines_what_a_newer_one_could_approve(links):
    """To press "It wasn't me" is about the verification, so any link of it will do while the newest one counts."""
    verification = await links.sent("111111")
    links.time_passes(CODE_TTL_MS - 1000)
    await links.resend(verification, "222222")
    await links.deliver(verification, 2)
    links.time_passes(1000)
    result = await links.check(verification, "111111", matching=Matching.DECLINED)
    assert (result.verdict, result.verification.status) == (Verdict.CANCELED, Status.CANCELED)
    assert result.enqueued
    assert await links.verdict(verification, "222222") is Verdict.CANCELED


async def test_an_approval_cannot_be_declined(links):
    """An approved verification stays approved, whatever is said on the page of another send."""
    verification = await links.sent()
    await links.check(verification, "111111")
    result = await links.check(verification, "111111", matching=Matching.DECLINED)
    assert (result.verdict, result.verification.status) == (Verdict.USED, Status.APPROVED)


@pytest.mark.parametrize("matching", [Matching.MISMATCHED, Matching.DECLINED])
async def test_too_late_is_too_late(links, matching):
    """After its time a link changes no state, whatever is answered, and its receipt is confirmed."""
    verification = await links.sent()
    links.time_passes(CODE_TTL_MS)
    result = await links.check(verification, "111111", matching=matching)
    assert (result.verdict, result.verification.status) == (Verdict.EXPIRED, Status.EXPIRED)
    assert result.enqueued


async def test_a_link_survives_a_rotation(links):
    """A link that was sent under the old key approves under the new one."""
    verification = await links.sent()
    rotated = links.under(keyring=ROTATED)
    assert (await rotated.linked(verification)).verification.id == verification.id
    assert await rotated.verdict(verification, "111111") is Verdict.APPROVED


@pytest.mark.parametrize("asked", Action)
@pytest.mark.parametrize("given", Action)
async def test_a_secret_is_accepted_only_for_its_action(stores, asked, given):
    """The right secret under the name of another action is not compared, counted or confirmed."""
    if asked is given:
        return
    verification = await stores.under(action=asked).sent()
    before = stores.record(verification)
    fields = {"action": None if given is Action.CODE else given, "matching": Matching.MATCHED}
    for _ in range(6):
        with pytest.raises(WrongAction):
            await stores.under(action=asked).check(verification, "111111", **fields)
    assert stores.record(verification) == before
    assert await stores.pending() == []
    assert await stores.under(action=asked).verdict(verification, "111111") is Verdict.APPROVED


@pytest.mark.parametrize("crowd", ["guesses", "right"])
async def test_racing_answers_are_counted_and_accepted_once(links, crowd):
    """A1 and A2 for a link: five of racing wrong matches are compared; one of racing right ones is approved."""
    verification = await links.sent()
    others = [links.under() for _ in range(2)]
    matching = Matching.MISMATCHED if crowd == "guesses" else Matching.MATCHED
    seen = await asyncio.gather(
        *(others[place % 2].verdict(verification, "111111", matching=matching) for place in range(100))
    )
    assert seen.count(Verdict.APPROVED) == (crowd == "right")
    assert seen.count(Verdict.WRONG_CODE) == (5 if crowd == "guesses" else 0)
    assert set(seen[5:]) <= {Verdict.LOCKED, Verdict.USED}
    assert await links.pending() == [sid_of(verification)]
