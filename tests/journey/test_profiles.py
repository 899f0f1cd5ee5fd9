"""API keys with a brand, a sender, a language and texts of their own: one service for several products."""

from functools import partial

import pytest

from service import wiring
from service.app import open_redis
from service.core.actions import reply
from service.core.api_keys import Look, Scope, new_api_key
from service.core.fallback import Fallback, FallbackPolicy
from service.sandbox import FaultPlan
from service.store.ledgers import RedisApiKeys
from tests.conftest import NUMBER
from tests.every_channel import offering_every_channel

PATH = "/v1/verifications"
OTHER_SENDER = "+14155550188"
TEXTS = '[locale.de]\ncode = "{code} gilt bei {brand}."'
ROOSTER = Look("Rooster", OTHER_SENDER, "de", TEXTS)


@pytest.fixture
def make_key():
    """Return `make_key(running, name, look, owner=None)`: create an API key; return it with what is stored of it."""

    async def make(running, name, look, owner=None):
        key, kept = new_api_key(name, [Scope.VERIFICATIONS], owner=owner, look=look)
        async with open_redis(running.settings) as scripts:
            await RedisApiKeys(scripts).add(kept.digest, kept.particulars)
        return key, kept

    return make


async def issue(running, key, **fields):
    """Issue with this key; return the body of the response."""
    status, body, _ = await running.call("POST", PATH, {"to": NUMBER, **fields}, key=key)
    assert status == 201, body
    return body


def seen(message):
    """Return sender and text of a message, without its code."""
    return message.sender, "".join("0" if letter.isdigit() else letter for letter in message.body)


async def test_each_key_sends_for_its_own_product(start, make_key):
    """Messages have brand, sender, language and texts of the key that asks; the response names the language."""
    running = await start(otp_brand="Acme")
    key, _ = await make_key(running, "rooster", ROOSTER)
    assert (await issue(running, key))["locale"] == "de"
    assert (await issue(running, None))["locale"] == "en"
    own, usual = running.messages()
    assert seen(own) == (OTHER_SENDER, "000000 gilt bei Rooster.")
    assert usual.sender == running.settings.twilio_from
    assert "Acme" in usual.body
    await issue(running, key, locale="fr")
    assert "Rooster" in running.messages()[-1].body


async def test_whoever_resends_the_message_is_of_the_issuing_key(start, make_key):
    """A resend by a front end, or by another key of the owner, looks like the first message."""
    running = await start()
    key, _ = await make_key(running, "rooster", ROOSTER)
    other, _ = await make_key(running, "second", Look("Hen"), owner="rooster")
    issued = await issue(running, key)
    for asking in (issued["client_token"], other):
        assert (await running.call("POST", f"{PATH}/{issued['id']}/resend", key=asking))[0] == 200
    assert {seen(message) for message in running.messages()} == {(OTHER_SENDER, "000000 gilt bei Rooster.")}


async def test_a_message_that_follows_is_of_the_issuing_key(start, make_key, monkeypatch, eventually):
    """The next channel of a list looks as the issuing key says, and its sender is for text messages only."""
    monkeypatch.setattr(wiring, "Fallback", partial(Fallback, policy=FallbackPolicy(poll_seconds=0.02)))
    running = await offering_every_channel(start)()
    key, _ = await make_key(running, "rooster", ROOSTER)
    running.sandbox.faults.plan(FaultPlan(endpoint="callbacks", kind="fail", count=1))
    await issue(running, key, channels=[{"channel": "whatsapp"}, {"channel": "sms"}])
    assert await eventually(lambda: len(running.sandbox.ledger.messages()) == 2, seconds=30)
    first, second = running.sandbox.ledger.messages()
    assert first.sender != OTHER_SENDER
    assert seen(second) == (OTHER_SENDER, "000000 gilt bei Rooster.")


async def test_of_a_revoked_key_its_successor_sends(start, make_key):
    """If the issuing key is revoked, a resend looks as the newest key of its owner says."""
    running = await start()
    key, kept = await make_key(running, "rooster", ROOSTER)
    issued = await issue(running, key)
    await make_key(running, "successor", Look("Hen", "Hen", "de"), owner="rooster")
    async with open_redis(running.settings) as scripts:
        await RedisApiKeys(scripts).revoke(kept.digest)
    again = await start(otp_secret_keys=running.settings.otp_secret_keys, otp_index_key=running.settings.otp_index_key)
    assert (await again.call("POST", f"{PATH}/{issued['id']}/resend", key=issued["client_token"]))[0] == 200
    sender, text = seen(again.messages()[-1])
    assert (sender, "Hen" in text) == ("Hen", True)


async def test_a_reply_to_another_sender_of_ours_approves(start, make_key, send_in):
    """A reply is matched by who sent it, to whichever sender of ours; it approves, and its message is confirmed."""
    running = await start()
    key, _ = await make_key(running, "rooster", Look("Rooster", OTHER_SENDER))
    issued = await issue(running, key, action="reply")
    [message] = running.messages()
    [words] = reply.found_in(message.body)
    assert message.sender == OTHER_SENDER
    await send_in(running, f"{words} {issued['match']}", To=OTHER_SENDER)
    _, read, _ = await running.call("GET", f"{PATH}/{issued['id']}", key=key)
    assert read["status"] == "approved"
    assert read["sends"][0]["feedback"] != "none"


async def test_a_key_whose_sender_is_a_name_gets_no_replies(start, make_key):
    """A key that sends under a name cannot ask for replies, although the usual sender can; and the reverse."""
    running = await start()
    named, _ = await make_key(running, "named", Look(sender="Rooster"))
    status, problem, _ = await running.call("POST", PATH, {"to": NUMBER, "action": "reply"}, key=named)
    assert (status, problem["code"]) == (422, "sender_cannot_receive")
    usual = await start(twilio_from="Acme")
    numbered, _ = await make_key(usual, "numbered", Look(sender=OTHER_SENDER))
    assert (await issue(usual, numbered, action="reply"))["action"] == "reply"


async def test_a_link_and_a_call_name_the_brand_of_the_key(start, make_key, call_in):
    """The page of a link, and the voice that answers a call, name the brand of the key that issued."""
    running = await start(otp_call_number="+14155550100")
    key, _ = await make_key(running, "rooster", Look("Rooster & Hen"))
    await issue(running, key, action="link")
    link = running.messages()[-1].body.split("/l/")[1].split()[0]
    async with running.http.get(f"/l/{link}") as response:
        assert "Rooster &amp; Hen" in await response.text()
    await issue(running, key, action="call")
    assert "Rooster &amp; Hen" in await call_in(running)


async def test_a_key_may_have_a_messaging_service(start, make_key):
    """A Messaging Service of a key is asked for as such, and replaces the usual number."""
    service = "MG" + "7c" * 16
    running = await start()
    key, _ = await make_key(running, "rooster", Look(sender=service))
    await issue(running, key)
    [message] = running.messages()
    assert message.messaging_service_sid == service
