"""Messages that people send: the webhook with its fields and signature, keywords, the filter, and replies to them."""

import asyncio

import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.request_validator import RequestValidator
from twilio.twiml.messaging_response import MessagingResponse

from tests.sandbox.test_inspection import events_until

SERVICE = "MG" + "0" * 32
FIELDS = {
    "AccountSid", "ApiVersion", "Body", "From", "FromCity", "FromCountry", "FromState", "FromZip", "MessageSid",
    "NumMedia", "NumSegments", "SmsMessageSid", "SmsSid", "SmsStatus", "To", "ToCity", "ToCountry", "ToState", "ToZip",
}  # fmt: skip


async def test_a_message_is_posted_with_twilios_fields_and_signature(inbox, receiver):
    """The webhook gets all fields of a plain SMS, empty ones too, signed as Twilio's validator expects."""
    live = inbox()
    row = await live.say("maple river, thanks 🙂", **{"from": "+14155550123"})
    [post] = receiver.posts
    assert set(post.form) == FIELDS
    assert post.form["MessageSid"] == post.form["SmsSid"] == post.form["SmsMessageSid"] == row["sid"]
    assert (post.form["From"], post.form["To"]) == ("+14155550123", live.pool_number)
    assert (post.form["Body"], post.form["SmsStatus"]) == ("maple river, thanks 🙂", "received")
    assert (post.form["FromCountry"], post.form["FromCity"]) == ("US", "")
    assert post.path == "/in"
    assert receiver.signed(post)
    assert not receiver.signed(post, "another token")


async def test_a_message_is_recorded(inbox, receiver):
    """The test interface and the REST API have the message with its direction, and the post with its result."""
    live = inbox()
    row = await live.say("maple river")
    assert (row["direction"], row["status"], row["from"]) == ("inbound", "received", live.number)
    assert await live.read("messages") == [row]
    [callback] = await live.read("callbacks", sid=row["sid"])
    assert (callback["url"], callback["result"], callback["error_code"]) == (f"{receiver.url}/in", 204, None)
    fetched = await live.twilio().messages(row["sid"]).fetch_async()
    assert (fetched.direction, fetched.status, fetched.body) == ("inbound", "received", "maple river")


async def test_an_inbound_message_is_an_event_of_its_own(inbox):
    """Who listens to `message` for what the account sends is not told of what it gets."""
    live = inbox()
    async with live.http.get(f"{live.url}/_/events") as stream:
        row = await live.say("maple river")
        assert await events_until(stream, "inbound") == [("inbound", row)]


async def test_a_reply_in_twiml_is_sent_to_the_person(inbox, receiver):
    """`<Message>` in the response is sent from the number that was written to, and is delivered."""
    live = inbox()
    document = MessagingResponse()
    document.message("Thanks")
    receiver.documents_to_return.append(str(document))
    await live.say("maple river")
    rows = await live.until("messages", lambda rows: rows[-1]["status"] == "delivered")
    assert [row["direction"] for row in rows] == ["inbound", "outbound-reply"]
    assert [row["body"] for row in rows] == ["maple river", "Thanks"]
    assert (rows[-1]["from"], rows[-1]["to"], rows[-1]["outcome"]) == (live.pool_number, live.number, None)


@pytest.mark.parametrize("document", ["<Response/>", '<?xml version="1.0"?>\n<Response></Response>'])
async def test_an_empty_response_does_nothing(inbox, receiver, document):
    """An empty TwiML document sends nothing."""
    live = inbox()
    receiver.documents_to_return.append(document)
    await live.say("maple river")
    assert len(await live.read("messages")) == 1
    assert [row["error_code"] for row in await live.read("callbacks")] == [None]


async def test_a_response_in_plain_text_is_sent_to_the_person(inbox, receiver):
    """As at Twilio, a receiver that says `ok` in plain text sends people `ok`."""
    live = inbox()
    receiver.documents_to_return.append("ok")
    receiver.content_type = "text/plain"
    await live.say("maple river")
    assert [row["body"] for row in await live.read("messages")] == ["maple river", "ok"]


@pytest.mark.parametrize(
    ("document", "content_type", "code"),
    [
        ("<Response", "text/xml", 12100),
        ("<!DOCTYPE a [<!ENTITY b 'c'>]><Response>&b;</Response>", "text/xml", 12100),
        ("<Answer/>", "text/xml", 12102),
        ("<Response><Say>Hello</Say></Response>", "text/xml", 12200),
        ("{}", "application/json", 12300),
        ("<Response>" + " " * 70_000 + "</Response>", "text/xml", 11750),
    ],
)
async def test_a_response_that_is_no_twiml_is_an_error(inbox, receiver, document, content_type, code):
    """The post is recorded with Twilio's error, and nothing is sent."""
    live = inbox()
    receiver.documents_to_return.append(document)
    receiver.content_type = content_type
    await live.say("maple river")
    assert len(await live.read("messages")) == 1
    assert [row["error_code"] for row in await live.read("callbacks")] == [code]


async def test_a_webhook_that_fails_is_recorded(inbox, receiver):
    """A 500 is Twilio's error 11200, and is not retried unless the URL's fragment asks for it."""
    live = inbox(message_url=f"{receiver.url}/in#rc=2&rp=5xx")
    receiver.statuses_to_return += [500, 500]
    await live.say("maple river")
    rows = await live.read("callbacks")
    assert [(row["result"], row["error_code"]) for row in rows] == [(500, 11200), (500, 11200), (204, None)]
    assert len({post.form["MessageSid"] for post in receiver.posts}) == 1


@pytest.mark.parametrize(
    "word", ["STOP", "stop", " Stop\n", "UNSUBSCRIBE", "Cancel", "END", "quit", "StopAll", "REVOKE", "OPTOUT"]
)
async def test_a_keyword_stops_the_sender(inbox, receiver, word):
    """After an opt-out word, messages of this sender to this person fail with 21610, and others do not."""
    live = inbox()
    row = await live.say(word)
    assert "unsubscribed" in row["auto_reply"]
    assert receiver.posts[-1].form["Body"] == word
    with pytest.raises(TwilioRestException) as refused:
        await live.send(from_=live.pool_number)
    assert refused.value.code == 21610
    await live.send(from_="+14155550100")
    await live.send(from_=live.pool_number, to="+447700900123")
    assert await live.read("opt_outs") == [{"person": live.number, "sender": live.pool_number}]


@pytest.mark.parametrize("word", ["START", "yes", "Unstop"])
async def test_a_keyword_resumes_the_sender(inbox, word):
    """After an opt-in word, messages are accepted again."""
    live = inbox()
    await live.say("STOP")
    await live.say(word)
    await live.send(from_=live.pool_number)
    assert await live.read("opt_outs") == []


@pytest.mark.parametrize("body", ["STOP PLEASE", "please cancel", "STOP!", "maple end", "HELP", "info"])
async def test_only_a_whole_message_is_an_opt_out(inbox, body):
    """A keyword within a message stops nothing, and neither does a question for help."""
    live = inbox()
    await live.say(body)
    await live.send(from_=live.pool_number)
    assert await live.read("opt_outs") == []


async def test_a_person_who_has_stopped_the_sender_gets_no_reply(inbox, receiver):
    """The TwiML in response to STOP sends nothing."""
    live = inbox()
    receiver.documents_to_return.append("<Response><Message>Sorry</Message></Response>")
    await live.say("STOP")
    assert [row["body"] for row in await live.read("messages")] == ["STOP"]


@pytest.mark.parametrize(("word", "kind"), [("Quit", "STOP"), ("YES", "START"), ("info", "HELP"), ("hello", None)])
async def test_advanced_opt_out_names_the_kind_of_keyword(inbox, receiver, word, kind):
    """With Advanced Opt-Out, a keyword to a Messaging Service has an OptOutType; other messages have none."""
    live = inbox(advanced_opt_out=True)
    await live.send(from_=None, messaging_service_sid=SERVICE)
    await live.say(word)
    [post] = receiver.posts
    assert post.form.get("OptOutType") == kind
    assert post.form["MessagingServiceSid"] == SERVICE
    assert receiver.signed(post)


async def test_an_opt_out_from_a_messaging_service_covers_the_service(inbox):
    """Who stops a number in a sender pool gets no message of the whole service, and is resumed as a whole."""
    live = inbox()
    await live.send(from_=None, messaging_service_sid=SERVICE)
    await live.say("STOP")
    for sender in ({"from_": None, "messaging_service_sid": SERVICE}, {"from_": live.pool_number}):
        with pytest.raises(TwilioRestException) as refused:
            await live.send(**sender)
        assert refused.value.code == 21610
    await live.say("START")
    await live.send(from_=None, messaging_service_sid=SERVICE)


async def test_a_messaging_service_decides_where_messages_go(inbox, receiver):
    """The URL of the service is called, that of the number only if the service says so, and none if there is none."""
    live = inbox()
    services = live.twilio().messaging.v1.services
    await live.send(from_=None, messaging_service_sid=SERVICE)
    await services(SERVICE).update_async(inbound_request_url=f"{receiver.url}/service")
    await live.say("one")
    await services(SERVICE).update_async(use_inbound_webhook_on_number=True)
    await live.say("two")
    await services(SERVICE).update_async(use_inbound_webhook_on_number=False, inbound_request_url="")
    await live.say("three")
    assert [(post.path, post.form["Body"]) for post in receiver.posts] == [("/service", "one"), ("/in", "two")]
    assert len(await live.read("messages")) == 4


async def test_a_webhook_by_get_has_its_fields_in_the_query(inbox, receiver):
    """If the number says GET, the fields are in the URL, and the signature covers them there."""
    live = inbox()
    [number] = await live.twilio().incoming_phone_numbers.list_async()
    await live.twilio().incoming_phone_numbers(number.sid).update_async(sms_method="GET")
    await live.say("maple river")
    [row] = await live.read("callbacks")
    assert row["url"].startswith(f"{receiver.url}/in?AccountSid=AC")
    assert "Body=maple+river" in row["url"]
    assert row["result"] == 405  # the receiver takes posts only


@pytest.mark.parametrize("body", ["482913", "Your verification code is 482913", "1234"])
async def test_a_message_that_looks_like_a_passcode_is_filtered(inbox, receiver, body):
    """As at Twilio, it fails with 30038, its text is gone, and no webhook is called."""
    live = inbox()
    row = await live.say(body)
    assert (row["status"], row["error_code"], row["body"]) == ("failed", 30038, "")
    assert receiver.posts == []


async def test_the_filter_can_be_off(inbox, receiver):
    """Without the filter, a number reaches the webhook."""
    live = inbox(filter_passcodes=False)
    assert (await live.say("482913"))["status"] == "received"
    assert receiver.posts[0].form["Body"] == "482913"


@pytest.mark.parametrize(
    ("ends", "reason"),
    [
        ({"to": "Acme"}, "Acme receives no messages"),
        ({"to": "+14155550199"}, "no number of the account"),
        ({"from": "Bob"}, "from: "),
        ({"body": " "}, "1 to 1600 characters"),
        ({"body": "x" * 1601}, "1 to 1600 characters"),
        ({"colour": "red"}, "colour: "),
    ],
)
async def test_what_cannot_be_sent_is_refused_with_a_reason(inbox, receiver, ends, reason):
    """Names receive nothing, nor do numbers of others; a message has at most 1,600 characters."""
    live = inbox()
    message = {"from": live.number, "to": live.pool_number, "body": "maple river", **ends}
    status, answer = await live.act("messages", **message)
    assert status == 422
    assert reason in answer["error"]
    assert receiver.posts == []


async def test_a_shared_key_signs_inbound_messages_too(inbox, receiver):
    """With a SharedKey, the webhook has the settings header, and its signature is SHA-256."""
    live = inbox(shared_key="shared")
    await live.say("maple river")
    [post] = receiver.posts
    signature = post.headers["X-Twilio-Signature"]
    assert post.headers["X-Twilio-Webhooks-Signature-Settings"].endswith("algorithm=HMAC_SHA256")
    assert RequestValidator("shared").validate(f"{receiver.url}/in", post.form, signature, algorithm="HMAC_SHA256")


async def test_many_messages_at_once_are_each_posted_once(inbox, receiver):
    """Twenty people who write at the same time cause twenty posts."""
    live = inbox()
    numbers = [f"+131255501{number:02}" for number in range(20)]
    await asyncio.gather(*(live.say("maple river", **{"from": number}) for number in numbers))
    assert sorted(post.form["From"] for post in receiver.posts) == numbers


async def test_deleting_the_records_ends_opt_outs(inbox):
    """After DELETE, everybody gets messages again."""
    live = inbox()
    await live.say("STOP")
    async with live.http.delete(f"{live.url}/_/messages") as response:
        assert response.status == 204
    assert await live.read("opt_outs") == []
    await live.send(from_=live.pool_number)
