"""WhatsApp messages and calls over real HTTP: the requests that are sent, and what comes of Twilio's answers."""

import json
from contextlib import asynccontextmanager
from html import unescape
from urllib.parse import parse_qs, parse_qsl, urlsplit
from xml.etree import ElementTree as ET

import pytest

from service.core.sender import (
    AcceptedMessage,
    ConfirmRefused,
    OutgoingMessage,
    Refusal,
    SendPostponed,
    SendRefused,
    SendUnknown,
    Speech,
    Template,
    Text,
)
from service.core.texts import LOCALES
from service.core.texts.segments import LONGEST_BRAND
from service.core.texts.spoken import spoken
from service.core.verification import Delivery
from service.providers.twilio.calls import CallSender
from service.providers.twilio.gateway import open_twilio
from service.providers.twilio.twiml import dictated
from service.providers.twilio.whatsapp import WhatsAppSender
from tests.providers.test_twilio_gateway import (
    ACCOUNT_SID,
    CODE,
    FEEDBACK,
    MESSAGES,
    NUMBER,
    QUEUED,
    SERVICE_SID,
    SID,
    VERIFICATION_ID,
    account,
    envelope,
    failure_of,
)
from tests.providers.twilio_recorder import recording

PUBLIC_URL = "https://otp.example.com"
OURS = "+15005550006"
CALL_SID = "CA" + "0123456789abcdef" * 2
CALLED = json.dumps({"sid": CALL_SID, "status": "queued"}).encode()
CALLS = f"/2010-04-01/Accounts/{ACCOUNT_SID}/Calls.json"
TEMPLATES = {"en": "HX" + "e" * 32, "de": "HX" + "d" * 32}
MOST_CHARACTERS = 4000  # of inline TwiML


def message(content, **fields):
    """Return the second send of a verification."""
    return OutgoingMessage(
        **{
            "verification_id": VERIFICATION_ID,
            "send_number": 2,
            "to": NUMBER,
            "content": content,
            "validity_seconds": 600,
            **fields,
        }
    )


@asynccontextmanager
async def whatsapp(**fields):
    """Yield a recorder and a sender of WhatsApp messages."""
    fields = {"whatsapp_sender": OURS, "whatsapp_templates": TEMPLATES, "public_url": PUBLIC_URL, **fields}
    async with recording() as twilio:
        of = account(twilio.url, **fields)
        async with open_twilio(of) as gateway:
            yield twilio, WhatsAppSender(of, gateway)


@asynccontextmanager
async def voice(**fields):
    """Yield a recorder and a sender of calls, whose seal only names what it was given."""
    async with recording() as twilio:
        twilio.answers(201, CALLED)
        of = account(twilio.url, **{"voice_from": OURS, "public_url": PUBLIC_URL, **fields})
        async with open_twilio(of) as gateway:
            yield twilio, CallSender(of, gateway.posting, lambda name, number, _: f"sealed-{name[-3:]}-{number}")


# --- WhatsApp -------------------------------------------------------------------------------------


async def test_a_template_on_the_wire():
    """A WhatsApp message names the template of its language, with the code as its one variable, and no text."""
    async with whatsapp(content_retention="discard", address_retention="obfuscate", risk_check="enable") as (
        twilio,
        sender,
    ):
        assert await sender.send(message(Template("de", CODE))) == AcceptedMessage(SID, Delivery.QUEUED)
    [request] = twilio.requests
    assert (request.method, request.path) == ("POST", MESSAGES)
    assert request.form == {
        "To": f"whatsapp:{NUMBER}",
        "From": f"whatsapp:{OURS}",
        "ContentSid": TEMPLATES["de"],
        "ContentVariables": json.dumps({"1": CODE}),
        "ValidityPeriod": "600",
        "Attempt": "2",
        "ContentRetention": "discard",
        "AddressRetention": "obfuscate",
        "StatusCallback": f"{PUBLIC_URL}/twilio/status/{VERIFICATION_ID}/2#rc=3&rp=ct,rt,5xx",
    }


async def test_a_messaging_service_sends_a_template():
    """With a Messaging Service there is no From, and without a public address no callback is asked for."""
    async with whatsapp(whatsapp_sender=SERVICE_SID, public_url=None) as (twilio, sender):
        await sender.send(message(Template("en", CODE)))
    form = twilio.requests[0].form
    assert (form["MessagingServiceSid"], form["To"]) == (SERVICE_SID, f"whatsapp:{NUMBER}")
    assert not {"From", "StatusCallback", "ProvideFeedback", "Body"} & set(form)


async def test_a_language_without_a_template_gets_that_of_the_default_language():
    """A language that has no template of its own gets that of OTP_LOCALE."""
    async with whatsapp(whatsapp_locale="de") as (twilio, sender):
        await sender.send(message(Template("fr", CODE)))
    assert twilio.requests[0].form["ContentSid"] == TEMPLATES["de"]


async def test_feedback_is_asked_for_only_by_the_setting():
    """OTP_WHATSAPP_FEEDBACK adds ProvideFeedback; a confirmation is posted as for a text message."""
    async with whatsapp(whatsapp_feedback=True) as (twilio, sender):
        await sender.send(message(Template("en", CODE)))
        assert sender.is_sid(SID)
        await sender.confirm(SID)
    sent, confirmed = twilio.requests
    assert sent.form["ProvideFeedback"] == "true"
    assert (confirmed.path, confirmed.body) == (FEEDBACK, "Outcome=confirmed")


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [(400, 63016, SendRefused), (400, 63024, SendRefused), (429, 63018, SendPostponed), (500, 63012, SendUnknown)],
)
async def test_errors_of_whatsapp(status, code, kind):
    """Errors of WhatsApp are of the three kinds that all sends have."""
    async with whatsapp() as (twilio, sender):
        twilio.answers(status, envelope(code, status))
        assert type(await failure_of(sender.send(message(Template("en", CODE))))) is kind


# --- Calls ----------------------------------------------------------------------------------------


async def test_a_call_on_the_wire():
    """A call is one POST with its instructions, which hold no code: only its sealed form, in the address to ask."""
    async with voice() as (twilio, sender):
        assert await sender.send(message(Speech("de", "Acme & Co", CODE))) == AcceptedMessage(CALL_SID, Delivery.QUEUED)
    [request] = twilio.requests
    form = request.form
    assert (request.method, request.path) == ("POST", CALLS)
    assert CODE not in request.body
    assert [value for name, value in parse_qsl(request.body) if name == "StatusCallbackEvent"] == [
        *("initiated", "ringing", "answered", "completed")
    ]
    twiml = form.pop("Twiml")
    assert form == {
        "To": NUMBER,
        "From": OURS,
        "Timeout": "25",
        "TimeLimit": "120",
        "StatusCallback": f"{PUBLIC_URL}/twilio/call/{VERIFICATION_ID}/2#rc=3&rp=ct,rt,5xx",
        "StatusCallbackEvent": "completed",  # the last of four
    }
    response = ET.fromstring(twiml)  # noqa: S314 - our own
    gather = response.find("Gather")
    action = gather.attrib.pop("action")
    assert gather.attrib == {
        "input": "dtmf", "numDigits": "1", "timeout": "8", "method": "POST", "finishOnKey": "",
    }  # fmt: skip
    assert action == f"{PUBLIC_URL}/twilio/spoken/{VERIFICATION_ID}/2?sealed=sealed-fff-2#rc=3&rp=ct,rt,5xx"
    greeting, again = gather.findall("Say")
    assert greeting.text == again.text == spoken("de").press_any_key.format(brand="Acme & Co")
    assert (greeting.get("language"), greeting.get("voice")) == (spoken("de").language, spoken("de").voice)
    assert [verb.tag for verb in response] == ["Gather", "Say", "Hangup"]


async def test_a_call_is_never_confirmed():
    """A call has a Call SID, and takes no confirmation."""
    async with voice() as (twilio, sender):
        assert (sender.is_sid(CALL_SID), sender.is_sid(SID)) == (True, False)
        assert type(await failure_of(sender.confirm(CALL_SID))) is ConfirmRefused
    assert twilio.requests == []


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, envelope(13224), SendRefused),
        (401, envelope(20003, 401), SendRefused),
        (429, envelope(20429, 429), SendPostponed),
        (400, envelope(10004), SendPostponed),
        (503, envelope(20503, 503), SendUnknown),
        (201, QUEUED, SendUnknown),  # the SID of a message is none of a call
        (201, b"{}", SendUnknown),
    ],
)
async def test_errors_of_calls(status, body, kind):
    """Errors of calls are of the three kinds that all sends have, after one POST, without number or code."""
    async with voice() as (twilio, sender):
        twilio.answers(status, body)
        failure = await failure_of(sender.send(message(Speech("en", "Acme", CODE))))
    assert type(failure) is kind
    assert NUMBER not in str(failure)
    assert CODE not in str(failure)
    assert len(twilio.requests) == 1


async def test_a_country_that_is_not_called():
    """Geo Permissions of calls are apart from those of messages; both are refused alike."""
    async with voice() as (twilio, sender):
        twilio.answers(400, envelope(21215))
        assert (
            await failure_of(sender.send(message(Speech("en", "Acme", CODE))))
        ).refusal is Refusal.COUNTRY_NOT_ALLOWED


@pytest.mark.parametrize("opened", [whatsapp, voice])
async def test_a_channel_takes_only_its_own_content(opened):
    """A text is never sent by a channel that cannot carry it."""
    async with opened() as (twilio, sender):
        with pytest.raises(TypeError):
            await sender.send(message(Text("hello")))
    assert twilio.requests == []


@pytest.mark.parametrize("locale", LOCALES)
async def test_every_call_fits(locale):
    """In every language the instructions of a call with the longest brand and address stay below Twilio's limit."""
    url = "https://" + ".".join(["x" * 60] * 4)
    async with voice(public_url=url) as (twilio, sender):
        sender._seal = lambda *_: "s" * 300
        await sender.send(message(Speech(locale, "&" * LONGEST_BRAND, CODE)))
    twiml = twilio.requests[0].form["Twiml"]
    assert len(twiml) < MOST_CHARACTERS
    action = ET.fromstring(twiml).find("Gather").get("action")  # noqa: S314 - our own
    assert parse_qs(urlsplit(action).query) == {"sealed": ["s" * 300]}


@pytest.mark.parametrize("locale", LOCALES)
def test_a_code_is_said_digit_by_digit_twice(locale):
    """In every language the code is said twice, each digit alone with a pause after it."""
    sentences = spoken(locale)
    response = ET.fromstring(dictated(Speech(locale, "A & B", "0493")))  # noqa: S314 - our own
    assert [verb.tag for verb in response] == ["Say", "Pause", "Say", "Say", "Hangup"]
    first, again, end = response.findall("Say")
    for say, sentence in ((first, sentences.code_is.format(brand="A & B")), (again, sentences.once_more)):
        assert say.text.strip() == unescape(sentence)
        assert [(pause.tag, pause.get("time")) for pause in say] == [("break", "600ms")] * 5
        assert [pause.tail.strip() for pause in say][:4] == list("0493")
    assert end.text == sentences.code_said
    assert {say.get("language") for say in (first, again, end)} == {sentences.language}
