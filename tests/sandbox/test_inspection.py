"""The test interface: reading, deleting, counting and streaming."""

import asyncio
import json

import aiohttp
import pytest
from twilio.base.exceptions import TwilioRestException

from service.sandbox import SandboxSettings, create_sandbox
from service.sandbox.ledger import Ledger
from service.sandbox.records import FeedbackPost


async def events_until(stream, last):
    """Read events up to the first with this name; return each with its row."""
    seen = []
    while not seen or seen[-1][0] != last:
        line = (await asyncio.wait_for(stream.content.readline(), 5)).decode()
        if line.startswith("event: "):
            name = line.removeprefix("event: ").strip()
        elif line.startswith("data: "):
            seen.append((name, json.loads(line.removeprefix("data: "))))
    return seen


async def test_messages_are_oldest_first_and_filtered_by_number(live):
    """All messages are returned, oldest first; `to` filters them, and an unencoded plus is accepted."""
    sids = [(await live.send(body=str(number))).sid for number in range(3)]
    other = (await live.send(to="+447700900123")).sid

    assert [row["sid"] for row in await live.read("messages")] == [*sids, other]
    assert [row["sid"] for row in await live.read("messages", to="+447700900123")] == [other]
    async with live.http.get(f"{live.url}/_/messages?to=+447700900123") as response:
        assert [row["sid"] for row in await response.json()] == [other]
    assert await live.read("messages", to="+19999999999") == []


async def test_deleting_keeps_only_the_plans(live):
    """DELETE removes messages, feedback, callbacks and counts; planned faults stay."""
    sid = (await live.send(status_callback="http://otp.example.com/")).sid
    await live.twilio().messages(sid).feedback.create_async(outcome="confirmed")
    await live.until("callbacks", len)
    await live.plan("feedback", "500")
    async with live.http.delete(f"{live.url}/_/messages") as response:
        assert response.status == 204

    assert [await live.read(page) for page in ("messages", "feedback", "callbacks")] == [[], [], []]
    assert await live.read("stats") == {"concurrent_now": 0, "concurrent_max": 0, "responses": {}}
    assert len(await live.read("faults")) == 1


async def test_stats_count_responses_and_concurrency(live):
    """The responses of each endpoint are counted by status, and the maximum of concurrent calls is kept."""
    await live.plan("messages", "slow", seconds=0.2, count=4)
    sent = await asyncio.gather(*(live.send() for _ in range(4)))
    await live.plan("feedback", "429", count=1)
    for _ in range(2):
        try:
            await live.twilio().messages(sent[0].sid).feedback.create_async(outcome="confirmed")
        except TwilioRestException:
            continue
    stats = await live.read("stats")
    assert stats["concurrent_max"] == 4
    assert stats["concurrent_now"] == 0
    assert stats["responses"] == {"messages": {"201": 4}, "feedback": {"429": 1, "200": 1}}


async def test_events_stream_every_change(live):
    """The stream reports a new message, each status and the outcome, each with the whole row."""
    async with live.http.get(f"{live.url}/_/events") as stream:
        assert stream.content_type == "text/event-stream"
        assert await stream.content.readline() == b": open\n"
        sid = (await live.send()).sid
        await live.until("messages", lambda rows: rows[0]["status"] == "delivered")
        await live.twilio().messages(sid).feedback.create_async(outcome="confirmed")
        events = await events_until(stream, "outcome")
    assert {row["sid"] for _, row in events} == {sid}
    seen = [(name, row["status"], row["outcome"]) for name, row in events]
    assert seen == [
        ("message", "queued", "unconfirmed"),
        ("status", "sent", "unconfirmed"),
        ("status", "delivered", "unconfirmed"),
        ("outcome", "delivered", "confirmed"),
    ]


async def test_a_fault_is_answered_when_its_response_leaves(live):
    """A slow fault is announced at once, and again as answered when the response has left."""
    await live.plan("messages", "slow", seconds=0.3)
    async with live.http.get(f"{live.url}/_/events") as stream:
        sending = asyncio.create_task(live.send())
        assert [row["is_answered"] for _, row in await events_until(stream, "fault")] == [False]
        assert not sending.done()
        assert (await events_until(stream, "fault"))[-1][1]["is_answered"]
        await sending


async def test_events_tell_which_fault_is_simulated_and_what_was_posted(live, receiver):
    """A planned fault, a refused feedback post and a callback each come with the SID of their message."""
    for plan in (
        {"endpoint": "messages", "kind": "lost_response"},
        {"endpoint": "callbacks", "kind": "double"},
        {"endpoint": "feedback", "kind": "503"},
    ):
        await live.plan(**plan, count=1)
    async with live.http.get(f"{live.url}/_/events") as stream:
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await live.send(status_callback=receiver.url)
        [message] = await live.read("messages")
        with pytest.raises(TwilioRestException):
            await live.twilio().messages(message["sid"]).feedback.create_async(outcome="confirmed")
        seen = await events_until(stream, "feedback")
    faults = [row for name, row in seen if name == "fault" and not row["is_answered"]]
    assert [(row["endpoint"], row["kind"], row["sid"]) for row in faults] == [
        ("messages", "lost_response", None),
        ("callbacks", "double", message["sid"]),
        ("feedback", "503", message["sid"]),
    ]
    assert {row["status_callback"] for row in faults} == {receiver.url, None}
    assert seen[-1][1]["status"] == 503


async def test_an_open_stream_does_not_delay_shutdown(serve_application, connect):
    """A server that stops ends its event streams."""
    settings = SandboxSettings()
    server = serve_application(create_sandbox(settings))
    async with aiohttp.ClientSession() as http, http.get(f"{server.url}/_/events") as stream:
        await stream.content.readline()
        await asyncio.wait_for(asyncio.to_thread(server.stop), 5)


async def test_the_same_process_can_read_and_plan(live, sandbox):
    """The same data can be read from the object, as frozen snapshots."""
    sid = (await live.send()).sid
    [before] = sandbox.ledger.messages(to=live.number)
    await live.twilio().messages(sid).feedback.create_async(outcome="confirmed")
    after = sandbox.ledger.message(sid)
    assert (before.sid, before.body, before.outcome) == (sid, "Your code is 123456", "unconfirmed")
    assert (after.outcome, after.feedback_posts) == ("confirmed", 1)
    assert sandbox.ledger.feedback(sid)[0].status == 200


async def test_memory_is_bounded(serve_application, connect):
    """Only the newest entries are kept, and dropping a message in transit causes no error."""
    settings = SandboxSettings(delivery_seconds=0.02, keep_messages=3)
    sandbox = create_sandbox(settings)
    server = serve_application(sandbox)
    async with aiohttp.ClientSession() as http:
        live = connect(server.url, settings, http)
        sids = [(await live.send()).sid for _ in range(5)]
        rows = await live.until("messages", lambda rows: all(row["status"] == "delivered" for row in rows))
        assert [row["sid"] for row in rows] == sids[2:]
    server.stop()


async def test_a_subscriber_that_does_not_read_costs_bounded_memory():
    """Changes beyond the backlog are lost, but the subscriber always receives the end."""
    ledger = Ledger(keep=2)
    with ledger.subscribe() as changes:
        for _ in range(5000):
            ledger._publish(("message", None))
        assert changes.qsize() == 1000
        ledger.close()
        assert [changes.get_nowait() for _ in range(changes.qsize())][-1] is None


def test_a_feedback_post_is_recorded_before_its_response():
    """A post is recorded on arrival; its status is added later, unless the post was dropped meanwhile."""
    ledger = Ledger(keep=1)
    first = ledger.open_feedback("SM1", "confirmed")
    [post] = ledger.feedback()
    assert post == FeedbackPost(sid="SM1", outcome="confirmed", status=None, at=post.at)
    ledger.open_feedback("SM2", None)
    ledger.close_feedback(first, 200)
    assert [(post.sid, post.status) for post in ledger.feedback()] == [("SM2", None)]


@pytest.mark.parametrize("path", ["/2010-04-01/Accounts/x/Messages.json", "/_/faults"])
async def test_an_incomplete_or_malformed_body_logs_no_error(live, caplog, path):
    """A client that disconnects in the middle of a body, or sends a malformed one, causes no traceback."""
    port = int(live.url.rpartition(":")[2])
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n".encode()
    _, gone = await asyncio.open_connection("127.0.0.1", port)
    gone.write(head + b"Content-Length: 9\r\n\r\nTo")
    await gone.drain()
    gone.transport.abort()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head + b"Transfer-Encoding: chunked\r\n\r\nz\r\n")
    assert (await reader.read()).startswith(b"HTTP/1.1 400 ")
    writer.close()
    assert await live.read("messages") == []
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []


@pytest.mark.parametrize("path", ["/2010-04-01/Accounts/x/Messages.json", "/_/faults"])
@pytest.mark.parametrize("is_chunked", [True, False], ids=["chunked", "announced"])
async def test_a_body_that_is_too_large_gets_413(live, path, is_chunked):
    """A body of 70,000 bytes gets a 413 on every path, with or without Content-Length."""
    port = int(live.url.rpartition(":")[2])
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n".encode()
    body = b"x" * 70_000
    if is_chunked:
        sent = b"%bTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (head, len(body), body)
    else:
        sent = b"%bContent-Length: %d\r\n\r\n%b" % (head, len(body), body)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    async with asyncio.timeout(10):
        assert (await reader.readline()).startswith(b"HTTP/1.1 413 ")
    writer.transport.abort()
