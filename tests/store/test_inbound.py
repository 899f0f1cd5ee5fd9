"""The promises of answers by message in Redis: what is expected of a number, and what an answer costs."""

import asyncio

import pytest

from service.core.actions import Action
from service.core.store_health import StoreUnavailable
from service.core.verification import Delivery, Feedback, Status, Verdict
from service.core.verification_store import Matching
from service.store import keys as redis_keys
from service.store.fields import FORMAT_VERSION
from tests.store.engines import CODE_TTL_MS, MINUTE_MS, NUMBER, OTHER_NUMBER, ROTATED, sid_of


@pytest.fixture(params=[Action.REPLY, Action.CALL])
def replies(stores, request):
    """Issue verifications that ask for a reply, or for a call."""
    return stores.under(action=request.param)


async def expected(stores, to=NUMBER, answer_tag="t"):
    """Return the ids of which an answer is expected."""
    index = stores.keyring.number_index(to)
    return [each.id for each in await stores.expectations.expected(index, stores.action, answer_tag)]


async def attempts(stores, *verifications):
    """Return the attempts of each verification."""
    return [(await stores.read(each)).attempts for each in verifications]


async def test_what_is_expected_is_listed_newest_first(replies):
    """Every verification of the number and the action with a record is listed, in any state, with all its secrets."""
    first, second = await replies.sent(), await replies.sent(locale="de")
    await replies.resend(second, "222222")
    await replies.verifications.cancel(first.id)
    await replies.sent(to=OTHER_NUMBER)
    for other in set(Action) - {replies.action}:
        await replies.under(action=other).sent()
    listed = await replies.expectations.expected(replies.keyring.number_index(NUMBER), replies.action, "t")
    assert [(each.id, each.locale, len(each.digests)) for each in listed] == [(second.id, "de", 2), (first.id, "en", 1)]
    digests = {replies.digests(second.id, code)[0] for code in ("111111", "222222")}
    assert set(listed[0].digests) == digests
    replies.admin.delete(redis_keys.verification(second.id))
    assert await expected(replies) == [first.id]


async def test_whose_a_verification_is_comes_with_it(replies):
    """What is expected comes with the tag of the API key that issued it, and its owner, if any."""
    await replies.sent()
    await replies.sent(key_tag="k" * 22, owner="0123456789ab")
    listed = await replies.expectations.expected(replies.keyring.number_index(NUMBER), replies.action, "t")
    assert [(each.key_tag, each.owner) for each in listed] == [("k" * 22, "0123456789ab"), (None, None)]


async def test_a_resend_knows_whose_it_is(replies):
    """A send that follows has the key and the owner of its verification, as the first one."""
    first = await replies.sent(key_tag="k" * 22, owner="0123456789ab")
    read = await replies.read(first)
    second = await replies.resend(read, "222222")
    assert {(each.key_tag, each.owner) for each in (first, read, second)} == {("k" * 22, "0123456789ab")}


async def test_at_most_ten_are_compared(replies):
    """However many verifications a number has, the newest ten may be answered."""
    issued = [(await replies.sent()).id for _ in range(12)]
    assert await expected(replies) == issued[:1:-1]


async def test_to_look_changes_nothing(replies):
    """Neither a stranger's number nor an expected one changes a byte or makes a key when it is looked up."""
    await replies.sent()
    before = {key: replies.admin.dump(key) for key in replies.admin.scan_iter()}
    assert len(await expected(replies)) == 1
    assert await expected(replies, "+12025550199") == []
    assert await replies.answer("999999", to="+12025550199") == {}
    assert {key: replies.admin.dump(key) for key in replies.admin.scan_iter()} == before


async def test_what_has_no_attempts_left_is_not_compared(replies):
    """A verification whose attempts are used up is left out; one with a single attempt is not."""
    verification = await replies.sent()
    for _ in range(4):
        await replies.answer("999999")
    assert await expected(replies) == [verification.id]
    await replies.answer("999999")
    assert await expected(replies) == []
    assert await replies.answer("111111", verification) == {}
    assert (await replies.read(verification)).status is Status.MAX_ATTEMPTS_REACHED


async def test_a_record_of_a_newer_format_is_refused(replies):
    """A record of a newer version is not read: `StoreUnavailable` says what to do. Another action's is left alone."""
    verification = await replies.sent()
    other = await replies.under(action=Action.PASSWORD).sent()
    replies.raw(other).set("format", FORMAT_VERSION + 1)
    assert await expected(replies) == [verification.id]
    replies.raw(verification).set("format", FORMAT_VERSION + 1)
    with pytest.raises(StoreUnavailable, match="newer format"):
        await expected(replies)


async def test_right_words_and_match_approve_and_confirm(replies):
    """The words of the second send with the match approve, and enqueue the confirmation of that send alone."""
    verification = await replies.sent("111111")
    await replies.resend(verification, "222222")
    await replies.deliver(verification, 2)
    result = (await replies.answer("222222", verification))[verification.id]
    assert (result.verdict, result.enqueued) == (Verdict.APPROVED, True)
    assert await replies.pending() == [sid_of(verification, 2)]


async def test_with_a_wrong_match_the_receipt_alone_is_confirmed(replies):
    """The words with another match approve nothing, cost an attempt each time, and confirm the receipt once."""
    verification = await replies.sent()
    for attempt in range(1, 6):
        result = (await replies.answer("111111", match=replies.wrong_match(verification)))[verification.id]
        assert (result.verdict, result.verification.attempts) == (Verdict.WRONG_CODE, attempt)
        assert result.enqueued is (attempt == 1)
    assert result.verification.status is Status.MAX_ATTEMPTS_REACHED
    assert await replies.pending() == [sid_of(verification)]


async def test_repeating_the_words_costs_nothing(stores):
    """The right words of a message alone confirm the receipt, however often: no attempt, no trace of more answers."""
    replies = stores.under(action=Action.REPLY)
    verification = await replies.sent()
    first = (await replies.answer("111111"))[verification.id]
    assert (first.verdict, first.enqueued, first.verification.attempts) == (Verdict.WRONG_CODE, True, 0)
    stored = replies.record(verification)
    for answer_id in ("m", "m", "n", "o", "p", "q"):
        again = (await replies.answer("111111", answer_id=answer_id))[verification.id]
        assert (again.verdict, again.enqueued, again.replayed) == (Verdict.WRONG_CODE, False, False)
    assert replies.record(verification) == stored
    assert (await replies.answer("111111", verification))[verification.id].verdict is Verdict.APPROVED
    assert (await replies.answer("111111"))[verification.id].verdict is Verdict.USED


async def test_a_repetition_does_not_approve_what_waits_for_replicas(stores):
    """The words alone are no approval, also while that of another answer waits for replicas."""
    replies = stores.under(action=Action.REPLY, waits_for_replicas=True)
    verification = await replies.sent()
    await replies.answer("111111", verification)
    result = (await replies.answer("111111"))[verification.id]
    assert (result.verdict, result.verification.status) == (Verdict.WRONG_CODE, Status.PENDING)


async def test_a_right_answer_costs_the_others_nothing(replies):
    """Words that are right for one verification are checked by that one alone; wrong ones cost each an attempt."""
    first, second = await replies.sent("111111"), await replies.sent("222222")
    assert set(await replies.answer("111111", first)) == {first.id}
    assert await attempts(replies, first, second) == [1, 0]
    assert set(await replies.answer("999999")) == {first.id, second.id}
    assert await attempts(replies, first, second) == [2, 1]


async def test_the_same_secret_of_two_verifications_answers_both(replies):
    """If two verifications have the same secret, the match decides which is approved; both messages are confirmed."""
    first, second = await replies.sent(), await replies.sent()
    while replies.match(second) == replies.match(first):
        second = await replies.sent()
    results = await replies.answer("111111", first)
    assert (results[first.id].verdict, results[second.id].verdict) == (Verdict.APPROVED, Verdict.WRONG_CODE)
    assert {sid_of(first), sid_of(second)} <= set(await replies.pending())


async def test_a_message_is_decided_once_for_all(replies):
    """An answer with the same id has its first verdict, however late, and is not compared where it was not before."""
    verification = await replies.sent("111111")
    await replies.answer("999999", answer_id="m")
    first = {verification.id: (Verdict.WRONG_CODE, True)}
    replies.time_passes(CODE_TTL_MS - MINUTE_MS)
    later = await replies.sent("222222")
    for code in ("999999", "111111", "222222"):
        results = await replies.answer(code, later, answer_id="m")
        assert {each: (found.verdict, found.replayed) for each, found in results.items()} == first
    assert await attempts(replies, verification, later) == [1, 0]


async def test_a_decided_message_is_repeated_without_attempts_left(replies):
    """The answer that used up the last attempt has its verdict when it comes again; another one is not compared."""
    verification = await replies.sent()
    for answer_id in "abcde":
        await replies.answer("999999", answer_id=answer_id)
    for answer_id in "ae":
        result = (await replies.answer("999999", answer_id=answer_id))[verification.id]
        assert (result.verdict, result.replayed) == (Verdict.WRONG_CODE, True)
    assert await replies.answer("999999", answer_id="f") == {}


@pytest.mark.parametrize("late", [0, 2 * MINUTE_MS])
async def test_a_message_that_races_itself_is_decided_once(replies, late):
    """Two deliveries of a message that both find it new cost one attempt: the check remembers the first for good."""
    verification = await replies.sent()
    checks = {"action": replies.action, "matching": Matching.MISMATCHED}
    checks |= {"idempotency_key": "m", "is_forgeable": True}
    first = await replies.check(verification, "999999", **checks)
    replies.time_passes(late)
    second = await replies.check(verification, "999999", **checks)
    assert (first.replayed, second.replayed, second.verdict) == (False, True, Verdict.WRONG_CODE)
    assert await attempts(replies, verification) == [1]


async def test_a_wrong_answer_counts_against_no_number(replies):
    """Failed answers are not in the record of the number; failed checks of a code are."""
    verification = await replies.sent()
    before = replies.number_record()
    for _ in range(5):
        await replies.answer("999999")
    assert (await replies.read(verification)).status is Status.MAX_ATTEMPTS_REACHED
    assert replies.number_record() == before
    codes = replies.under(action=Action.CODE)
    await codes.check(await codes.sent(), "999999")
    assert b"streak" in codes.number_record()


async def test_a_stopped_number_answers_nothing(replies):
    """While a number is stopped, nothing is counted and nothing is approved."""
    stopped = replies.under(most_failed_in_a_row=1)
    codes = stopped.under(action=Action.CODE)
    verification = await stopped.sent()
    await codes.check(await codes.sent(), "999999")
    result = (await stopped.answer("111111", verification))[verification.id]
    assert (result.verdict, result.verification.attempts) == (Verdict.LOCKED, 0)


async def test_an_answer_prolongs_no_stop(replies):
    """A stopped number is not kept longer by answers that anybody can forge; a check of a code keeps it for a year."""
    stopped = replies.under(most_failed_in_a_row=1)
    verification, codes = await stopped.sent(), stopped.under(action=Action.CODE)
    code = await codes.sent()
    await codes.check(code, "999999")
    stopped.admin.pexpire(stopped.number_key(), MINUTE_MS)
    await stopped.answer("999999", verification)
    assert stopped.admin.pttl(stopped.number_key()) <= MINUTE_MS
    await codes.check(code, "999999")
    assert stopped.admin.pttl(stopped.number_key()) > MINUTE_MS


async def test_words_before_the_sid_wait_for_it(replies):
    """Words that come before the SID approve; the callback that brings the SID makes the confirmation pending."""
    verification = await replies.issue()
    result = (await replies.answer("111111", verification))[verification.id]
    assert (result.verdict, result.enqueued) == (Verdict.APPROVED, False)
    assert result.verification.sends[0].feedback is Feedback.AWAITING_SID
    assert await replies.deliver(verification, status=Delivery.DELIVERED)
    assert await replies.pending() == [sid_of(verification)]


async def test_words_survive_a_rotation(replies):
    """Words that were sent under the old key approve under the new one."""
    verification = await replies.sent()
    rotated = replies.under(keyring=ROTATED)
    assert (await rotated.answer("111111", verification))[verification.id].verdict is Verdict.APPROVED


async def test_late_words_are_late(replies):
    """After its time a reply approves nothing, and its message is confirmed."""
    verification = await replies.sent()
    replies.time_passes(CODE_TTL_MS)
    result = (await replies.answer("111111", verification))[verification.id]
    assert (result.verdict, result.enqueued) == (Verdict.EXPIRED, True)


@pytest.mark.parametrize("crowd", ["guesses", "right", "one message"])
async def test_racing_answers_are_counted_and_accepted_once(replies, crowd):
    """A1, A2 and A17 for a reply: five guesses are compared, one answer is approved, one message is decided once."""
    verification = await replies.sent()
    processes = [replies.under() for _ in range(2)]
    code, answer_id = "999999" if crowd == "guesses" else "111111", "m" if crowd == "one message" else None
    answers = (
        processes[place % 2].answer(code, verification, answer_id=answer_id and f"{answer_id}") for place in range(100)
    )
    results = [each for found in await asyncio.gather(*answers) for each in found.values()]
    seen = [each.verdict for each in results if not each.replayed]
    assert seen.count(Verdict.APPROVED) == (crowd != "guesses")
    assert seen.count(Verdict.WRONG_CODE) == (5 if crowd == "guesses" else 0)
    assert (await replies.read(verification)).attempts == (1 if crowd == "one message" else 5)
    assert await replies.pending() == ([] if crowd == "guesses" else [sid_of(verification)])
