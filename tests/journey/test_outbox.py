"""Entries that cannot be posted now: halted for days, behind a proxy, without a SID, next to a broken key."""

from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from aiohttp import web

from tests.store.engines import MINUTE_MS, time_passes

NUMBERS = [f"+1415555{n:04}" for n in range(5000, 5020)]
DAY_MS = 24 * 60 * MINUTE_MS


async def approve(running, to):
    """Issue a code to a number and check it; return the verification's id."""
    issued = await running.issue(to)
    assert (await running.verify(issued["id"], running.codes(to)[-1]))["verdict"] == "approved"
    return issued["id"]


async def readiness(running):
    """Return the body of /readyz."""
    async with running.http.get("/readyz") as answer:
        return answer.status, await answer.json()


def outcomes(running):
    """Return outcome and number of accepted posts of every message, oldest first."""
    return [(message.outcome, message.feedback_posts) for message in running.sandbox.ledger.messages()]


@asynccontextmanager
async def proxy_that_responds(status):
    """Run a proxy that forwards nothing to Twilio; yield its URL."""

    async def answer(_):
        return web.Response(status=status, text="<html>blocked by policy</html>", content_type="text/html")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("status", [402, 405, 409, 413, 422, 451])
async def test_a_proxys_response_fails_no_entry(start, working, eventually, feedback, settled, status):  # noqa: PLR0917 - fixtures
    """A proxy's response settles nothing: the entry stays pending, and is posted when Twilio is reachable."""
    running = await start(otp_worker=False)
    ids = [await approve(running, to) for to in NUMBERS[:3]]
    async with proxy_that_responds(status) as url:
        behind_it = replace(running, settings=running.settings.model_copy(update={"twilio_base_url": url}))
        async with working(behind_it) as event_log:
            assert await eventually(lambda: len(sids_of(event_log, "confirmation_postponed")) == 3)
            assert {fields["reason"] for name, fields in event_log if name == "confirmation_postponed"} == {
                f"Twilio answered {status}"
            }
    assert sids_of(event_log, "confirmation_failed") == set()
    assert [await feedback(running, each) for each in ids] == [["pending"]] * 3
    async with working(running):
        await settled(running)
    assert outcomes(running) == [("confirmed", 1)] * 3


def sids_of(event_log, event):
    """Return the SIDs of one event in an event log."""
    return {fields["sid"] for name, fields in event_log if name == event}


async def test_a_halt_of_days_loses_no_confirmation(start, redis, fault, working, eventually):
    """Credentials refused for three days lose nothing: each probe extends every partition's entries."""
    running = await start(otp_worker=False)
    partitions = {(await approve(running, to))[3] for to in NUMBERS}
    keys = [f"otp:{{{p}}}:{name}" for p in partitions for name in ("outbox", "outbox:info")]
    fault(running, "feedback", "unauthorized")
    async with working(running, probe_seconds=0.05):
        for _ in range(3):
            time_passes(redis, DAY_MS)
            assert await eventually(lambda: min(map(redis.ttl, keys)) > 24 * 3600)
        assert running.confirmed() == set()
        running.sandbox.faults.end()
        assert await eventually(lambda: len(running.confirmed()) == len(NUMBERS), seconds=15)
    assert outcomes(running) == [("confirmed", 1)] * len(NUMBERS)
    assert not list(redis.scan_iter("otp:{*}:failed*"))


async def test_without_a_late_window_a_waiting_confirmation_is_posted(start, redis, fault, call_back, settled):
    """With OTP_LATE_WINDOW=0 the callback with the SID may come long after the code has expired (promise 5)."""
    running = await start(otp_late_window=0)
    fault(running, "callbacks", "drop")
    fault(running, "messages", "lost_response", count=1)
    issued = await running.issue(ttl_seconds=30)
    assert (await running.verify(issued["id"], running.codes()[0]))["sends"][0]["feedback"] == "awaiting_sid"
    time_passes(redis, 59 * MINUTE_MS)
    [message] = running.messages()
    fields = {"MessageSid": message.sid, "MessageStatus": "delivered"}
    assert await call_back(running, f"/twilio/status/{issued['id']}/1", fields) == 204
    assert await settled(running) == [("confirmed", 1)]


async def test_without_a_late_window_a_record_expires_with_its_code(start, redis):
    """OTP_LATE_WINDOW=0 keeps no record beyond its code, unless a confirmation waits."""
    running = await start(otp_late_window=0)
    issued = await running.issue(ttl_seconds=30)
    time_passes(redis, MINUTE_MS)
    assert (await running.call("GET", f"/v1/verifications/{issued['id']}"))[0] == 404


async def test_a_broken_queue_key_takes_no_host_out_of_service(running, redis, eventually):
    """With one pending key of the wrong type /readyz stays 200 and reports it; all other partitions keep working."""
    issued = await running.issue(NUMBERS[0])
    partition = issued["id"][3]
    redis.set(f"otp:{{{partition}}}:outbox", "no sorted set", ex=60)
    status, body = await readiness(running)
    assert (status, body["status"], body["store"]) == (200, "ready", "ok")
    assert "part of the queue" in body["confirming"]
    others = [to for to in NUMBERS[1:] if (await running.issue(to))["id"][3] != partition][:5]
    for to in others:
        await approve(running, to)
    assert await eventually(lambda: len(running.confirmed()) == len(others), seconds=15)
    status, _, _ = await running.call(
        "POST", f"/v1/verifications/{issued['id']}/verify", {"code": running.codes(NUMBERS[0])[0]}
    )
    assert status == 503  # consume and enqueue are one step (promise 2)
    redis.delete(f"otp:{{{partition}}}:outbox")
    assert (await running.verify(issued["id"], running.codes(NUMBERS[0])[0]))["verdict"] == "approved"
