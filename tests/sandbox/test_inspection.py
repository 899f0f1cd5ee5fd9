"""The test interface: what it reads, forgets, counts and streams."""

import asyncio
import json

import aiohttp
import pytest
from twilio.base.exceptions import TwilioRestException

from service.sandbox import SandboxSettings, create_sandbox
from service.sandbox.ledger import FeedbackPost, Ledger


async def test_messages_are_oldest_first_and_narrowed_by_number(live):
    """Every message is there, oldest first; `to` narrows, and a plus that a hand forgot to encode is understood."""
    sids = [(await live.send(body=str(number))).sid for number in range(3)]
    other = (await live.send(to="+447700900123")).sid

    assert [row["sid"] for row in await live.read("messages")] == [*sids, other]
    assert [row["sid"] for row in await live.read("messages", to="+447700900123")] == [other]
    async with live.http.get(f"{live.url}/_/messages?to=+447700900123") as answer:
        assert [row["sid"] for row in await answer.json()] == [other]
    assert await live.read("messages", to="+19999999999") == []


async def test_forgetting_leaves_nothing_but_the_plans(live):
    """DELETE forgets messages, feedback, callbacks and counts; planned faults stay."""
    sid = (await live.send(status_callback="http://otp.example.com/")).sid
    await live.twilio().messages(sid).feedback.create_async(outcome="confirmed")
    await live.until("callbacks", len)
    await live.plan("feedback", "500")
    async with live.http.delete(f"{live.url}/_/messages") as answer:
        assert answer.status == 204

    assert [await live.read(page) for page in ("messages", "feedback", "callbacks")] == [[], [], []]
    assert await live.read("stats") == {"concurrent_now": 0, "concurrent_max": 0, "answers": {}}
    assert len(await live.read("faults")) == 1


async def test_stats_count_answers_and_concurrency(live):
    """Each endpoint's answers are counted by status, and the most calls that were inside at one time are kept."""
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
    assert stats["answers"] == {"messages": {"201": 4}, "feedback": {"429": 1, "200": 1}}


async def test_events_tell_every_change(live):
    """The stream tells a new message, each status and the outcome, each with the whole row."""
    async with live.http.get(f"{live.url}/_/events") as stream:
        assert stream.content_type == "text/event-stream"
        assert await stream.content.readline() == b": open\n"
        sid = (await live.send()).sid
        await live.until("messages", lambda rows: rows[0]["status"] == "delivered")
        await live.twilio().messages(sid).feedback.create_async(outcome="confirmed")
        seen = []
        while len(seen) < 4:
            line = (await asyncio.wait_for(stream.content.readline(), 5)).decode()
            if line.startswith("event: "):
                name = line.removeprefix("event: ").strip()
            elif line.startswith("data: "):
                row = json.loads(line.removeprefix("data: "))
                assert row["sid"] == sid
                seen.append((name, row["status"], row["outcome"]))
    assert seen == [
        ("message", "queued", "unconfirmed"),
        ("status", "sent", "unconfirmed"),
        ("status", "delivered", "unconfirmed"),
        ("outcome", "delivered", "confirmed"),
    ]


async def test_an_open_stream_does_not_hold_up_the_end_of_the_server(serve_application, connect):
    """A server that stops ends its event streams."""
    settings = SandboxSettings()
    server = serve_application(create_sandbox(settings))
    async with aiohttp.ClientSession() as http, http.get(f"{server.url}/_/events") as stream:
        await stream.content.readline()
        await asyncio.wait_for(asyncio.to_thread(server.stop), 5)


async def test_the_same_process_may_read_and_plan(live, sandbox):
    """What the wire tells can also be read from the object, as frozen snapshots."""
    sid = (await live.send()).sid
    [before] = sandbox.ledger.messages(to=live.number)
    await live.twilio().messages(sid).feedback.create_async(outcome="confirmed")
    after = sandbox.ledger.message(sid)
    assert (before.sid, before.body, before.outcome) == (sid, "Your code is 123456", "unconfirmed")
    assert (after.outcome, after.feedback_posts) == ("confirmed", 1)
    assert sandbox.ledger.feedback(sid)[0].status == 200


async def test_memory_is_bounded(serve_application, connect):
    """Only the newest entries are kept, and a message that was dropped meanwhile disturbs nobody."""
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
    """Changes beyond the backlog are lost, but the end is always told."""
    ledger = Ledger(keep=2)
    with ledger.subscribe() as changes:
        for _ in range(5000):
            ledger._tell(("message", None))
        assert changes.qsize() == 1000
        ledger.close()
        assert [changes.get_nowait() for _ in range(changes.qsize())][-1] is None


def test_a_feedback_post_is_recorded_before_it_is_answered():
    """A post exists from its arrival; its answer is added later, and not at all when the post was dropped meanwhile."""
    ledger = Ledger(keep=1)
    first = ledger.open_feedback("SM1", "confirmed")
    [post] = ledger.feedback()
    assert post == FeedbackPost(sid="SM1", outcome="confirmed", status=None, at=post.at)
    ledger.open_feedback("SM2", None)
    ledger.close_feedback(first, 200)
    assert [(post.sid, post.status) for post in ledger.feedback()] == [("SM2", None)]


@pytest.mark.parametrize("path", ["/2010-04-01/Accounts/x/Messages.json", "/_/faults"])
async def test_a_body_that_breaks_off_alarms_nobody(live, caplog, path):
    """A client that leaves in the middle of a body, or sends a malformed one, leaves no traceback."""
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
async def test_a_body_that_is_too_large_is_refused_as_such(live, path, is_chunked):
    """A body of 70,000 bytes gets 413 wherever it is read, whether its length was announced or not."""
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
