"""Replies through the simulator, from a person's phone to the confirmation: what arrives has Twilio's signature."""

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
    assert await status(running, issued) == ("pending", 4)
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
