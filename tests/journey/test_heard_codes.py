"""Calls that say a code, with the simulator's phone: what a person hears, and what follows when nobody listens."""

from functools import partial

import pytest

from service import wiring
from service.core.fallback import Fallback, FallbackPolicy

OURS = "+15005550006"
THEN_SMS = [{"channel": "voice", "wait_seconds": 120}, {"channel": "sms"}]


@pytest.fixture
async def voice(start, monkeypatch):
    """Start a service that can call, and whose worker looks for what is due every 20 ms."""
    monkeypatch.setattr(wiring, "Fallback", partial(Fallback, policy=FallbackPolicy(poll_seconds=0.02)))
    return await start(twilio_voice_from=OURS)


async def act(running, call, what, **body):
    """Act as the person whom a call is for."""
    async with running.http.post(f"{running.sandbox_url}/_/calls/{call}/{what}", json=body) as response:
        assert response.status == 200, await response.text()


def ringing(running):
    """Return the SID of the only call."""
    [call] = running.sandbox.ledger.calls()
    return call.sid


def has_status(running, issued, status):
    """Return a condition: the first send has a status."""

    async def holds():
        return (await running.read(issued["id"]))["sends"][0]["status"] == status

    return holds


async def test_a_person_hears_the_code_after_any_key(voice, eventually):
    """The phone rings; after a key the code is said twice; it is delivered, approves, and the call ends."""
    issued = await voice.issue(channel="voice")
    call = ringing(voice)
    await voice.until_call(call, lambda call: call.status == "ringing")
    await act(voice, call, "answer")
    await voice.key_in(call, "#")
    ended = await voice.until_call(call, lambda call: call.status == "completed")
    first, again = (line.text for line in ended.lines if any(map(str.isdigit, line.text)))
    code = "".join(filter(str.isdigit, first))
    assert "".join(filter(str.isdigit, again)) == code
    assert first == f"Your Acme code is: {' '.join(code)}"
    assert await eventually(has_status(voice, issued, "delivered"), seconds=30)
    assert (await voice.verify(issued["id"], code))["verdict"] == "approved"
    assert len(voice.messages()) == 0


@pytest.mark.parametrize(
    ("what", "status"),
    [
        ("declined", "undelivered"),
        ("busy", "undelivered"),
        ("no_answer", "undelivered"),
        ("voicemail", "undelivered"),
        ("failed", "failed"),
        ("canceled", "failed"),
    ],
)
async def test_a_call_that_nobody_hears_is_followed_by_a_message(voice, fault, eventually, what, status):
    """However a call fails, a voicemail hears no code, and the next channel of the list goes at once."""
    if what != "declined":
        fault(voice, "phone", what)
    issued = await voice.issue(channels=THEN_SMS)
    call = ringing(voice)
    if what == "declined":
        await voice.until_call(call, lambda call: call.status == "ringing")
        async with voice.http.delete(f"{voice.sandbox_url}/_/calls/{call}") as response:
            assert response.status < 300
    elif what == "no_answer":
        await voice.until_call(call, lambda call: call.status == "ringing")
        await act(voice, call, "silence")
    elif what == "voicemail":
        await voice.until_call(call, lambda call: call.is_gathering)
        await act(voice, call, "silence")
    assert await eventually(voice.messages, seconds=30)
    sends = (await voice.read(issued["id"]))["sends"]
    assert [send["channel"] for send in sends] == ["voice", "sms"]
    assert sends[0]["status"] == status
    lines = voice.sandbox.ledger.call(call).lines
    assert not [line for line in lines if any(map(str.isdigit, line.text))]
    assert (await voice.verify(issued["id"], voice.codes()[0]))["verdict"] == "approved"
