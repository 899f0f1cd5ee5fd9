"""The promises of `service.diagnosis.channels`: what is wrong with templates and the voice number, in one sentence."""

import json

import pytest

from service.config.settings import isolated_settings
from service.diagnosis import examine
from service.diagnosis.channels import channel_findings
from service.providers.twilio.gateway import open_twilio
from tests.providers.test_twilio_gateway import account, behind_a_proxy
from tests.providers.twilio_recorder import recording

OURS = "+15005550006"
ENGLISH, BRAZILIAN = ("en", "HX" + "e" * 32), ("pt-BR", "HX" + "b" * 32)
WHATSAPP = {
    "twilio_whatsapp_from": OURS,
    "twilio_whatsapp_templates": (ENGLISH,),
    "otp_public_url": "https://otp.example.com",
}
KIND = "whatsapp/authentication"
CONTENT = {
    "language": "en",
    "variables": {"1": "123456"},
    "types": {KIND: {"code_expiration_minutes": 10, "add_security_recommendation": True, "actions": []}},
    "whatsapp": {"status": "approved", "category": "AUTHENTICATION"},
}


async def findings(answer=CONTENT, *, status=200, **settings):
    """Return (level, text) of the findings if Twilio gives this answer to each request."""
    async with recording() as twilio, open_twilio(account(twilio.url)) as gateway:
        twilio.answers(status, json.dumps(answer).encode())
        found = await channel_findings(isolated_settings(**settings), gateway.templates(), gateway.inbound_urls())
    return [(finding.level, finding.text) for finding in found]


async def test_the_simulators_templates_are_right(start):
    """`check` reads the templates of both languages at the simulator, and the number that calls."""
    played = {"templates": {"en": ENGLISH[1], "pt_BR": BRAZILIAN[1]}}
    running = await start(sandbox=played)
    channels = {"twilio_whatsapp_from": OURS, "twilio_whatsapp_templates": (ENGLISH, BRAZILIAN)}
    settings = running.settings.model_copy(update={**channels, "twilio_voice_from": OURS})
    found = [(finding.level, finding.text) for finding in await examine(settings)]
    assert ("ok", "The WhatsApp templates (en, pt-BR) are approved, and say 10 minutes.") in found
    assert ("ok", "Twilio has the number of TWILIO_VOICE_FROM.") in found
    assert not [text for level, text in found if level == "error"]


async def test_channels_that_are_not_set_up_need_nothing():
    """Without a sender nothing is read and nothing said."""
    assert await findings() == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"types": {"twilio/text": {"body": "{{1}}"}}}, "is not of the type whatsapp/authentication"),
        ({"types": {KIND: {"code_expiration_minutes": 5}}}, "says that a code is valid for 5 minutes, but"),
        ({"types": {KIND: {}}}, "says that a code is valid for no stated time, but"),
        ({"variables": {"1": "x", "2": "y"}}, "must have exactly one variable, 1,"),
        ({"variables": None}, "must have exactly one variable, 1,"),
        ({"language": "de"}, "is in another language (de): "),
        ({"whatsapp": {"status": "pending"}}, "is not approved by WhatsApp (its status is pending): "),
        ({"whatsapp": None}, "is not approved by WhatsApp (its status is unsubmitted): "),
    ],
)
async def test_each_fault_of_a_template_is_an_error(changes, said):
    """What keeps messages from a template, or makes them untrue, is one sentence that names it."""
    [(level, text)] = await findings({**CONTENT, **changes}, **WHATSAPP)
    assert level == "error"
    assert text.startswith(f"The WhatsApp template for en ({ENGLISH[1]}) {said}")
    assert text.endswith(".")


async def test_a_template_that_cannot_be_read_is_warned_about():
    """An unknown template, and credentials that may not read it, cannot be told apart: the sentence names both."""
    [(level, text)] = await findings({"code": 20404}, status=404, **WHATSAPP)
    assert level == "warn"
    assert "could not be read (Twilio answered 404, error 20404). Check TWILIO_WHATSAPP_TEMPLATES" in text


@pytest.mark.parametrize("answer", [[], {}, None, {"language": "en", "variables": {}, "types": 5}])
async def test_an_illegible_template_is_warned_about(answer):
    """Whatever an answer lacks, `check` says so and goes on."""
    assert [level for level, _ in await findings(answer, **WHATSAPP)] == ["warn"]


async def test_another_default_lifetime_is_warned_about():
    """If the default lifetime is not that of the templates, an issue by WhatsApp must ask for it."""
    [warned] = [text for level, text in await findings(**WHATSAPP, otp_code_ttl="5m") if level == "warn"]
    assert warned == (
        "OTP_CODE_TTL is 5m and OTP_WHATSAPP_MINUTES 10: an issue by WhatsApp is refused unless it asks for "
        "ttl_seconds 600. Set both alike."
    )


@pytest.mark.parametrize(
    ("numbers", "level"),
    [
        ({"incoming_phone_numbers": [{"phone_number": OURS}]}, "ok"),
        ({"incoming_phone_numbers": [{"phone_number": OURS + "1"}], "outgoing_caller_ids": []}, "error"),
        ({"incoming_phone_numbers": [], "outgoing_caller_ids": [{"phone_number": OURS}]}, "ok"),
        ({"incoming_phone_numbers": [], "outgoing_caller_ids": [{"phone_number": OURS + "1"}]}, "error"),
        ({}, "warn"),
    ],
)
async def test_the_number_that_calls_is_looked_up(numbers, level):
    """A number of the account or a verified caller ID may call; any other is an error that names the setting."""
    [found] = await findings(numbers, twilio_voice_from=OURS)
    assert (found[0], "TWILIO_VOICE_FROM" in found[1]) == (level, True)


async def test_templates_have_a_host_of_their_own(monkeypatch):
    """Templates are read from Twilio's host for content, at the edge and region."""
    async with behind_a_proxy(monkeypatch) as heads, open_twilio(account(None, edge="sydney", region="au1")) as gateway:
        await channel_findings(isolated_settings(**WHATSAPP), gateway.templates(), gateway.inbound_urls())
    assert {head.split("\r\n")[0] for head in heads} == {"CONNECT content.sydney.au1.twilio.com:443 HTTP/1.1"}
