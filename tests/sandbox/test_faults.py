"""Planned faults of the HTTP endpoints: what the client sees, and whether the call was processed."""

import asyncio
import json
import logging
import time
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
from twilio.base.exceptions import TwilioRestException

from service.http_server import HttpProtocol
from service.sandbox import SandboxSettings, create_sandbox


@dataclass
class Call:
    """One endpoint: a call of it, and how many of its calls were recorded (reads are not)."""

    live: Any
    endpoint: str
    sid: str

    async def __call__(self):
        if self.endpoint == "messages":
            return await self.live.send()
        if self.endpoint == "feedback":
            return await self.live.twilio().messages(self.sid).feedback.create_async(outcome="confirmed")
        return await self.live.twilio().messages(self.sid).fetch_async()

    async def recorded_calls(self):
        rows = await self.live.read("messages")
        return len(rows) - 1 if self.endpoint == "messages" else rows[0]["feedback_posts"]

    @property
    def records_per_call(self):
        """The number of records of one processed call."""
        return 0 if self.endpoint == "reads" else 1


@pytest.fixture(params=["messages", "feedback", "reads"])
async def call(request, live):
    """Call one endpoint; one message was sent before any fault."""
    return Call(live, request.param, (await live.send()).sid)


@pytest.mark.parametrize(
    ("plan", "status_and_code"),
    [
        ({"kind": "429"}, (429, 20429)),
        ({"kind": "500"}, (500, 20500)),
        ({"kind": "503"}, (503, 20503)),
        ({"kind": "unauthorized"}, (401, 20003)),
        ({"kind": "forbidden"}, (403, 20403)),
        ({"kind": "not_found"}, (404, 20404)),
        ({"kind": "refuse", "code": 21610}, (400, 21610)),
        ({"kind": "refuse", "code": 63017}, (429, 63017)),
        ({"kind": "refuse", "code": 20005}, (403, 20005)),
        ({"kind": "refuse", "code": 29999}, (400, 29999)),
    ],
)
async def test_a_refused_call_is_not_processed(live, call, plan, status_and_code):
    """The client sees Twilio's status and code, nothing is processed, and the next call succeeds."""
    await live.plan(call.endpoint, count=1, **plan)
    with pytest.raises(TwilioRestException) as refused:
        await call()
    assert (refused.value.status, refused.value.code) == status_and_code
    assert await call.recorded_calls() == 0

    await call()
    assert await call.recorded_calls() == call.records_per_call


@pytest.mark.parametrize(("seconds", "header"), [(None, "1"), (7, "7"), (0.2, "1"), (0, "0")])
async def test_429_has_retry_after(live, seconds, header):
    """Retry-After is the planned number of seconds, rounded up to whole ones."""
    await live.plan("messages", "429", seconds=seconds)
    async with live.http.post(live.messages_url) as response:
        assert (response.status, response.headers["Retry-After"]) == (429, header)


async def test_a_redirect_leads_to_another_host(live):
    """The redirect is a 302 to a host that does not exist; nothing is processed."""
    await live.plan("messages", "redirect")
    async with live.http.post(live.messages_url, allow_redirects=False) as response:
        assert (response.status, response.headers["Location"]) == (302, "http://elsewhere.invalid/")
    assert await live.read("messages") == []


async def test_a_reset_call_is_not_processed(live, call, caplog):
    """The connection is reset without a byte of a response, nothing is processed, and the server logs no error."""
    await live.plan(call.endpoint, "reset")
    with caplog.at_level(logging.WARNING), pytest.raises(aiohttp.ClientOSError, match="reset by peer"):
        await call()
    await live.end_faults()
    assert await call.recorded_calls() == 0
    assert caplog.text == ""


async def test_a_call_with_a_lost_response_is_processed(live, call, caplog):
    """The connection closes without a byte of a response, but the call is processed; the server logs no error."""
    await live.plan(call.endpoint, "lost_response")
    with caplog.at_level(logging.WARNING), pytest.raises(aiohttp.ServerDisconnectedError):
        await call()
    await live.end_faults()
    assert await call.recorded_calls() == call.records_per_call
    assert caplog.text == ""


async def test_a_call_with_a_garbage_response_is_processed(live, call):
    """The response is a 2xx that is not JSON, and the call is processed."""
    await live.plan(call.endpoint, "garbage", count=1)
    with pytest.raises(json.JSONDecodeError):
        await call()
    assert await call.recorded_calls() == call.records_per_call


async def test_a_hanging_call_ends_without_a_response(live, call, caplog):
    """A hanging call is not processed: after its seconds the connection closes without a byte."""
    await live.plan(call.endpoint, "hang", seconds=0.2)
    started = time.monotonic()
    with caplog.at_level(logging.WARNING), pytest.raises(aiohttp.ServerDisconnectedError):
        await call()
    assert time.monotonic() - started >= 0.2
    await live.end_faults()
    assert await call.recorded_calls() == 0
    assert caplog.text == ""


async def test_a_hanging_call_ends_when_its_client_disconnects(live):
    """If the client disconnects first, its call ends at once, and nothing is processed."""
    await live.plan("messages", "hang", count=1)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await live.send()
    await live.until("stats", lambda stats: stats["concurrent_now"] == 0)
    assert await live.read("messages") == []


async def test_ending_the_faults_ends_a_hang(live):
    """Ending the plans drops the calls that hang because of them."""
    await live.plan("messages", "hang")
    hanging = asyncio.create_task(live.send())
    await live.until("stats", lambda stats: stats["concurrent_now"] == 1)
    await live.end_faults()
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await asyncio.wait_for(hanging, 5)


async def test_a_slow_call_is_processed_late(live, call):
    """A slow call succeeds, but not before its seconds have passed."""
    await live.plan(call.endpoint, "slow", seconds=0.2, count=1)
    started = time.monotonic()
    await call()
    assert time.monotonic() - started >= 0.2
    assert await call.recorded_calls() == call.records_per_call


async def test_a_slow_call_is_processed_after_its_client_disconnected(live):
    """The message of a slow create is sent even if the client disconnects."""
    await live.plan("messages", "slow", seconds=0.6, count=1)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await live.send()
    assert await live.read("messages") == []
    await live.until("messages", lambda rows: len(rows) == 1)


async def test_faulted_feedback_posts_are_recorded(live):
    """Every feedback post is recorded with the status of its response, or null without one."""
    sid = (await live.send()).sid
    for kind in ("429", "reset", "500"):
        await live.plan("feedback", kind, count=1)
    for _ in range(4):
        try:
            await live.twilio().messages(sid).feedback.create_async(outcome="confirmed")
        except (TwilioRestException, aiohttp.ClientError):
            continue
    assert [post["status"] for post in await live.read("feedback", sid=sid)] == [429, None, 500, 200]


async def test_plans_queue_and_count_down(live):
    """Plans apply in order, each `count` times; those of one endpoint do not affect the others."""
    await live.plan("messages", "503", count=2)
    await live.plan("feedback", "500")
    await live.plan("messages", "429", count=1)
    seen = []
    for _ in range(4):
        try:
            await live.send()
            seen.append(201)
        except TwilioRestException as refused:
            seen.append(refused.status)
    assert seen == [503, 503, 429, 201]
    assert await live.read("faults") == [
        {"endpoint": "feedback", "kind": "500", "count": None, "seconds": None, "code": None, "channel": None}
    ]


async def test_a_plan_without_count_lasts_until_it_is_ended(live):
    """Without a count a plan applies to every call until the plans are ended."""
    await live.plan("messages", "500")
    for _ in range(3):
        with pytest.raises(TwilioRestException):
            await live.send()
    await live.end_faults()
    assert (await live.send()).status == "queued"
    assert await live.read("faults") == []


@pytest.mark.parametrize(
    ("plan", "word"),
    [
        ({"endpoint": "verify", "kind": "500"}, "endpoint"),
        ({"endpoint": "messages", "kind": "explode"}, "kind"),
        ({"endpoint": "messages"}, "kind"),
        ({"endpoint": "messages", "kind": "500", "count": -1}, "count"),
        ({"endpoint": "messages", "kind": "500", "count": 0}, "count"),
        ({"endpoint": "messages", "kind": "500", "count": "2"}, "count"),
        ({"endpoint": "messages", "kind": "hang", "seconds": -1}, "seconds"),
        ({"endpoint": "messages", "kind": "500", "times": 2}, "times"),
        ({"endpoint": "messages", "kind": "refuse"}, "code"),
        ({"endpoint": "messages", "kind": "500", "code": 21610}, "code"),
        ({"endpoint": "messages", "kind": "late"}, "late"),
        ({"endpoint": "callbacks", "kind": "500"}, "500"),
        ({"endpoint": "feedback", "kind": "500", "channel": "sms"}, "channel"),
        (["messages"], "plan"),
    ],
)
async def test_an_invalid_plan_is_refused_with_the_reason(live, plan, word):
    """A plan that cannot work gets a 422 that says what is wrong, and nothing is planned."""
    async with live.http.post(f"{live.url}/_/faults", json=plan) as response:
        assert response.status == 422
        assert word in (await response.json())["error"]
    assert await live.read("faults") == []


async def test_a_plan_that_is_not_json_is_refused(live):
    """A body that is not JSON gets a 422."""
    async with live.http.post(f"{live.url}/_/faults", data=b"{") as response:
        assert response.status == 422
        assert "JSON" in (await response.json())["error"]


async def test_faults_of_calls_and_numeric_kinds_are_accepted(live):
    """A fault for the reserved endpoint `calls` can be planned, and 429 may be written as a number."""
    await live.plan("calls", 429, count=1)
    [plan] = await live.read("faults")
    assert (plan["endpoint"], plan["kind"]) == ("calls", "429")


async def test_without_the_dropping_protocol_a_lost_response_is_incomplete(serve_application, connect, caplog):
    """Under a protocol that cannot drop connections, the client gets a response whose body is incomplete."""
    settings = SandboxSettings(delivery_seconds=0)
    server = serve_application(create_sandbox(settings), protocol=HttpProtocol)
    async with aiohttp.ClientSession() as http:
        live = connect(server.url, settings, http)
        await live.plan("messages", "lost_response")
        with pytest.raises(aiohttp.ClientPayloadError):
            await live.send()
        assert len(await live.read("messages")) == 1
    server.stop()


async def test_a_hanging_call_does_not_delay_shutdown(serve_application, connect):
    """A server that stops drops its hanging calls instead of waiting for them."""
    settings = SandboxSettings()
    server = serve_application(create_sandbox(settings))
    async with aiohttp.ClientSession() as http:
        live = connect(server.url, settings, http)
        await live.plan("messages", "hang")
        hanging = asyncio.create_task(live.send())
        await live.until("stats", lambda stats: stats["concurrent_now"] == 1)
        started = time.monotonic()
        await asyncio.to_thread(server.stop)
        assert time.monotonic() - started < 5
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await hanging
