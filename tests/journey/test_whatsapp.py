"""WhatsApp messages from issue to approval: the template that goes out, what is read, and what is confirmed."""

import pytest

from tests.conftest import NUMBER

TEMPLATES = {"en": "HX" + "e" * 32, "de": "HX" + "d" * 32}
LISTED = ",".join(f"{locale}={sid}" for locale, sid in TEMPLATES.items())


@pytest.fixture
async def whatsapp(start):
    """Return `whatsapp(**settings)`: start a service with a WhatsApp sender and two approved templates."""

    async def begin(**settings):
        sender = {"twilio_whatsapp_from": "+15005550006", "twilio_whatsapp_templates": LISTED}
        return await start(sandbox={"templates": TEMPLATES, "delivery_seconds": 0.02}, **{**sender, **settings})

    return begin


async def sent_as(running, issued):
    """Return the first send of a verification."""
    return (await running.read(issued["id"]))["sends"][0]


async def test_a_code_by_whatsapp_approves(whatsapp, eventually):
    """The template of the language carries the code; it is delivered, then read; the code approves, unreported."""
    running = await whatsapp()
    issued = await running.issue(channel="whatsapp", locale="de")
    [message] = running.messages()
    assert (message.to, message.content_sid) == (f"whatsapp:{NUMBER}", TEMPLATES["de"])
    assert not message.provide_feedback

    async def has(status):
        return (await sent_as(running, issued))["status"] == status

    assert await eventually(lambda: has("delivered"), seconds=30)
    async with running.http.post(f"{running.sandbox_url}/_/messages/{message.sid}/read") as response:
        assert response.status < 300
    assert await eventually(lambda: has("read"), seconds=30)
    checked = await running.verify(issued["id"], running.codes()[0])
    assert checked["verdict"] == "approved"
    assert (await sent_as(running, issued))["feedback"] == "none"


async def test_feedback_by_the_setting(whatsapp, settled):
    """With OTP_WHATSAPP_FEEDBACK the message asks for feedback, and its use is confirmed for its SID."""
    running = await whatsapp(otp_whatsapp_feedback=True)
    issued = await running.issue(channel="whatsapp")
    await running.verify(issued["id"], running.codes()[0])
    assert await settled(running) == [("confirmed", 1)]
    assert running.messages()[0].provide_feedback


async def test_a_template_that_is_not_approved_fails_later(whatsapp, eventually):
    """A message without an approved template is accepted and fails, with WhatsApp's error at the send."""
    running = await whatsapp()
    async with running.http.post(
        f"{running.sandbox_url}/_/content/{TEMPLATES['en']}", json={"status": "paused"}
    ) as response:
        assert response.status < 300
    issued = await running.issue(channel="whatsapp")

    async def failure():
        send = await sent_as(running, issued)
        return send["status"] in ("failed", "undelivered") and send["error_code"]

    assert await eventually(failure, seconds=30) == 63041


async def test_another_lifetime_than_the_templates_say_is_refused(whatsapp):
    """The template says for how long a code is valid, so an issue by WhatsApp has exactly this lifetime."""
    running = await whatsapp(otp_whatsapp_minutes=5)
    asked = {"to": NUMBER, "channel": "whatsapp"}
    status, problem, _ = await running.call("POST", "/v1/verifications", asked)
    assert (status, problem["code"]) == (422, "invalid_request")
    assert "300 seconds" in problem["errors"][0]["detail"]
    status, _, _ = await running.call("POST", "/v1/verifications", {**asked, "ttl_seconds": 300})
    assert (status, len(running.messages())) == (201, 1)


async def test_a_message_that_becomes_rcs_is_counted(start, eventually):
    """If the pool turns a text into RCS, the callbacks tell, and the metric counts it; SMS is not counted."""
    service = {"twilio_from": None, "twilio_messaging_service_sid": "MG" + "1b" * 16}
    running = await start(sandbox={"rcs_sender": "acme_agent", "delivery_seconds": 0.02}, **service)
    await running.issue()

    async def counted():
        async with running.http.get("/metrics") as response:
            return 'otp_sends_total{channel="sms",country="US",event="rcs"} 1.0' in await response.text()

    assert await eventually(counted, seconds=30)
