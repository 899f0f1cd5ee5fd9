"""Faults of Twilio (F10): none sends two messages or loses a confirmation; a failed one can be retried (F12).

Refused credentials and unreadable entries are tested in `tests/journey/test_confirming.py`.
"""

import asyncio
import subprocess
import sys

import pytest

from service.sandbox import FaultPlan
from tests.attacks.processes import environment_of

NUMBER = "+14155550123"


def plan(running, endpoint, kind, **more):
    """Plan a fault in the simulator."""
    running.sandbox.faults.plan(FaultPlan(endpoint=endpoint, kind=kind, **more))


SEND_FAULTS = [
    # kind and its fields, status, code of the problem or status of the send, messages made
    ({"kind": "429", "seconds": 9}, 503, "provider_unavailable", 0),
    ({"kind": "500"}, 201, "unknown", 0),
    ({"kind": "503"}, 201, "unknown", 0),
    ({"kind": "reset"}, 201, "unknown", 0),
    ({"kind": "slow", "seconds": 0.2}, 201, "queued", 1),  # a success: five failures in a row would halt sending
    ({"kind": "redirect"}, 201, "unknown", 0),
    ({"kind": "garbage"}, 201, "unknown", 1),
    ({"kind": "lost_response"}, 201, "unknown", 1),
    ({"kind": "not_found"}, 502, "sender_misconfigured", 0),
    ({"kind": "refuse", "code": 21610}, 422, "recipient_opted_out", 0),
    ({"kind": "refuse", "code": 21211}, 422, "invalid_number", 0),
    ({"kind": "unauthorized"}, 502, "credentials_refused", 0),  # the last one, because it halts sending
]


async def test_no_fault_of_a_send_sends_two_messages(start):
    """F10: each fault of Messages.json has its response, is never retried blindly, and sends one message at most."""
    running = await start(otp_public_url=None)
    for place, (fault, status, word, messages) in enumerate(SEND_FAULTS):
        number = f"+1415555{place:04d}"
        running.sandbox.faults.plan(FaultPlan(endpoint="messages", **fault))
        response = await running.call("POST", "/v1/verifications", {"to": number})
        running.sandbox.faults.end()
        assert response[0] == status, fault
        told = response[1]["sends"][0]["status"] if status == 201 else response[1]["code"]
        assert told == word, fault
        assert len(running.messages(number)) == messages, fault
        if status == 201 and messages:  # the message was sent, so its code must work
            assert (await running.verify(response[1]["id"], *running.codes(number)))["verdict"] == "approved"
        if status != 201:
            state = (await running.read(response[1]["verification_id"]))["status"]
            assert state == "failed", fault


async def test_a_temporary_429_is_retried_and_sends_once(running):
    """F10: a 429 without a long wait is retried at once; the caller sees a 201, the user one SMS."""
    plan(running, "messages", "429", seconds=0, count=1)
    issued = await running.issue()
    assert issued["sends"][0]["status"] == "queued"
    assert len(running.messages()) == 1


@pytest.mark.slow
async def test_a_time_out_is_unknown_and_sends_one_message_at_most(running):
    """F10: a call that times out is `unknown`; the message is not sent again, but may be resent on request."""
    plan(running, "messages", "hang", count=1)
    issued = await running.issue()
    assert issued["sends"][0]["status"] == "unknown"
    assert running.messages() == []
    assert (await running.call("POST", f"/v1/verifications/{issued['id']}/resend"))[0] == 200
    assert (await running.verify(issued["id"], *running.codes()))["verdict"] == "approved"


async def test_no_fault_of_a_confirmation_loses_it(running, eventually, pending):
    """F10: whatever happens to the first Feedback POST, Twilio gets the report in the end and nothing is pending."""
    faults = ["429", "500", "reset", "garbage", "lost_response"]
    for place, fault in enumerate(faults):
        plan(running, "feedback", fault, seconds=0, count=1)
        issued = await running.issue(f"+1415555000{place}")
        await running.verify(issued["id"], *running.codes(f"+1415555000{place}"))
        assert await eventually(lambda: not running.sandbox.faults.planned())

    async def is_settled():
        pending.end_leases()  # the next try is at least a second later: make it due now
        return pending() == {}

    assert await eventually(is_settled, seconds=15)
    assert running.confirmed() == {message.sid for message in running.sandbox.ledger.messages()}
    assert len(running.confirmed()) == len(faults)


async def test_a_failed_confirmation_is_retried_by_hand(running, redis, eventually, tmp_path):
    """F12: `otp-service outbox retry` enqueues a failed confirmation again, and it is posted like any other."""
    plan(running, "feedback", "not_found", count=1)
    issued = await running.issue()
    await running.verify(issued["id"], *running.codes())
    [message] = running.messages()

    async def feedback_is(word):
        return (await running.read(issued["id"]))["sends"][0]["feedback"] == word

    assert await eventually(lambda: feedback_is("failed"))
    replayed = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "service", "outbox", "retry", message.sid],
        env=environment_of(running.settings, None),
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    )
    assert "1 confirmation enqueued" in replayed.stderr
    assert await eventually(lambda: feedback_is("confirmed"))
    assert running.confirmed() == {message.sid}
