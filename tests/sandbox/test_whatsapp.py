"""Messages by WhatsApp, their templates with Twilio's own client, their errors and callbacks; and RCS."""

import aiohttp
import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.rest.content.v1.content import ContentList
from twilio.rest.content.v1.content.approval_create import ApprovalCreateList

from service.sandbox import SandboxSettings, create_sandbox
from tests.sandbox.conftest import emptied

ENGLISH, GERMAN = "HX" + "0e" * 16, "HX" + "0d" * 16
NUMBER = "+15558675310"
TO, SENDER = f"whatsapp:{NUMBER}", "whatsapp:+15005550006"
CODE = '{"1": "482913"}'
SERVICE = "MG" + "0" * 32


@pytest.fixture(scope="module")
def meta(serve_application):
    """Serve a sandbox with two approved templates, which the tests of this file share."""
    settings = SandboxSettings(delivery_seconds=0.02, templates={"en": ENGLISH, "de": GERMAN}, template_minutes=5)
    server = serve_application(create_sandbox(settings))
    yield server.url, settings
    server.stop()


@pytest.fixture
async def business(meta):
    """Connect to that sandbox, with nothing recorded and no fault planned."""
    async with emptied(*meta) as live:
        yield live


async def send(live, **changes):
    """Send the English template by WhatsApp."""
    fields = {"to": TO, "from_": SENDER, "body": None, "content_sid": ENGLISH, "content_variables": CODE}
    return await live.send(**fields | changes)


async def at_its_end(live, sid):
    """Wait until a message has arrived or failed; return its row."""
    rows = await live.until(
        "messages", lambda rows: any(r["sid"] == sid and r["status"] in {"delivered", "undelivered"} for r in rows)
    )
    return next(row for row in rows if row["sid"] == sid)


async def refusal(sending):
    """Return the code with which Twilio refuses a message."""
    with pytest.raises(TwilioRestException) as refused:
        await sending
    assert refused.value.status == 400
    return refused.value.code


async def make(live, text, *, language="en"):
    """Add a template of plain text, which is not approved; return it."""
    body = {"friendly_name": "note", "language": language, "variables": {"1": "Ann"}, "types": {"twilio/text": text}}
    return await live.twilio().content.v1.contents.create_async(ContentList.ContentCreateRequest(body))


async def decide(live, sid, status):
    """Let WhatsApp decide about a template."""
    answered, row = await live.act(f"content/{sid}", status=status)
    assert (answered, row["approval"]["status"]) == (200, status)


async def test_a_template_arrives_with_its_code(business):
    """The person reads WhatsApp's sentences with the code; both ends keep the channel in their address."""
    message = await send(business)
    assert (message.status, message.to, message.from_, message.num_segments) == ("queued", TO, SENDER, "1")
    row = await at_its_end(business, message.sid)
    advice = "For your security, do not share this code."
    assert row["body"] == f"482913 is your verification code. {advice}\nExpires in 5 minutes."
    assert (row["status"], row["to"], row["error_code"]) == ("delivered", TO, None)
    assert (await business.read("messages", to=NUMBER))[0]["sid"] == message.sid


async def test_each_language_is_a_template(business):
    """The ContentSid decides in which language the person reads the code."""
    row = await at_its_end(business, (await send(business, content_sid=GERMAN)).sid)
    assert row["body"].startswith("482913 ist dein Bestätigungscode.")


async def test_a_messaging_service_picks_a_sender_of_whatsapp(business):
    """The picked sender is an address of WhatsApp, too."""
    message = await send(business, from_=None, messaging_service_sid=SERVICE)
    assert (message.status, message.from_, message.num_segments) == ("accepted", None, "0")
    assert (await at_its_end(business, message.sid))["from"] == SENDER


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"from_": "+15005550006"}, 21910),
        ({"to": NUMBER}, 21910),
        ({"to": "whatsapp:15558675310"}, 21211),
        ({"from_": "whatsapp:Acme"}, 21212),
        ({"from_": "whatsapp:+15005550007"}, 63007),
        ({"content_sid": "HX" + "f" * 32}, 21655),
        ({"content_sid": None}, 21602),
        ({"content_sid": None, "body": "Hello"}, 21654),
        ({"content_variables": "482913"}, 21656),
        ({"content_variables": '{"1": ""}'}, 21656),
        ({"content_variables": '{"1": 482913}'}, 21656),
    ],
)
async def test_a_wrong_request_is_refused(business, changes, code):
    """Channels that differ, unknown senders and templates, and invalid variables are refused at once."""
    assert await refusal(send(business, **changes)) == code
    assert await business.read("messages") == []


@pytest.mark.parametrize("variables", ['{"1": "482913", "2": "Acme"}', '{"2": "482913"}', "{}", None])
async def test_the_variables_must_be_those_of_the_template(business, variables):
    """More, fewer or other variables than the template has are accepted, and the message fails with 63028."""
    row = await at_its_end(business, (await send(business, content_variables=variables)).sid)
    assert (row["status"], row["error_code"], row["body"]) == ("undelivered", 63028, "")


async def test_a_free_text_needs_an_answer_first(business):
    """Without a template the message fails with 63016, because the person has not written."""
    message = await send(business, content_sid=None, content_variables=None, body="Your code is 482913")
    assert (await at_its_end(business, message.sid))["error_code"] == 63016


@pytest.mark.parametrize(
    ("status", "code"),
    [("pending", 63016), ("rejected", 63040), ("paused", 63041), ("disabled", 63042), ("approved", None)],
)
async def test_only_an_approved_template_arrives(business, status, code):
    """WhatsApp decides about each template, and may take its approval back."""
    template = await make(business, {"body": "Hello {{1}}"})
    await decide(business, template.sid, status)
    variables = '{"1": "Bob"}'
    message = await send(business, content_sid=template.sid, content_variables=variables)
    row = await at_its_end(business, message.sid)
    assert (row["error_code"], row["body"]) == (code, "Hello Bob")


async def test_a_template_can_be_read(business):
    """Content has the language, the variable and the minutes of an authentication template, and its approval."""
    contents = business.twilio().content.v1.contents
    template = await contents(ENGLISH).fetch_async()
    assert (template.language, template.variables) == ("en", {"1": "123456"})
    options = template.types["whatsapp/authentication"]
    assert (options["code_expiration_minutes"], options["add_security_recommendation"]) == (5, True)
    assert options["actions"][0]["type"] == "COPY_CODE"
    approval = await contents(ENGLISH).approval_fetch().fetch_async()
    assert approval.whatsapp["status"] == "approved"
    assert approval.whatsapp["category"] == "AUTHENTICATION"
    assert {ENGLISH, GERMAN} <= {each.sid for each in await contents.list_async()}


async def test_a_template_is_made_and_sent_for_approval(business):
    """A new template is unsubmitted, then received, and has what WhatsApp decides."""
    template = await make(business, {"body": "Hello {{1}}"}, language="fr")
    contents = business.twilio().content.v1.contents
    assert (await contents(template.sid).approval_fetch().fetch_async()).whatsapp["status"] == "unsubmitted"
    wanted = ApprovalCreateList.ContentApprovalRequest({"name": "note", "category": "UTILITY"})
    received = await contents(template.sid).approval_create.create_async(wanted)
    assert (received.status, received.name, received.content_type) == ("received", "note", "twilio/text")
    assert (await business.act(f"content/{template.sid}", status="rejected", rejection_reason="Too long"))[0] == 200
    decided = (await contents(template.sid).approval_fetch().fetch_async()).whatsapp
    assert (decided["status"], decided["rejection_reason"]) == ("rejected", "Too long")


@pytest.mark.parametrize("minutes", [0, 91, 2.5])
async def test_a_template_lives_1_to_90_minutes(business, minutes):
    """A code_expiration_minutes that WhatsApp does not have is refused."""
    body = {"language": "en", "types": {"whatsapp/authentication": {"code_expiration_minutes": minutes}}}
    headers = {"Authorization": aiohttp.encode_basic_auth(business.settings.account_sid, business.settings.auth_token)}
    async with business.http.post(f"{business.url}/v1/Content", json=body, headers=headers) as response:
        refused = await response.json()
    assert (response.status, refused["code"]) == (400, 20422)
    assert "from 1 to 90" in refused["message"]


async def test_an_unknown_template_is_not_found(business):
    """Fetching one is a 404, and so is its approval; deciding about it is refused."""
    contents = business.twilio().content.v1.contents
    for reading in (contents("HX" + "f" * 32), contents("HX" + "f" * 32).approval_fetch()):
        with pytest.raises(TwilioRestException) as unknown:
            await reading.fetch_async()
        assert (unknown.value.status, unknown.value.code) == (404, 20404)
    assert (await business.act(f"content/HX{'f' * 32}", status="approved"))[0] == 422
    assert (await business.act(f"content/{ENGLISH}", status="liked"))[0] == 422


async def test_callbacks_name_the_channel(business, receiver):
    """Callbacks of WhatsApp have its prefix and events, and are signed."""
    message = await send(business, status_callback=f"{receiver.url}/status")
    await at_its_end(business, message.sid)
    sent, delivered = await receiver.until(2)
    assert [post.form["MessageStatus"] for post in (sent, delivered)] == ["sent", "delivered"]
    assert (sent.form["To"], sent.form["From"], sent.form["ChannelPrefix"]) == (TO, SENDER, "whatsapp")
    assert (sent.form["ChannelToAddress"], "EventType" in sent.form) == ("+1555867XXXX", False)
    assert (delivered.form["EventType"], "RawDlrDoneDate" in delivered.form) == ("DELIVERED", False)
    assert receiver.signed(sent)
    assert receiver.signed(delivered)


async def test_a_person_reads_a_message(business, receiver):
    """Reading is reported once, and only of a message that has arrived by a channel that tells."""
    message = await send(business, status_callback=f"{receiver.url}/status")
    await at_its_end(business, message.sid)
    await receiver.until(2)
    assert (await business.act(f"messages/{message.sid}/read"))[0] == 200
    post = (await receiver.until(3))[2]
    assert (post.form["MessageStatus"], post.form["EventType"]) == ("read", "READ")
    assert (await business.twilio().messages(message.sid).fetch_async()).status == "read"
    assert (await business.act(f"messages/{message.sid}/read"))[0] == 422
    by_sms = await business.send()
    await at_its_end(business, by_sms.sid)
    assert (await business.act(f"messages/{by_sms.sid}/read"))[0] == 422


@pytest.mark.parametrize("code", [63003, 63018, 63024])
async def test_a_fault_can_be_for_one_channel(business, receiver, code):
    """A planned failure with a channel spares the other, and its callback has the error and its sentence."""
    await business.plan("callbacks", "fail", code=code, channel="whatsapp")
    by_sms = await business.send()
    assert (await at_its_end(business, by_sms.sid))["status"] == "delivered"
    message = await send(business, status_callback=f"{receiver.url}/status")
    assert (await at_its_end(business, message.sid))["error_code"] == code
    _, failed = await receiver.until(2)
    assert (failed.form["ErrorCode"], failed.form["EventType"]) == (str(code), "UNDELIVERED")
    assert failed.form["ChannelStatusMessage"] != "The message was not delivered"
    fetched = await business.twilio().messages(message.sid).fetch_async()
    assert fetched.error_message == failed.form["ChannelStatusMessage"]


async def test_a_request_fault_can_be_for_one_channel(business):
    """A refusal planned for WhatsApp lets a message by SMS pass before."""
    await business.plan("messages", "refuse", code=63018, count=1, channel="whatsapp")
    await business.send()
    assert await refusal(send(business)) == 63018


async def test_feedback_is_taken_for_whatsapp(business):
    """Twilio promises nothing of Message Feedback by WhatsApp; the simulator takes it like any other."""
    message = await send(business)
    await business.twilio().messages(message.sid).feedback.create_async(outcome="confirmed")
    assert (await business.read("messages"))[0]["outcome"] == "confirmed"


async def test_a_pool_with_an_rcs_sender_sends_rcs(inbox, receiver):
    """Only the callbacks tell that a message by a Messaging Service went as RCS."""
    live = inbox(rcs_sender="acme_agent")
    message = await live.send(from_=None, messaging_service_sid=SERVICE, status_callback=f"{receiver.url}/status")
    assert message.to == NUMBER
    posts = await receiver.until(3)
    assert {post.form["ChannelPrefix"] for post in posts} == {"rcs"}
    assert {post.form["From"] for post in posts} == {"rcs:acme_agent"}
    await at_its_end(live, message.sid)
    assert (await live.act(f"messages/{message.sid}/read"))[0] == 200
