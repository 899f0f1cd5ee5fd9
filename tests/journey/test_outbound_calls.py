"""Calls that say a code, from issue to approval: the key that is pressed, what is said, and what a call comes to."""

import json
from itertools import count
from xml.etree import ElementTree as ET

import pytest
from twilio.request_validator import RequestValidator

from tests.conftest import NUMBER
from tests.providers.twilio_recorder import recording

OURS = "+15005550006"
HUNG_UP = ["Hangup"]
_calls = count(1)


class Call:
    """A call that the service has made, as Twilio plays it."""

    def __init__(self, running, request, sid, issued):
        self.running, self.sid, self.issued = running, sid, issued
        self.form = request.form
        gather = ET.fromstring(self.form["Twiml"]).find("Gather")  # noqa: S314 - our own
        self.action = gather.get("action").partition("#")[0].removeprefix(running.url)
        self.callback = self.form["StatusCallback"].partition("#")[0].removeprefix(running.url)

    async def post(self, path, token="sandbox-auth-token", **fields):
        """Post a signed form; return the status and the text of the response."""
        form = {"CallSid": self.sid, "From": OURS, "To": NUMBER, "ApiVersion": "2010-04-01", "CallerCity": "", **fields}
        signature = RequestValidator(token).compute_signature(self.running.url + path, form)
        headers = {"X-Twilio-Signature": signature}
        async with self.running.http.post(path, data=form, headers=headers) as response:
            return response.status, await response.text()

    async def press(self, digits="5", **fields):
        """Press a key; return the verbs of what is said."""
        status, text = await self.post(self.action, CallStatus="in-progress", Digits=digits, **fields)
        assert status == 200, text
        return list(ET.fromstring(text))  # noqa: S314 - our own

    async def becomes(self, word, **fields):
        """Report a status of the call; return the delivery status of the send."""
        status, _ = await self.post(self.callback, CallStatus=word, **fields)
        assert status == 204
        return (await self.running.read(self.issued["id"]))["sends"][0]["status"]


def code_in(verbs):
    """Return the digits that are said first."""
    return "".join(pause.tail.strip() for pause in verbs[0])


@pytest.fixture
async def twilio():
    """Run a server that accepts calls in place of Twilio."""
    async with recording() as recorder:
        yield recorder


@pytest.fixture
async def voice(start, twilio):
    """Start a service that can call."""
    return await start(twilio_voice_from=OURS, twilio_base_url=twilio.url)


@pytest.fixture
def call_of(voice, twilio):
    """Return `call_of(**fields)`: issue a verification by a call; return the call."""

    async def issue(**fields):
        sid = f"CA{next(_calls):032x}"
        twilio.answers(201, json.dumps({"sid": sid, "status": "queued"}).encode())
        issued = await voice.issue(channel="voice", **fields)
        return Call(voice, twilio.requests[-1], sid, issued)

    return issue


async def test_a_code_that_was_heard_approves(voice, call_of):
    """After a key the code is said, in the language asked for; it approves, and nothing is reported to Twilio."""
    call = await call_of(locale="de")
    assert await call.becomes("initiated") == "queued"
    assert await call.becomes("in-progress") == "sent"
    verbs = await call.press()
    assert (verbs[0].get("language"), len(code_in(verbs))) == ("de-DE", 6)
    assert code_in(verbs) not in call.form["Twiml"] + call.action
    assert await call.becomes("completed") == "delivered"
    assert (await voice.verify(call.issued["id"], code_in(verbs)))["verdict"] == "approved"
    [send] = (await voice.read(call.issued["id"]))["sends"]
    assert (send["channel"], send["feedback"]) == ("voice", "none")


async def test_without_a_key_nothing_is_said_or_delivered(call_of):
    """An answering machine presses no key: it hears no code, and the call is undelivered."""
    call = await call_of()
    assert [verb.tag for verb in await call.press("")] == HUNG_UP
    assert [verb.tag for verb in await call.press("hello")] == HUNG_UP
    assert await call.becomes("completed") == "undelivered"


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("ringing", "sent"),
        ("busy", "undelivered"),
        ("no-answer", "undelivered"),
        ("failed", "failed"),
        ("canceled", "failed"),
        ("forwarded", "queued"),  # a new word changes nothing
    ],
)
async def test_each_status_of_a_call(call_of, word, status):
    """Each status of a call is the delivery status of its send."""
    assert await (await call_of()).becomes(word) == status


async def test_a_repeated_key_gets_the_same_answer(call_of):
    """Twilio may ask twice for what is said: it is the same."""
    call = await call_of()
    assert code_in(await call.press()) == code_in(await call.press("#"))


async def test_a_forged_or_foreign_key_hears_nothing(voice, call_of):
    """Without Twilio's signature there is no code, nor with the seal of another call or a broken one."""
    call, other = await call_of(), await call_of()
    status, text = await call.post(call.action, token="another", CallStatus="in-progress", Digits="1")
    assert (status, "break" in text) == (403, False)
    path, _, sealed = call.action.partition("?")
    for action in (other.action.partition("?")[0] + "?" + sealed, path, path + "?sealed=", call.action[:-3]):
        call.action = action
        assert [verb.tag for verb in await call.press()] == HUNG_UP
    assert (await voice.read(call.issued["id"]))["sends"][0]["status"] == "queued"


async def test_a_call_that_comes_too_late_says_no_code(voice, call_of):
    """After the end of the verification the person hears that, and no code."""
    call = await call_of()
    await voice.call("POST", f"/v1/verifications/{call.issued['id']}/cancel")
    said, hangup = await call.press()
    assert said.text == "This cannot be confirmed any more. Start again. Goodbye."
    assert (list(said), hangup.tag) == ([], "Hangup")


async def test_the_log_has_neither_seal_nor_code(start, twilio):
    """The request log has the template of the address; no event has the seal, the key or the code."""
    events = []
    log = {"event_log": lambda event, /, **fields: events.append(f"{event} {fields}")}
    voice = await start(twilio_voice_from=OURS, twilio_base_url=twilio.url, **log)
    twilio.answers(201, b'{"sid": "CA%s", "status": "queued"}' % (b"7" * 32))
    issued = await voice.issue(channel="voice")
    call = Call(voice, twilio.requests[-1], "CA" + "7" * 32, issued)
    code = code_in(await call.press())
    seal = call.action.partition("sealed=")[2]
    written = "\n".join(events)
    assert "/twilio/spoken/{verification_id}/{send_number}" in written
    assert seal not in written
    assert code not in written


async def test_refusals_name_the_call(voice, twilio):
    """A call that Twilio refuses is refused like a message, and its code is never accepted."""
    twilio.answers(400, b'{"code": 21215, "message": "", "status": 400}')
    status, problem, _ = await voice.call("POST", "/v1/verifications", {"to": NUMBER, "channel": "voice"})
    assert (status, problem["code"]) == (422, "country_not_allowed")
