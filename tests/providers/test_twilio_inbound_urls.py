"""Where inbound messages and calls go, read over real HTTP: what only the real Twilio answers, and its hosts."""

import json

import pytest

from service.providers.twilio.errors import ResourceUnread
from service.providers.twilio.gateway import open_twilio
from service.providers.twilio.inbound_urls import InboundUrl, NumberUrls
from tests.providers.test_twilio_gateway import ACCOUNT_SID, account, behind_a_proxy
from tests.providers.twilio_recorder import recording

OWN = "+15005550006"
SERVICE = "MG" + "1b" * 16
ROW = {
    "phone_number": OWN, "sms_url": "https://otp.example.com/in", "sms_method": "POST", "sms_application_sid": "",
    "voice_url": None, "voice_method": None, "voice_application_sid": None, "trunk_sid": None,
}  # fmt: skip
MESSAGES, NOBODY = InboundUrl("https://otp.example.com/in", "POST"), InboundUrl("", "POST")


async def read(*rows):
    """Read the URLs of our number from a list of these rows; return them with the request."""
    async with recording() as twilio, open_twilio(account(twilio.url)) as gateway:
        twilio.answers(200, json.dumps({"incoming_phone_numbers": rows}).encode())
        return await gateway.inbound_urls().of_number(OWN), twilio.requests


async def test_a_number_is_asked_for_once():
    """One GET asks for the number; a longer one that contains it does not count, and null means nobody."""
    urls, [request] = await read(ROW | {"phone_number": OWN + "1", "sms_url": ""}, ROW)
    assert urls == NumberUrls(MESSAGES, NOBODY)
    path = f"/2010-04-01/Accounts/{ACCOUNT_SID}/IncomingPhoneNumbers.json?PhoneNumber=%2B15005550006"
    assert (request.method, request.path, request.body) == ("GET", path, "")


@pytest.mark.parametrize(
    ("replacement", "are_replaced"),
    [
        ({"sms_application_sid": "AP" + "1b" * 16}, (True, False)),
        ({"voice_application_sid": "AP" + "1b" * 16}, (False, True)),
        ({"trunk_sid": "TK" + "1b" * 16}, (False, True)),
    ],
)
async def test_an_app_or_a_trunk_replaces_the_urls(replacement, are_replaced):
    """Twilio ignores the URLs of a number that has a TwiML App or a SIP trunk for messages or for calls."""
    urls, _ = await read(ROW | replacement)
    assert (urls.messages.is_replaced, urls.calls.is_replaced) == are_replaced


@pytest.mark.parametrize("body", [b"[]", b"{}", b"null", b'{"incoming_phone_numbers": [{}]}', b"\xff"])
async def test_an_illegible_answer_is_unread(body):
    """Whatever the answer lacks, the failure is of one kind, and does not say that the credentials may not read."""
    async with recording() as twilio, open_twilio(account(twilio.url)) as gateway:
        twilio.answers(200, body)
        for call in (gateway.inbound_urls().of_number(OWN), gateway.inbound_urls().of_service(SERVICE)):
            with pytest.raises(match=r"^no clear answer") as unread:
                await call
            assert not unread.value.is_forbidden


@pytest.mark.parametrize(
    ("places", "host"),
    [
        ({}, "twilio.com"),
        ({"edge": "sydney", "region": "au1"}, "sydney.au1.twilio.com"),
    ],
)
async def test_the_real_hosts(monkeypatch, places, host):
    """Numbers are read from the API's host, and Messaging Services from their own, both at the edge and region."""
    async with behind_a_proxy(monkeypatch) as heads, open_twilio(account(None, **places)) as gateway:
        for call in (gateway.inbound_urls().of_number(OWN), gateway.inbound_urls().of_service(SERVICE)):
            with pytest.raises(ResourceUnread):
                await call
    called = [head.split("\r\n")[0] for head in heads]
    assert called == [f"CONNECT {product}.{host}:443 HTTP/1.1" for product in ("api", "messaging")]
