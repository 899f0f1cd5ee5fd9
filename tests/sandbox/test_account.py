"""The numbers and Messaging Services of the account: Twilio's own client reads and changes where their webhooks go."""

import aiohttp
import pytest
from twilio.base.exceptions import TwilioRestException

from service.sandbox import SandboxSettings, create_sandbox

SERVICE = "MG" + "0" * 32
MESSAGE_URL, VOICE_URL = "http://127.0.0.1:8000/twilio/message", "http://127.0.0.1:8000/twilio/voice"


@pytest.fixture
async def fresh(serve_application, connect):
    """Serve a sandbox of its own, whose webhooks go to a service."""
    settings = SandboxSettings(delivery_seconds=0.02, message_url=MESSAGE_URL, voice_url=VOICE_URL)
    server = serve_application(create_sandbox(settings))
    async with aiohttp.ClientSession() as http:
        yield connect(server.url, settings, http)
    server.stop()


async def test_the_number_says_where_its_messages_and_calls_go(fresh):
    """IncomingPhoneNumbers has the number that Messaging Services pick, with the URLs of the settings."""
    [number] = await fresh.twilio().incoming_phone_numbers.list_async(phone_number=fresh.pool_number)
    assert (number.phone_number, number.sms_url, number.sms_method) == (fresh.pool_number, MESSAGE_URL, "POST")
    assert (number.voice_url, number.voice_method) == (VOICE_URL, "POST")
    assert number.capabilities["sms"]
    assert number.sid.startswith("PN")
    fetched = await fresh.twilio().incoming_phone_numbers(number.sid).fetch_async()
    assert (fetched.sid, fetched.sms_url, fetched.uri) == (number.sid, MESSAGE_URL, number.uri)


async def test_numbers_are_found_by_a_part(fresh):
    """As at Twilio, a list is filtered by a part of the number, in which an asterisk is any digit."""
    await fresh.twilio().incoming_phone_numbers.create_async(phone_number="+14155550100")
    numbers = fresh.twilio().incoming_phone_numbers
    assert [each.phone_number for each in await numbers.list_async(phone_number="415*550")] == ["+14155550100"]
    assert await numbers.list_async(phone_number="+447") == []
    assert len(await numbers.list_async()) == 2


async def test_the_urls_of_a_number_can_be_changed(fresh):
    """A POST changes the URLs and methods; what it does not name stays."""
    added = await fresh.twilio().incoming_phone_numbers.create_async(phone_number="+14155550100", sms_url="")
    assert (added.sms_url, added.voice_url) == ("", VOICE_URL)
    changed = await fresh.twilio().incoming_phone_numbers(added.sid).update_async(
        sms_url="https://otp.example.com/in", sms_method="GET"
    )  # fmt: skip
    assert (changed.sms_url, changed.sms_method, changed.voice_url) == ("https://otp.example.com/in", "GET", VOICE_URL)


async def test_the_account_owns_what_it_sends_from(fresh):
    """A number that a message was sent from belongs to the account; a name does not."""
    await fresh.send(from_="+14155550100")
    await fresh.send(from_="Acme")
    listed = await fresh.twilio().incoming_phone_numbers.list_async()
    assert {each.phone_number for each in listed} == {fresh.pool_number, "+14155550100"}


async def test_a_messaging_service_says_where_its_messages_go(fresh):
    """A service that a message was sent with exists, with the URL of the settings and the number in its sender pool."""
    await fresh.send(from_=None, messaging_service_sid=SERVICE)
    services = fresh.twilio().messaging.v1.services
    service = await services(SERVICE).fetch_async()
    assert (service.inbound_request_url, service.inbound_method) == (MESSAGE_URL, "POST")
    assert service.use_inbound_webhook_on_number is False
    [number] = await services(SERVICE).phone_numbers.list_async()
    assert (number.phone_number, number.service_sid) == (fresh.pool_number, SERVICE)
    assert [each.sid for each in await services.list_async()] == [SERVICE]


async def test_a_messaging_service_can_be_changed(fresh):
    """A service can be made and changed, a URL can be removed, and numbers can be added to its pool."""
    services = fresh.twilio().messaging.v1.services
    made = await services.create_async(friendly_name="OTP", inbound_request_url="https://otp.example.com/in")
    assert (made.friendly_name, made.inbound_request_url) == ("OTP", "https://otp.example.com/in")
    changed = await services(made.sid).update_async(inbound_request_url="", use_inbound_webhook_on_number=True)
    assert (changed.inbound_request_url, changed.use_inbound_webhook_on_number) == (None, True)
    number = await fresh.twilio().incoming_phone_numbers.create_async(phone_number="+14155550100")
    await services(made.sid).phone_numbers.create_async(phone_number_sid=number.sid)
    assert [each.phone_number for each in await services(made.sid).phone_numbers.list_async()] == ["+14155550100"]


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (lambda twilio: twilio.incoming_phone_numbers("PN" + "0" * 32).fetch_async(), 20404),
        (lambda twilio: twilio.messaging.v1.services(SERVICE).fetch_async(), 20404),
        (lambda twilio: twilio.incoming_phone_numbers.create_async(phone_number="12"), 21421),
        (lambda twilio: twilio.messaging.v1.services.create_async("x", inbound_request_url="ftp://a"), 21502),
        (lambda twilio: twilio.messaging.v1.services.create_async("x", inbound_method="PUT"), 20422),
    ],
)
async def test_what_is_wrong_or_unknown_is_refused(fresh, call, code):
    """Unknown SIDs and invalid values get Twilio's errors."""
    with pytest.raises(TwilioRestException) as refused:
        await call(fresh.twilio())
    assert refused.value.code == code


async def test_the_newer_api_checks_credentials_too(fresh):
    """Without the right credentials, the endpoints under /v1 respond with 20003."""
    with pytest.raises(TwilioRestException) as refused:
        await fresh.twilio(password="wrong").messaging.v1.services(SERVICE).fetch_async()
    assert (refused.value.status, refused.value.code) == (401, 20003)
