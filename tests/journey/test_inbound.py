"""Replies and calls through the simulator to a service: what arrives there has Twilio's signature."""

import pytest

from tests.conftest import NUMBER


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
