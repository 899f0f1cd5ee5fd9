"""Replies and calls through the simulator, from a phone to the confirmation: what arrives has Twilio's signature."""

import re

import pytest

from tests.conftest import NUMBER

SERVICE = "MG" + "1b" * 16
OTHER_NUMBER = "+14155550124"


@pytest.mark.parametrize("setting", ["sms_url", "voice_url"])
async def test_the_simulator_knows_where_the_service_is(start, setting):
    """The number of the account has the service's URLs, under its public address."""
    running = await start()
    number = running.sandbox.account.number(running.settings.twilio_from)
    path = {"sms_url": "/twilio/message", "voice_url": "/twilio/voice"}[setting]
    assert getattr(number, setting) == f"{running.settings.otp_public_url}{path}"


async def test_a_person_who_has_stopped_the_sender_gets_no_code(start):
    """After STOP, Twilio refuses the message with 21610, and the service says so; after START it sends again."""
    running = await start()
    await running.reply("STOP")
    status, problem, _ = await running.call("POST", "/v1/verifications", {"to": NUMBER})
    assert (status, problem["code"]) == (422, "recipient_opted_out")
    await running.reply("START")
    await running.issue()


def two_words(running, to=NUMBER):
    """Read the two words of the newest message, as the person does."""
    return re.search(r"with: (\w+ \w+) and", running.messages(to)[-1].body)[1]


async def status(running, issued):
    """Return the status of a verification, and how many attempts are left."""
    read = await running.read(issued["id"])
    return read["status"], read["attempts_remaining"]


def taken(running, row):
    """Return what the service answered to a message, with Twilio's error if that is no TwiML."""
    return [(post.result, post.error_code) for post in running.sandbox.ledger.callbacks(row["sid"])]


@pytest.mark.parametrize(
    ("sandbox", "settings"),
    [
        ({}, {}),
        ({}, {"twilio_from": "", "twilio_messaging_service_sid": SERVICE}),
        ({"advanced_opt_out": True}, {"twilio_from": "", "twilio_messaging_service_sid": SERVICE}),
        ({"shared_key": "the-shared-secret"}, {"twilio_webhook_keys": "the-shared-secret"}),
    ],
    ids=["number", "messaging service", "advanced opt-out", "shared key"],
)
async def test_a_reply_from_the_phone_approves_and_confirms(start, settled, sandbox, settings):
    """The three words approve, exactly that message is confirmed, and the person gets no message back."""
    running = await start(sandbox=sandbox, **settings)
    issued = await running.issue(action="reply")
    row = await running.reply(f"{two_words(running)} {issued['match']} \U0001f642")
    assert taken(running, row) == [(200, None)]
    assert (await status(running, issued))[0] == "approved"
    assert await settled(running) == [("confirmed", 1)]


async def test_a_reply_without_the_word_on_the_screen_only_confirms(start, settled):
    """Who knows only the message approves nothing."""
    running = await start()
    issued = await running.issue(action="reply")
    await running.reply(two_words(running))
    assert await status(running, issued) == ("pending", 5)
    assert await settled(running) == [("confirmed", 1)]


async def test_keywords_of_twilio_cost_nothing(start):
    """STOP and START between the message and the answer change nothing of the verification, which is then approved."""
    running = await start()
    issued = await running.issue(action="reply")
    for keyword in ("STOP", "START", "HELP"):
        assert taken(running, await running.reply(keyword)) == [(200, None)]
    assert await status(running, issued) == ("pending", 5)
    await running.reply(f"{two_words(running)} {issued['match']}")
    assert (await status(running, issued))[0] == "approved"


async def test_digits_never_reach_the_service(start):
    """Twilio holds back what looks like a passcode, so an answer by digits could not work: the reason for words."""
    running = await start()
    issued = await running.issue(action="reply")
    row = await running.reply("482913")
    assert (row["error_code"], taken(running, row)) == (30038, [])
    assert await status(running, issued) == ("pending", 5)


async def test_people_answer_for_themselves_only(start, settled):
    """Of two people who are asked at the same time, each approves the own verification, by the own words."""
    running = await start()
    mine, theirs = await running.issue(action="reply"), await running.issue(OTHER_NUMBER, action="reply")
    for sender in (NUMBER, OTHER_NUMBER):
        await running.reply(f"{two_words(running, OTHER_NUMBER)} {theirs['match']}", sender=sender)
    assert (await status(running, mine))[0] == "pending"
    assert (await status(running, theirs))[0] == "approved"
    await settled(running)
    assert running.confirmed() == {running.messages(OTHER_NUMBER)[0].sid}


async def test_a_message_of_a_stranger_gets_no_answer(start):
    """Whoever writes to the number for no reason gets nothing back, and the webhook is content."""
    running = await start()
    row = await running.reply("maple river", sender="+12025550199")
    assert taken(running, row) == [(200, None)]
    assert running.messages("+12025550199") == []


CALL = {"otp_call_number": "+15005550006"}


def digits(running, to=NUMBER):
    """Read the six digits of the newest message, as the person does."""
    return re.search(r"(?<![+\d])\d{6}(?!\d)", running.messages(to)[-1].body)[0]


async def over(running, call_sid):
    """Wait until a call has ended; return it."""
    return await running.until_call(call_sid, lambda call: call.status not in {"ringing", "in-progress"})


@pytest.mark.parametrize("signed", [True, False], ids=["all signed", "extras unsigned"])
async def test_a_call_from_the_phone_approves_and_confirms(start, settled, signed):
    """The digits of message and screen, keyed in by Gather, approve; exactly that message is confirmed."""
    running = await start(sandbox={"sign_call_extras": signed}, **CALL)
    issued = await running.issue(action="call")
    call_sid = await running.dial()
    await running.key_in(call_sid, f"{digits(running)}{issued['match']}")
    call = await over(running, call_sid)
    assert (call.status, call.error_code) == ("completed", None)
    assert len(call.lines) == 3  # the question, the digits, and what they came to
    assert (await status(running, issued))[0] == "approved"
    assert await settled(running) == [("confirmed", 1)]


async def test_a_caller_may_try_again(start):
    """Wrong digits cost an attempt, and the voice asks again in the same call."""
    running = await start(**CALL)
    issued = await running.issue(action="call")
    right = f"{digits(running)}{issued['match']}"
    call_sid = await running.dial()
    await running.key_in(call_sid, right[:-1] + str((int(right[-1]) + 1) % 10))
    await running.key_in(call_sid, right)
    await over(running, call_sid)
    assert (await status(running, issued))[0] == "approved"


async def test_a_caller_who_keys_nothing_changes_nothing(start):
    """When the time runs out, the call ends with a sentence, and no attempt is lost."""
    running = await start(**CALL)
    issued = await running.issue(action="call")
    call_sid = await running.dial()
    await running.key_in(call_sid, "")
    call = await over(running, call_sid)
    assert (call.status, call.error_code, [line.by for line in call.lines]) == ("completed", None, ["voice", "voice"])
    assert await status(running, issued) == ("pending", 5)


async def test_a_caller_from_whom_nothing_is_expected_is_not_answered(start):
    """The call is rejected, so it costs nothing, and nothing is said."""
    running = await start(**CALL)
    await running.issue(action="call")
    call = await over(running, await running.dial(caller="+12025550199"))
    assert (call.status, call.lines, call.error_code) == ("no-answer", (), None)


async def test_who_hangs_up_may_call_again(start, settled):
    """A call that ended before the digits changes nothing; the next one approves."""
    running = await start(**CALL)
    issued = await running.issue(action="call")
    first = await running.dial()
    await running.until_call(first, lambda call: call.is_gathering)
    async with running.http.delete(f"{running.sandbox_url}/_/calls/{first}") as response:
        assert response.status == 200
    second = await running.dial()
    await running.key_in(second, f"{digits(running)}{issued['match']}")
    await over(running, second)
    assert (await status(running, issued))[0] == "approved"
    assert await settled(running) == [("confirmed", 1)]
