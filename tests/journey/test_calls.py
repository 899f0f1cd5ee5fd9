"""Calls over real HTTP: who is asked for digits, what keys come to, and what strangers can do."""

import asyncio
import re
from xml.etree import ElementTree as ET

import pytest

from service.core.actions import call
from service.providers.twilio.statuses import CALLBACK_RETRIES
from tests.conftest import NUMBER
from tests.journey.test_replies import state

OTHER_NUMBER = "+14155550124"
STRANGER = "+12025550199"
ENDED = "This cannot be confirmed any more. Start again. Goodbye."


def digits_in(running, place=-1):
    """Return the digits of a message, as the person reads them."""
    [digits] = call.found_in(running.messages()[place].body)
    return digits


def other(digits):
    """Return digits that are not these."""
    return f"{(int(digits) + 1) % 10 ** len(digits):0{len(digits)}d}"


def told(twiml):
    """Read what Twilio is told."""
    return ET.fromstring(twiml)  # noqa: S314 - our own


def said(twiml):
    """Return the sentence with which a call ends; there is no other try."""
    verbs = told(twiml)
    assert [verb.tag for verb in verbs] == ["Say", "Hangup"]
    return verbs[0].text


async def ask(running, to=NUMBER, **more):
    """Issue a verification that asks for a call."""
    return await running.issue(to, action="call", **more)


@pytest.fixture
async def quiet(start, fault):
    """Start a service that writes nothing by itself: it has no worker, and gets no callbacks."""
    running = await start(otp_worker=False)
    fault(running, "callbacks", "drop")
    return running


async def test_a_call_approves_and_confirms(running, call_in, key_in, settled):
    """The caller is asked for eight digits; those of the message and the screen approve and confirm the message."""
    issued = await ask(running)
    assert f"call +15005550006 and key in {digits_in(running)} and" in running.messages()[-1].body
    assert re.fullmatch("[0-9]{2}", issued["match"])
    sid = "CA" + "1" * 32
    gather = told(await call_in(running, sid=sid)).find("Gather")
    assert (gather.get("numDigits"), gather.get("input"), gather.get("method")) == ("8", "dtmf", "POST")
    assert gather.get("action") == f"{running.url}/twilio/voice/1{CALLBACK_RETRIES}"
    assert gather.get("finishOnKey") == ""  # a hash after the six digits does not end the entry
    assert gather.find("Say").get("language") == "en-US"
    assert "You are confirmed" in said(await key_in(running, digits_in(running) + issued["match"], sid=sid))
    assert (await state(running, issued))[0] == "approved"
    assert await settled(running) == [("confirmed", 1)]


async def test_a_caller_is_spoken_to_in_the_language_of_the_message(running, call_in, key_in):
    """Message and call have one language."""
    issued = await ask(running, locale="de")
    assert "Ruf +15005550006 an" in running.messages()[-1].body
    assert 'language="de-DE"' in await call_in(running)
    assert "Du bist bestätigt" in await key_in(running, digits_in(running) + issued["match"])


@pytest.mark.parametrize("sender", [STRANGER, "anonymous", "", "+266696687", "sip:x@y", "+1" * 400])
async def test_a_caller_from_whom_nothing_is_expected_is_rejected(running, call_in, key_in, sender):
    """Strangers are rejected, whatever their number, before and after they press keys; nobody loses an attempt."""
    issued = await ask(running)
    assert told(await call_in(running, sender=sender)).find("Reject") is not None
    assert said(await key_in(running, digits_in(running) + issued["match"], sender=sender)) == ENDED
    assert await state(running, issued) == ("pending", 5, ["none"])


async def test_there_are_three_tries(running, key_in):
    """Wrong digits cost an attempt each; after the third try of a call it ends, and another call may follow."""
    issued, sid = await ask(running), "CA" + "2" * 32
    wrong = other(digits_in(running)) + issued["match"]
    for number in (1, 2):
        gather = told(await key_in(running, wrong, number, sid=sid)).find("Gather")
        assert gather.get("action").endswith(f"/twilio/voice/{number + 1}{CALLBACK_RETRIES}")
    assert said(await key_in(running, wrong, 3, sid=sid)) == "This is not right. Goodbye."
    assert await state(running, issued) == ("pending", 2, ["none"])
    assert "confirmed" in await key_in(running, digits_in(running) + issued["match"])
    assert (await state(running, issued))[0] == "approved"


async def test_a_call_ends_with_the_attempts(running, key_in, call_in):
    """Once the attempts are used up, no try is offered, calls are rejected, and the right digits are worth nothing."""
    issued = await ask(running)
    wrong = other(digits_in(running)) + issued["match"]
    for _ in range(4):
        await key_in(running, wrong)
    assert told(await key_in(running, wrong)).find("Gather") is None
    assert told(await call_in(running)).find("Reject") is not None
    await key_in(running, digits_in(running) + issued["match"])
    assert await state(running, issued) == ("max_attempts_reached", 0, ["none"])


@pytest.mark.parametrize("match", ["", "#", "wrong"])
async def test_without_the_digits_on_the_screen_nothing_is_approved(running, key_in, settled, match):
    """Who only keys in the message's digits confirms its receipt, at the price of an attempt, and approves nothing."""
    issued = await ask(running)
    given = other(issued["match"]) if match == "wrong" else match
    assert "<Gather" in await key_in(running, digits_in(running) + given)
    assert (await state(running, issued))[:2] == ("pending", 4)
    assert await settled(running) == [("confirmed", 1)]


@pytest.mark.parametrize("keys", ["", "#", "12", "12345", "right+4", "right+#4", "123456789"])
async def test_a_wrong_number_of_keys_costs_nothing(quiet, key_in, keys):
    """What is neither six digits nor eight is asked for again, and costs no attempt, even if it begins right."""
    issued = await ask(quiet)
    keys = keys.replace("right+", digits_in(quiet))
    assert "<Gather" in await key_in(quiet, keys)
    assert await state(quiet, issued) == ("pending", 5, ["none"])


async def test_the_digits_decide_among_two_verifications(running, key_in):
    """Of two verifications of a number the one whose digits they are is approved; the other loses no attempt."""
    first, second = await ask(running), await ask(running)
    await key_in(running, digits_in(running, 0) + first["match"])
    assert (await state(running, first))[0] == "approved"
    assert await state(running, second) == ("pending", 5, ["none"])


async def test_late_digits_confirm_and_approve_nothing(running, key_in, settled, grow_older):
    """After the end the right digits change no status; their message did arrive, so it is confirmed, once."""
    issued = await ask(running)
    grow_older(issued["id"], 601)
    for _ in range(2):
        assert said(await key_in(running, digits_in(running) + issued["match"])) == ENDED
    assert (await state(running, issued))[0] == "expired"
    assert await settled(running) == [("confirmed", 1)]


async def test_a_replayed_webhook_changes_nothing(running, key_in, grow_older):
    """The keys of one try of one call are decided once, however late they come again."""
    issued, sid = await ask(running), "CA" + "3" * 32
    wrong = other(digits_in(running)) + issued["match"]
    for _ in range(3):
        await key_in(running, wrong, sid=sid)
    grow_older(issued["id"], 120)
    await key_in(running, wrong, sid=sid)
    assert (await state(running, issued))[1] == 4
    await key_in(running, wrong, 2, sid=sid)
    assert (await state(running, issued))[1] == 3


@pytest.mark.parametrize("at_once", [True, False])
async def test_a_repeated_webhook_hears_the_first_words(running, key_in, settled, at_once):
    """If Twilio posts the right keys of a try again, the caller hears again that they were right."""
    issued, sid = await ask(running), "CA" + "4" * 32
    posts = [key_in(running, digits_in(running) + issued["match"], sid=sid) for _ in range(6)]
    heard = await asyncio.gather(*posts) if at_once else [await post for post in posts]
    assert {said(each) for each in heard} == {"Thank you. You are confirmed. Goodbye."}
    assert (await state(running, issued))[:2] == ("approved", 4)
    assert await settled(running) == [("confirmed", 1)]


async def test_a_repeated_last_attempt_hears_the_first_words(running, key_in):
    """Also wrong keys, which used up the attempts, are told the same when they come again."""
    issued = await ask(running)
    wrong, sids = other(digits_in(running)) + issued["match"], [f"CA{number:032d}" for number in range(5)]
    heard = [await key_in(running, wrong, sid=sid) for sid in sids]
    assert said(heard[-1]) == ENDED
    assert await key_in(running, wrong, sid=sids[-1]) == heard[-1]
    assert await state(running, issued) == ("max_attempts_reached", 0, ["none"])


async def test_what_is_approved_is_called_confirmed(running, key_in):
    """After the approval the right digits are told that it is confirmed already; wrong ones, that it is over."""
    issued = await ask(running)
    await key_in(running, digits_in(running) + issued["match"])
    assert said(await key_in(running, digits_in(running) + issued["match"])) == "This is confirmed already. Goodbye."
    assert said(await key_in(running, other(digits_in(running)) + issued["match"])) == ENDED


async def test_a_stopped_number_is_told_that_it_is_over(start, key_in, redis):
    """While a number is stopped, right keys are not called wrong: nothing can be confirmed."""
    running = await start()
    issued = await ask(running)
    [number_key] = redis.scan_iter("otp:*:to:*")
    redis.hset(number_key, "streak", 100)
    assert said(await key_in(running, digits_in(running) + issued["match"])) == ENDED
    assert await state(running, issued) == ("pending", 5, ["none"])


@pytest.mark.parametrize("path", ["call_in", "key_in"])
async def test_fields_that_twilio_may_not_have_signed(quiet, call_in, key_in, path):
    """StirVerstat and CallToken may be signed or not; any other unsigned field, or a wrong signature, gets 403."""
    issued = await ask(quiet)
    extra = {"StirVerstat": "TN-Validation-Passed-A", "CallToken": "x"}

    async def post(**more):
        if path == "call_in":
            return await call_in(quiet, **more)
        return await key_in(quiet, other(digits_in(quiet)) + issued["match"], **more)

    for genuine in ({}, extra, {"unsigned": extra}, {"unsigned": {"StirVerstat": "No-TN-Validation"}}):
        assert "<Gather" in await post(**genuine)
    before = await state(quiet, issued)
    for forged in (
        {"token": "another"},
        {"unsigned": {"Caller": NUMBER, "More": "1"}},
        {"unsigned": {"From": STRANGER}},
    ):
        assert await post(**forged) == 403
    assert await state(quiet, issued) == before


async def test_strangers_make_no_key(quiet, call_in, redis):
    """Calls of numbers of which nothing is expected run one script each, and make no key."""
    await ask(quiet)
    await call_in(quiet, sender=STRANGER)  # the script is loaded now
    keys, started = set(redis.scan_iter()), redis.info("commandstats")["cmdstat_evalsha"]["calls"]
    for number in range(20):
        assert "<Reject" in await call_in(quiet, sender=f"+1202555{number:04d}")
    assert redis.info("commandstats")["cmdstat_evalsha"]["calls"] - started == 20
    assert set(redis.scan_iter()) == keys


async def test_a_call_that_cannot_come_is_refused_before_anything_is_sent(start):
    """Without a number to call, or an address for Twilio, nothing is sent; a name may send with OTP_CALL_NUMBER."""
    service = {"twilio_from": None, "twilio_messaging_service_sid": "MG" + "0" * 32}
    for overrides, code in (
        ({"twilio_from": "Acme"}, "sender_cannot_receive"),
        (service, "sender_cannot_receive"),
        ({"otp_public_url": None}, "invalid_request"),
        ({"otp_test_numbers": f"{NUMBER}:493027", "otp_allow_test_numbers": True}, "invalid_request"),
    ):
        running = await start(**overrides)
        status, problem, _ = await running.call("POST", "/v1/verifications", {"to": NUMBER, "action": "call"})
        assert (status, problem["code"]) == (422, code)
        assert running.messages() == []
    running = await start(twilio_from="Acme", otp_call_number="+14155550199")
    await ask(running)
    assert "call +14155550199 and" in running.messages()[-1].body


async def test_neither_digits_nor_match_are_logged(start, call_in, key_in):
    """The log has the verification and the verdict; not the digits, the match or the caller."""
    lines = []
    running = await start(event_log=lambda event, /, **fields: lines.append((event, fields)))
    issued = await ask(running)
    wrong = other(digits_in(running))
    await call_in(running)
    for digits in (wrong, digits_in(running)):
        await key_in(running, digits + issued["match"])
    [*_, last] = [fields for event, fields in lines if event == "request" and "voice" in fields["route"]]
    assert (last["verification_id"], last["verdict"]) == (issued["id"], "approved")
    for secret in (digits_in(running), wrong, NUMBER):
        assert secret not in str(lines)


async def test_a_fourth_try_is_rejected(running, key_in):
    """A try that is not one of the three is rejected without a look."""
    issued = await ask(running)
    for number in ("0", "4", "9", "x"):
        assert "<Reject" in await key_in(running, digits_in(running) + issued["match"], number)
    assert await state(running, issued) == ("pending", 5, ["none"])
