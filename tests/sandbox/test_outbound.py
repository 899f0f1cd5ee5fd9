"""Calls by the account: Twilio's own client makes them, a person answers or does not, and every status is reported."""

import aiohttp
import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.twiml.voice_response import Gather, VoiceResponse

from service.sandbox import SandboxSettings, create_sandbox
from tests.sandbox.conftest import emptied
from tests.sandbox.test_calls import ENDED, said, until

NUMBER, SENDER = "+14155550123", "+15005550006"
EVENTS = ["initiated", "ringing", "answered", "completed"]
FIELDS = {
    "AccountSid", "ApiVersion", "CallSid", "CallStatus", "Direction", "CallbackSource", "SequenceNumber", "Timestamp",
    *(f"{end}{part}" for end in ("From", "To", "Caller", "Called") for part in ("", "City", "Country", "State", "Zip")),
}  # fmt: skip


@pytest.fixture(scope="module")
def exchange(serve_application):
    """Serve a sandbox that the tests of this file share."""
    settings = SandboxSettings(delivery_seconds=0.02)
    server = serve_application(create_sandbox(settings))
    yield server.url, settings
    server.stop()


@pytest.fixture
async def caller(exchange):
    """Connect to that sandbox, with nothing recorded and no fault planned."""
    async with emptied(*exchange) as live:
        yield live


def asking(receiver, **options):
    """Return TwiML that asks for a key, and says goodbye if there is none."""
    document = VoiceResponse()
    gather = Gather(num_digits=1, timeout=30, action=f"{receiver.url}/spoken?sealed=a%2Bb", **options)
    gather.say("Press any key to hear your code.", language="en-GB")
    document.append(gather)
    document.say("Goodbye.")
    return str(document)


def spoken(code):
    """Return TwiML that says a code slowly."""
    digits = '<break time="600ms"/>'.join(code)
    return f'<Response><Say voice="Polly.Amy" language="en-GB">Your code is {digits}.</Say><Hangup/></Response>'


async def dial(live, **changes):
    """Call a person; return the SID of the call."""
    fields = {"to": NUMBER, "from_": SENDER, "twiml": "<Response><Say>Hello</Say></Response>"}
    call = await live.twilio().calls.create_async(**fields | changes)
    assert (call.status, call.direction, call.to, call.answered_by) == ("queued", "outbound-api", NUMBER, None)
    return call.sid


async def in_state(live, sid, *statuses):
    """Wait until a call has one of these statuses; return its row."""
    return await until(live, sid, lambda row: row["status"] in statuses)


async def answered(live, sid):
    """Answer a call once the phone rings."""
    await in_state(live, sid, "ringing")
    status, row = await live.act(f"calls/{sid}/answer")
    assert status == 200, row


async def ended(live, sid):
    """Wait until a call has ended; return its row."""
    return await in_state(live, sid, *ENDED, "canceled")


async def test_a_person_answers_and_hears_the_code_after_a_key(caller, receiver):
    """The phone rings; the voice asks for a key; its signed webhook says the code, and all statuses are reported."""
    callback = {"status_callback": f"{receiver.url}/call", "status_callback_event": EVENTS}
    sid = await dial(caller, twiml=asking(receiver), **callback)
    await answered(caller, sid)
    row = await until(caller, sid, lambda row: row["is_gathering"])
    assert (row["num_digits"], row["lines"][0]["language"]) == (1, "en-GB")
    await receiver.until(3)
    receiver.documents_to_return += [spoken("4829")]
    await caller.act(f"calls/{sid}/keys", keys="5")
    row = await ended(caller, sid)
    assert said(row)[1:] == [("person", "5"), ("voice", "Your code is 4 8 2 9.")]
    assert (row["status"], row["error_code"], row["is_voicemail"]) == ("completed", None, False)
    initiated, ringing, picked_up, keyed, completed = await receiver.until(5)
    assert (keyed.path, keyed.form["Digits"], keyed.form["CallStatus"]) == ("/spoken?sealed=a%2Bb", "5", "in-progress")
    assert (keyed.form["Direction"], keyed.form["To"], keyed.form["From"]) == ("outbound-api", NUMBER, SENDER)
    reports = [initiated, ringing, picked_up, completed]
    assert [post.form["CallStatus"] for post in reports] == ["initiated", "ringing", "in-progress", "completed"]
    assert [post.form["SequenceNumber"] for post in reports] == ["0", "1", "2", "3"]
    assert set(initiated.form) == FIELDS
    assert set(completed.form) == FIELDS | {"CallDuration", "Duration", "SipResponseCode"}
    assert all(receiver.signed(post) for post in receiver.posts)


async def test_a_call_can_be_fetched(caller):
    """Twilio's client reads a call while it rings, and after its end with its duration."""
    sid = await dial(caller)
    await in_state(caller, sid, "ringing")
    calls = caller.twilio().calls
    ringing = await calls(sid).fetch_async()
    assert (ringing.status, ringing.start_time, ringing.duration) == ("ringing", None, None)
    await answered(caller, sid)
    await ended(caller, sid)
    over = await calls(sid).fetch_async()
    assert (over.status, int(over.duration) >= 1, over._from) == ("completed", True, SENDER)
    assert over.end_time >= over.start_time >= over.date_created
    with pytest.raises(TwilioRestException, match="not found"):
        await calls("CA" + "0" * 32).fetch_async()


async def test_twiml_can_come_from_a_url(caller, receiver):
    """With `Url` instead of `Twiml`, the signed webhook of a call in progress says what happens."""
    receiver.documents_to_return.append("<Response><Redirect>/next</Redirect></Response>")
    receiver.documents_to_return.append("<Response><Say>Hello</Say><Pause length='0'/></Response>")
    sid = await dial(caller, twiml=None, url=f"{receiver.url}/first")
    await answered(caller, sid)
    assert said(await ended(caller, sid)) == [("voice", "Hello")]
    assert [post.path for post in receiver.posts] == ["/first", "/next"]
    assert receiver.posts[0].form["CallStatus"] == "in-progress"


async def test_only_the_end_is_reported_by_default(caller, receiver):
    """Without StatusCallbackEvent there is one report, of the end, whatever it was."""
    sid = await dial(caller, status_callback=f"{receiver.url}/call")
    await in_state(caller, sid, "ringing")
    await caller.http.delete(f"{caller.url}/_/calls/{sid}")
    await ended(caller, sid)
    [post] = await receiver.until(1)
    assert (post.form["CallStatus"], post.form["SequenceNumber"], post.form["CallDuration"]) == ("busy", "0", "0")


@pytest.mark.parametrize(
    ("fault", "status", "before"),
    [
        ("busy", "busy", ["initiated"]),
        ("no_answer", "no-answer", ["initiated", "ringing"]),
        ("failed", "failed", ["initiated"]),
        ("canceled", "canceled", ["initiated"]),
    ],
)
async def test_a_phone_that_cannot_be_reached(caller, receiver, fault, status, before):
    """A planned fault of the phone ends the call with its status, and nothing is said."""
    await caller.plan("phone", fault, count=1)
    sid = await dial(caller, status_callback=f"{receiver.url}/call", status_callback_event=EVENTS)
    row = await ended(caller, sid)
    assert (row["status"], row["lines"], row["answered_at"]) == (status, [], None)
    posts = await receiver.until(len(before) + 1)
    assert [post.form["CallStatus"] for post in posts] == [*before, status]
    assert await caller.read("faults") == []


async def test_nobody_answers_in_time(caller):
    """The phone rings for `Timeout` seconds; a test can let that time run out."""
    sid = await dial(caller, timeout=1)
    assert (await ended(caller, sid))["status"] == "no-answer"
    sid = await dial(caller, timeout=600)
    await in_state(caller, sid, "ringing")
    assert (await caller.act(f"calls/{sid}/silence"))[0] == 200
    assert (await ended(caller, sid))["status"] == "no-answer"


async def test_a_voicemail_presses_no_key(caller, receiver):
    """A voicemail answers by itself and hears what is said without a key: never the code."""
    await caller.plan("phone", "voicemail", count=1)
    sid = await dial(caller, twiml=asking(receiver))
    row = await until(caller, sid, lambda row: row["is_gathering"])
    assert (row["status"], row["is_voicemail"]) == ("in-progress", True)
    assert await caller.act(f"calls/{sid}/keys", keys="1") == (422, {"error": "A voicemail presses no keys."})
    await caller.act(f"calls/{sid}/silence")
    row = await ended(caller, sid)
    assert (row["status"], said(row)[-1]) == ("completed", ("voice", "Goodbye."))
    assert receiver.posts == []


async def test_a_call_can_be_answered_once(caller):
    """Answering needs a phone that rings."""
    await caller.plan("phone", "voicemail", count=1)
    sid = await dial(caller, twiml="<Response><Pause length='60'/></Response>")
    await in_state(caller, sid, "in-progress")
    assert await caller.act(f"calls/{sid}/answer") == (422, {"error": "The phone does not ring."})
    await caller.http.delete(f"{caller.url}/_/calls/{sid}")
    assert (await ended(caller, sid))["status"] == "completed"
    assert await caller.act(f"calls/{sid}/answer") == (422, {"error": "The call has ended."})


async def test_the_account_can_end_a_call(caller, receiver):
    """`canceled` ends a call that rings and leaves one in progress; `completed` ends both; then none is left to end."""
    calls, patient = caller.twilio().calls, "<Response><Pause length='60'/></Response>"
    sid = await dial(caller, status_callback=f"{receiver.url}/call")
    await in_state(caller, sid, "ringing")
    assert (await calls(sid).update_async(status="canceled")).status == "canceled"
    [post] = await receiver.until(1)
    assert post.form["CallStatus"] == "canceled"
    sid = await dial(caller, twiml=patient)
    await answered(caller, sid)
    await in_state(caller, sid, "in-progress")
    assert (await calls(sid).update_async(status="canceled")).status == "in-progress"
    assert (await calls(sid).update_async(status="completed")).status == "completed"
    with pytest.raises(TwilioRestException) as refused:
        await calls(sid).update_async(status="completed")
    assert refused.value.code == 21220


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"to": ""}, 21201),
        ({"to": "whatsapp:+14155550123"}, 21211),
        ({"to": "+15005550001"}, 21217),
        ({"to": "+15005550002"}, 21214),
        ({"to": "+15005550003"}, 21215),
        ({"to": "+15005550004"}, 21216),
        ({"from_": ""}, 21213),
        ({"from_": "MG" + "0" * 32}, 21212),
        ({"from_": "+15005550007"}, 21210),
        ({"twiml": None}, 21205),
        ({"twiml": None, "url": "not a url"}, 21205),
        ({"url": "http://127.0.0.1/a"}, 20422),
        ({"twiml": f"<Response><Say>{'a' * 4000}</Say></Response>"}, 20422),
        ({"timeout": 601}, 20422),
        ({"status_callback": "http://a_b.example.com/"}, 21609),
        ({"status_callback_event": ["ringing", "begun"]}, 21626),
    ],
)
async def test_a_wrong_request_is_refused(caller, changes, code):
    """Missing or invalid ends, documents, times and events are refused with Twilio's code, and nobody is called."""
    with pytest.raises(TwilioRestException) as refused:
        await dial(caller, **changes)
    assert (refused.value.status, refused.value.code) == (400, code)
    assert await caller.read("calls") == []


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ("Hello", 12100),
        ("<Response><Say>4<b>8</b></Say></Response>", 13520),
        ("<Response><Say>4<break time='long'/>8</Say></Response>", 13520),
        ("<Response><Dial>+1</Dial></Response>", 12200),
        ("<Response><Gather numDigits='1' action='/relative'/></Response>", None),
    ],
)
async def test_wrong_twiml_is_an_apology(caller, document, code):
    """As at Twilio, TwiML is read when the call is answered; then the person hears that there was an error."""
    sid = await dial(caller, twiml=document)
    await answered(caller, sid)
    if code is None:
        await until(caller, sid, lambda row: row["is_gathering"])
        await caller.act(f"calls/{sid}/keys", keys="1")
    row = await ended(caller, sid)
    assert (row["status"], row["error_code"]) == ("completed", code or 11200)
    assert "an application error has occurred" in said(row)[-1][1]


async def test_reports_can_be_disturbed(caller, receiver):
    """The faults of callbacks hold for calls, too: out of order, twice, never, before the response, and failing."""
    callback = {"status_callback": f"{receiver.url}/call", "status_callback_event": EVENTS}
    seen = {}
    for kind in ("out_of_order", "double", "drop", "before", "fail"):
        receiver.posts.clear()
        await caller.plan("callbacks", kind, count=1, channel="voice")
        await caller.send()  # a message does not take the plan of a call
        await caller.plan("phone", "no_answer", count=1)
        sid = await dial(caller, **callback)
        seen[kind] = [post.form["CallStatus"] for post in receiver.posts[:1]]
        await ended(caller, sid)
        await receiver.until({"double": 6, "drop": 0, "fail": 2}.get(kind, 3))
        if kind != "before":
            seen[kind] = [post.form["CallStatus"] for post in receiver.posts]
    assert seen == {
        "out_of_order": ["ringing", "no-answer", "initiated"],
        "double": ["initiated", "initiated", "ringing", "ringing", "no-answer", "no-answer"],
        "drop": [],
        "before": ["initiated"],
        "fail": ["initiated", "failed"],
    }


async def test_a_request_for_a_call_can_fail(caller):
    """HTTP faults of `calls`: a refusal calls nobody, a lost response does."""
    await caller.plan("calls", "refuse", code=21219, count=1)
    await caller.plan("calls", "lost_response", count=1)
    with pytest.raises(TwilioRestException) as refused:
        await dial(caller)
    assert refused.value.code == 21219
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await dial(caller)
    [row] = await caller.read("calls")
    assert row["to"] == NUMBER


async def test_deleting_the_records_ends_a_ringing_call(caller, receiver):
    """After DELETE there is no call, and it is not reported any more."""
    sid = await dial(caller, status_callback=f"{receiver.url}/call", status_callback_event=EVENTS)
    await in_state(caller, sid, "ringing")
    posts = len(await receiver.until(2))
    async with caller.http.delete(f"{caller.url}/_/messages") as response:
        assert response.status == 204
    assert (await caller.act(f"calls/{sid}/answer"))[0] == 422
    assert (await caller.read("calls"), len(receiver.posts)) == ([], posts)
