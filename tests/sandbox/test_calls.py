"""Calls that people make: the webhooks with their fields and signatures, and every verb of TwiML that is simulated."""

import asyncio
import json
from datetime import UTC, datetime
from urllib.parse import unquote

import pytest
from twilio.request_validator import RequestValidator
from twilio.twiml.voice_response import Gather, VoiceResponse

from service.sandbox.conversation import Conversation
from service.sandbox.ledger import Ledger
from service.sandbox.records import Call
from service.sandbox.twiml import read_twiml
from service.sandbox.webhooks import WebhookResponse
from tests.sandbox.test_inspection import events_until

NUMBER = "+14155550123"
FIELDS = {
    "AccountSid", "ApiVersion", "CallSid", "CallStatus", "CallToken", "Direction", "StirVerstat",
    *(f"{end}{part}" for end in ("From", "To", "Caller", "Called") for part in ("", "City", "Country", "State", "Zip")),
}  # fmt: skip
ENDED = ("completed", "busy", "no-answer", "failed")


async def ring(live, **ends):
    """Call the number of the account; return the SID of the call."""
    status, row = await live.act("calls", **{"from": NUMBER, "to": live.pool_number, **ends})
    assert (status, row["status"]) == (201, "ringing"), row
    return row["sid"]


async def until(live, sid, enough):
    """Wait until a call is in a state; return its row."""
    rows = await live.until("calls", lambda rows: any(row["sid"] == sid and enough(row) for row in rows))
    return next(row for row in rows if row["sid"] == sid)


async def gathering(live, sid):
    """Wait until the voice waits for digits."""
    return await until(live, sid, lambda row: row["is_gathering"])


async def ended(live, sid):
    """Wait until a call has ended."""
    return await until(live, sid, lambda row: row["status"] in ENDED)


def said(row):
    """Return what was said and keyed in a call."""
    return [(line["by"], line["text"]) for line in row["lines"]]


def asking(**options):
    """Return TwiML that asks for digits, and says goodbye if there are none."""
    response = VoiceResponse()
    gather = Gather(**{"action": "/keyed", "num_digits": 6, "timeout": 30, **options})
    gather.say("Key in the six digits.")
    response.append(gather)
    response.say("Goodbye.")
    return str(response)


async def test_a_call_is_posted_with_twilios_fields_and_signature(inbox, receiver):
    """The VoiceUrl gets the fields of a ringing call, signed as Twilio's validator expects."""
    live = inbox()
    receiver.documents_to_return.append("<Response/>")
    sid = await ring(live)
    await ended(live, sid)
    [post] = receiver.posts
    assert set(post.form) == FIELDS
    assert (post.path, post.form["CallSid"], post.form["CallStatus"]) == ("/voice", sid, "ringing")
    assert (post.form["From"], post.form["Caller"], post.form["Called"]) == (NUMBER, NUMBER, live.pool_number)
    assert (post.form["Direction"], post.form["StirVerstat"]) == ("inbound", "TN-Validation-Passed-A")
    assert json.loads(unquote(post.form["CallToken"]))["identityHeaderTokens"] == []
    assert receiver.signed(post)
    [callback] = await live.read("callbacks", sid=sid)
    assert (callback["message_status"], callback["result"], callback["error_code"]) == ("ringing", 200, None)


async def test_a_signature_need_not_cover_what_networks_add(inbox, receiver):
    """With `sign_call_extras` off, the signature is right only without StirVerstat and CallToken."""
    live = inbox(sign_call_extras=False)
    receiver.documents_to_return += [asking(), "<Response/>"]
    sid = await ring(live)
    await gathering(live, sid)
    await live.act(f"calls/{sid}/keys", keys="482913")
    await ended(live, sid)
    assert "StirVerstat" in receiver.posts[1].form
    for post in receiver.posts:
        assert not receiver.signed(post)
        for extra in ("StirVerstat", "CallToken"):
            post.form.pop(extra, None)
        assert receiver.signed(post)


@pytest.mark.parametrize(
    ("ends", "verdict"),
    [({"from": "+447700900123"}, None), ({"stir_verstat": "TN-Validation-Failed-C"}, "TN-Validation-Failed-C")],
)
async def test_what_a_network_says_of_the_caller_id(inbox, receiver, ends, verdict):
    """Only networks of the United States and Canada say something; a test chooses what."""
    live = inbox()
    await ended(live, await ring(live, **ends))
    assert receiver.posts[0].form.get("StirVerstat") == verdict


async def test_digits_are_posted_to_the_action(inbox, receiver):
    """The voice says its text and waits; the last of the digits posts them, and the next document follows."""
    live = inbox()
    receiver.documents_to_return += [asking(), "<Response><Say language='de-DE'>Danke.</Say><Hangup/></Response>"]
    sid = await ring(live)
    row = await gathering(live, sid)
    assert (row["status"], row["num_digits"], said(row)) == ("in-progress", 6, [("voice", "Key in the six digits.")])
    for key in "482913":
        assert (await live.act(f"calls/{sid}/keys", keys=key))[0] == 200
    row = await ended(live, sid)
    assert said(row) == [("voice", "Key in the six digits."), ("person", "482913"), ("voice", "Danke.")]
    assert [line["language"] for line in row["lines"]] == ["en-US", "", "de-DE"]
    assert (row["status"], row["is_gathering"], row["num_digits"]) == ("completed", False, None)
    post = receiver.posts[1]
    assert (post.path, post.form["Digits"], post.form["FinishedOnKey"]) == ("/keyed", "482913", "")
    assert (post.form["CallSid"], post.form["CallStatus"]) == (sid, "in-progress")
    assert receiver.signed(post)


async def test_the_finishing_key_ends_the_digits(inbox, receiver):
    """`#` posts the digits before it, without itself; `*` is a digit like the others."""
    live = inbox()
    receiver.documents_to_return += [asking(), "<Response/>"]
    sid = await ring(live)
    await gathering(live, sid)
    await live.act(f"calls/{sid}/keys", keys="12*#")
    await ended(live, sid)
    assert (receiver.posts[1].form["Digits"], receiver.posts[1].form["FinishedOnKey"]) == ("12*", "#")


async def test_another_finishing_key_can_be_chosen(inbox, receiver):
    """With `finishOnKey` empty, `#` is a digit, and only the number of digits ends them."""
    live = inbox()
    receiver.documents_to_return += [asking(finish_on_key="", num_digits=2), "<Response/>"]
    sid = await ring(live)
    await gathering(live, sid)
    await live.act(f"calls/{sid}/keys", keys="#1")
    await ended(live, sid)
    assert receiver.posts[1].form["Digits"] == "#1"


async def test_too_few_digits_are_posted_when_the_time_is_over(inbox, receiver):
    """If the caller stops keying, the digits so far are posted."""
    live = inbox()
    receiver.documents_to_return += [asking(), "<Response/>"]
    sid = await ring(live)
    await gathering(live, sid)
    await live.act(f"calls/{sid}/keys", keys="48")
    assert (await live.act(f"calls/{sid}/silence"))[0] == 200
    await ended(live, sid)
    assert receiver.posts[1].form["Digits"] == "48"


async def test_the_time_runs_out_by_itself(inbox, receiver):
    """Without a key, the wait ends after `timeout`, and the verb after Gather follows."""
    live = inbox()
    receiver.documents_to_return.append(asking(timeout=1))
    row = await ended(live, await ring(live))
    assert said(row) == [("voice", "Key in the six digits."), ("voice", "Goodbye.")]
    assert len(receiver.posts) == 1


@pytest.mark.parametrize("act", [("silence", {}), ("keys", {"keys": "#"})], ids=["silence", "only the finishing key"])
async def test_without_digits_the_next_verb_follows(inbox, receiver, act):
    """A caller who keys nothing hears what comes after Gather."""
    live = inbox()
    receiver.documents_to_return.append(asking())
    sid = await ring(live)
    await gathering(live, sid)
    await live.act(f"calls/{sid}/{act[0]}", **act[1])
    assert said(await ended(live, sid))[-1] == ("voice", "Goodbye.")


async def test_an_empty_result_is_posted_if_asked_for(inbox, receiver):
    """With `actionOnEmptyResult`, the action is called without digits, too."""
    live = inbox()
    receiver.documents_to_return += [asking(action_on_empty_result=True), "<Response/>"]
    sid = await ring(live)
    await gathering(live, sid)
    await live.act(f"calls/{sid}/silence")
    await ended(live, sid)
    assert receiver.posts[1].form["Digits"] == ""
    assert receiver.signed(receiver.posts[1])


async def test_without_an_action_the_same_document_is_asked_for(inbox, receiver):
    """Gather without an action posts to the URL of its document."""
    live = inbox(voice_url=f"{receiver.url}/voice?line=1")
    receiver.documents_to_return += ["<Response><Gather numDigits='1' timeout='30'/></Response>", "<Response/>"]
    sid = await ring(live)
    await gathering(live, sid)
    await live.act(f"calls/{sid}/keys", keys="7")
    await ended(live, sid)
    assert [post.path for post in receiver.posts] == ["/voice?line=1", "/voice?line=1"]
    assert receiver.signed(receiver.posts[1])


async def test_keys_before_the_question_are_lost():
    """Keys that are pressed before Gather do not count."""
    now = datetime.now(UTC)
    call = Call(sid="CA1", to="+1", sender="+2", status="ringing", created_at=now, updated_at=now)
    ledger = Ledger(keep=10)
    conversation = Conversation(call, ledger, seconds_per_word=0)
    conversation.press("111")
    response = WebhookResponse(result=200, content_type="text/xml", body=asking().encode())
    with ledger.subscribe() as changes:
        performing = asyncio.create_task(conversation.perform(read_twiml(response), "http://127.0.0.1/voice"))
        while not (await changes.get())[1].is_gathering:
            pass
    conversation.press("482913")
    step = await performing
    assert (step.url, step.fields["Digits"]) == ("http://127.0.0.1/keyed", "482913")


async def test_a_key_interrupts_the_speech(inbox, receiver):
    """The caller need not listen to the end of a question, however long the voice takes to say it."""
    live = inbox(speech_seconds_per_word=60)
    receiver.documents_to_return += [asking(num_digits=1), "<Response/>"]
    sid = await ring(live)
    await gathering(live, sid)
    await live.act(f"calls/{sid}/keys", keys="4")
    await ended(live, sid)
    assert receiver.posts[1].form["Digits"] == "4"


@pytest.mark.parametrize(("reason", "status"), [("rejected", "no-answer"), ("busy", "busy"), (None, "no-answer")])
async def test_a_rejected_call_is_never_answered(inbox, receiver, reason, status):
    """Reject as the first verb leaves the call unanswered; what follows it is ignored."""
    live = inbox()
    document = VoiceResponse()
    document.reject(reason=reason)
    document.say("Hello")
    receiver.documents_to_return.append(str(document))
    row = await ended(live, await ring(live))
    assert (row["status"], row["lines"], row["error_code"]) == (status, [], None)


async def test_a_redirect_is_followed(inbox, receiver):
    """Redirect asks its URL, relative to the document's, for the next document."""
    live = inbox(voice_url=f"{receiver.url}/deep/voice")
    receiver.documents_to_return += [
        "<Response><Say>One</Say><Redirect>next?a=1&amp;b=2</Redirect><Say>Never</Say></Response>",
        "<Response><Say>Two</Say></Response>",
    ]
    row = await ended(live, await ring(live))
    assert said(row) == [("voice", "One"), ("voice", "Two")]
    assert [post.path for post in receiver.posts] == ["/deep/voice", "/deep/next?a=1&b=2"]
    assert receiver.posts[1].form["CallStatus"] == "in-progress"
    assert receiver.signed(receiver.posts[1])


async def test_a_redirect_in_circles_ends(inbox, receiver):
    """TwiML that redirects for ever ends after a hundred documents."""
    live = inbox()
    receiver.documents_to_return += ["<Response><Redirect>/voice</Redirect></Response>"] * 200
    assert (await ended(live, await ring(live)))["status"] == "completed"
    assert len(receiver.posts) == 101


async def test_speech_marks_are_read_as_text(inbox, receiver):
    """The text of Say is shown without its SSML, in one line."""
    live = inbox()
    receiver.documents_to_return.append("<Response><Say>Your code is\n <break time='1s'/><s>4 8</s></Say></Response>")
    assert said(await ended(live, await ring(live))) == [("voice", "Your code is 4 8")]


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ("<Response><Dial>+1</Dial></Response>", 12200),
        ("<Response><Gather><Dial/></Gather></Response>", 12200),
        ("<Response><Gather numDigits='six'/></Response>", 12200),
        ("<Response>", 12100),
    ],
)
async def test_invalid_twiml_ends_the_call_with_an_apology(inbox, receiver, document, code):
    """As at Twilio, the caller hears that there was an error, and the call has the error's code."""
    live = inbox()
    receiver.documents_to_return.append(document)
    row = await ended(live, await ring(live))
    assert (row["status"], row["error_code"]) == ("completed", code)
    assert "an application error has occurred" in said(row)[-1][1]


async def test_a_webhook_that_fails_ends_the_call_with_an_apology(inbox, receiver):
    """A 500 is Twilio's error 11200."""
    live = inbox()
    receiver.statuses_to_return.append(500)
    row = await ended(live, await ring(live))
    assert (row["error_code"], len(row["lines"])) == (11200, 1)


async def test_a_number_without_a_voice_url_takes_no_call(inbox, receiver):
    """The call fails, and nothing is posted."""
    live = inbox(voice_url="")
    assert (await ended(live, await ring(live)))["status"] == "failed"
    assert receiver.posts == []


async def test_the_caller_can_hang_up(inbox, receiver):
    """After hanging up, the call is over, and keys are refused."""
    live = inbox()
    receiver.documents_to_return.append(asking())
    sid = await ring(live)
    await gathering(live, sid)
    async with live.http.delete(f"{live.url}/_/calls/{sid}") as response:
        row = await response.json()
    assert (response.status, row["status"], row["is_gathering"]) == (200, "completed", False)
    assert await live.act(f"calls/{sid}/keys", keys="1") == (422, {"error": "The call has ended."})
    assert len(receiver.posts) == 1


async def test_hanging_up_takes_no_request_back(inbox, receiver):
    """The digits reach the action even if the caller hangs up right after the last."""
    live = inbox()
    receiver.documents_to_return.append(asking())
    sid = await ring(live)
    await gathering(live, sid)
    receiver.delay_seconds = 0.5
    await live.act(f"calls/{sid}/keys", keys="482913")
    await until(live, sid, lambda row: row["lines"][-1]["by"] == "person")
    await live.http.delete(f"{live.url}/_/calls/{sid}")
    rows = await live.until("callbacks", lambda rows: len(rows) == 2)
    assert [row["result"] for row in rows] == [200, 204]
    assert receiver.posts[1].form["Digits"] == "482913"


async def test_a_caller_who_gives_up_early_gets_no_answer(inbox, receiver):
    """Who hangs up while it rings was not answered."""
    live = inbox()
    receiver.delay_seconds = 60
    sid = await ring(live)
    await receiver.until(1)
    async with live.http.delete(f"{live.url}/_/calls/{sid}") as response:
        assert (await response.json())["status"] == "no-answer"


@pytest.mark.parametrize(
    ("ends", "reason"),
    [
        ({"to": "+14155550199"}, "no number of the account"),
        ({"to": "Acme"}, "takes no calls"),
        ({"from": "anonymous"}, "from: "),
    ],
)
async def test_a_call_to_nobody_is_refused_with_a_reason(inbox, ends, reason):
    """Only numbers of the account can be called, and only numbers call."""
    live = inbox()
    status, answer = await live.act("calls", **{"from": NUMBER, "to": live.pool_number, **ends})
    assert status == 422
    assert reason in answer["error"]
    assert await live.read("calls") == []


@pytest.mark.parametrize("keys", ["", "12a", "\u0661"])
async def test_only_keys_of_a_phone_can_be_pressed(inbox, receiver, keys):
    """Letters are no keys, nor are the digits of other scripts."""
    live = inbox()
    receiver.documents_to_return.append(asking())
    sid = await ring(live)
    await gathering(live, sid)
    assert await live.act(f"calls/{sid}/keys", keys=keys) == (422, {"error": "A phone has the keys 0 to 9, * and #."})


async def test_calls_are_streamed(inbox, receiver):
    """Every change of a call is an event with its row."""
    live = inbox()
    receiver.documents_to_return.append("<Response><Say>Hello</Say></Response>")
    async with live.http.get(f"{live.url}/_/events") as stream:
        sid = await ring(live)
        seen = []
        while not seen or seen[-1]["status"] not in ENDED:
            seen += [row for name, row in await events_until(stream, "call") if name == "call"]
    assert {row["sid"] for row in seen} == {sid}
    assert [row["status"] for row in seen] == ["ringing", "in-progress", "in-progress", "completed"]


async def test_calls_at_the_same_time_are_independent(inbox, receiver):
    """Ten callers key their own digits, and each action gets those of its call."""
    live = inbox()
    receiver.documents_to_return += [asking()] * 10
    sids = [await ring(live, **{"from": f"+14155550{100 + number}"}) for number in range(10)]
    await asyncio.gather(*(gathering(live, sid) for sid in sids))
    await asyncio.gather(*(live.act(f"calls/{sid}/keys", keys=f"48291{n}") for n, sid in enumerate(sids)))
    await asyncio.gather(*(ended(live, sid) for sid in sids))
    keyed = {post.form["CallSid"]: post.form["Digits"] for post in receiver.posts if "Digits" in post.form}
    assert keyed == {sid: f"48291{n}" for n, sid in enumerate(sids)}


async def test_deleting_the_records_ends_calls(inbox, receiver):
    """After DELETE there is no call, and one that was in progress does not come back."""
    live = inbox()
    receiver.documents_to_return.append(asking())
    sid = await ring(live)
    await gathering(live, sid)
    async with live.http.delete(f"{live.url}/_/messages") as response:
        assert response.status == 204
    assert (await live.act(f"calls/{sid}/keys", keys="1"))[0] == 422
    assert await live.read("calls") == []


async def test_a_shared_key_signs_calls_too(inbox, receiver):
    """With a SharedKey, the signature of a call is SHA-256."""
    live = inbox(shared_key="shared")
    await ended(live, await ring(live))
    [post] = receiver.posts
    signature = post.headers["X-Twilio-Signature"]
    assert RequestValidator("shared").validate(
        f"{receiver.url}/voice", post.form, signature, algorithm="HMAC_SHA256"
    )  # fmt: skip
