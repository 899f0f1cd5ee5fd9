"""Processes killed at the worst moments: between Twilio and Redis, under load, while draining, while stopping.

`kill -9` leaves no chance to clean up, so what holds afterwards held at every instant before.
"""

import asyncio
import os
import random
import re
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import replace

import aiohttp
import pytest
import redis as redis_py
from twilio.request_validator import RequestValidator

from service.core.actions import reply
from service.sandbox import FaultPlan

NUMBER = "+14155550123"
LONGEST_LEASE_MS = 60_000


def plan(running, endpoint, kind, **more):
    """Plan a fault in the simulator."""
    running.sandbox.faults.plan(FaultPlan(endpoint=endpoint, kind=kind, **more))


def is_taken(running):
    """Return whether every planned fault applies now: its call is at the simulator."""
    return not running.sandbox.faults.planned()


async def check(client, verification_id, code):
    """Check a code; return the verdict, or None without a response."""
    try:
        return (await client.verify(verification_id, code))["verdict"]
    except (aiohttp.ClientError, OSError):
        return None


async def feedback(client, verification_id):
    """Return the feedback of the first send."""
    return (await client.read(verification_id))["sends"][0]["feedback"]


class Orphan:
    """A message that Twilio accepts after its process died; the process then serves again."""

    def __init__(self, running, process, redis):
        self.running, self.process = running, process
        [key] = redis.keys("otp:*:v:ve_*")
        self.id = key.decode().rsplit(":", 1)[1]

    def accept(self, *, reports):
        """Make Twilio accept the message now; its callbacks are sent at once, or by `report`."""
        self.running.sandbox.faults.end()
        if not reports:
            plan(self.running, "callbacks", "late", seconds=3600, count=1)

    async def report(self, eventually):
        """Send the status callbacks, once both are held back."""
        assert await eventually(lambda: self.running.messages()[0].status == "delivered")
        await asyncio.sleep(0.05)
        self.running.sandbox.faults.end()

    async def approved(self, eventually):
        """Check the code of the accepted message, which must be approved; return its SID."""
        [message] = await eventually(self.running.messages)
        assert await check(self.process.client, self.id, *self.running.codes()) == "approved"
        return message.sid


@pytest.fixture
def orphan(start, launch, redis, eventually):
    """Return a function that kills a process while its POST to Twilio is pending, and restarts it."""

    async def make(**headers):
        running = await start(otp_worker=False)
        process = await launch(running)
        plan(running, "messages", "slow", seconds=3600, count=1)
        issue = asyncio.create_task(process.client.call("POST", "/v1/verifications", {"to": NUMBER}, headers=headers))
        assert await eventually(lambda: is_taken(running))
        process.kill()
        with pytest.raises(aiohttp.ClientError):
            await issue
        return Orphan(running, await process.start(), redis)

    return make


async def test_the_callback_delivers_the_sid_that_a_killed_process_never_received(orphan, eventually):
    """(i) The process dies with its POST pending; the callback delivers the SID, and a code confirms exactly it."""
    lost = await orphan()
    lost.accept(reports=True)

    async def is_delivered():
        return (await lost.process.client.read(lost.id))["sends"][0]["status"] == "delivered"

    assert await eventually(is_delivered)
    sid = await lost.approved(eventually)
    assert await eventually(lost.running.confirmed) == {sid}
    assert len(lost.running.messages()) == 1


@pytest.mark.slow
async def test_a_code_typed_before_its_sid_is_known_waits_and_is_confirmed(orphan, eventually, pending):
    """(i) A code typed before the callback waits for its SID; with the callback the confirmation is posted."""
    lost = await orphan()
    lost.accept(reports=False)
    sid = await lost.approved(eventually)
    assert await feedback(lost.process.client, lost.id) == "awaiting_sid"
    assert pending() == {}
    await lost.report(eventually)
    assert await eventually(lost.running.confirmed) == {sid}

    async def is_confirmed():
        return await feedback(lost.process.client, lost.id) == "confirmed"

    assert await eventually(is_confirmed)
    assert lost.running.messages()[0].feedback_posts == 1


@pytest.mark.slow
async def test_a_repeat_after_the_crash_sends_nothing_and_says_unknown(orphan, redis):
    """(i) The same Idempotency-Key gets a 409 during the dead request's lease, then 201 `unknown`; no second SMS."""
    headers = {"Idempotency-Key": "after-the-crash"}
    lost = await orphan(**headers)
    request = {"to": NUMBER}
    status, body, _ = await lost.process.client.call("POST", "/v1/verifications", request, headers=headers)
    assert (status, body["code"]) == (409, "request_in_progress")
    [record] = redis.keys("otp:idem:*")
    redis.hset(record, mapping={"until": 1, "overdue": 1})
    status, body, _ = await lost.process.client.call("POST", "/v1/verifications", request, headers=headers)
    assert (status, body["id"], body["sends"][0]["status"]) == (201, lost.id, "unknown")
    status, again, answered = await lost.process.client.call("POST", "/v1/verifications", request, headers=headers)
    assert (status, again["id"], answered["Idempotent-Replayed"]) == (201, lost.id, "true")
    assert lost.running.messages() == []
    lost.accept(reports=True)


async def test_an_entry_of_a_killed_worker_is_posted_by_the_next_one(start, launch, redis, eventually, pending):
    """(ii) A worker dies between POST and settlement: the lease is under 60 s, then another worker posts the entry."""
    running = await start(otp_worker=False)
    process = await launch(running)
    plan(running, "feedback", "slow", seconds=3600, count=1)
    issued = await process.client.issue()
    assert await check(process.client, issued["id"], *running.codes()) == "approved"
    assert await eventually(lambda: is_taken(running))
    process.kill()
    [(sid, due_ms)] = pending().items()
    now_ms = int(redis.time()[0] * 1000)
    assert now_ms < due_ms <= now_ms + LONGEST_LEASE_MS
    await launch(running, "worker")
    pending.end_leases()
    assert await eventually(lambda: pending() == {}, seconds=20)
    running.sandbox.faults.end()  # the dead worker's own POST reaches Twilio last
    assert running.confirmed() == {sid}
    assert await feedback(running, issued["id"]) == "confirmed"
    assert running.messages()[0].feedback_posts <= 2


async def test_a_link_whose_worker_is_killed_is_confirmed_by_the_next_one(start, launch, eventually, pending):
    """(ii) The worker dies while it confirms a link: the link stays used, and the next worker posts the entry."""
    running = await start(otp_worker=False)
    process = await launch(running)
    plan(running, "feedback", "slow", seconds=3600, count=1)
    issued = await process.client.issue(action="link")
    [message] = running.messages()
    path = re.search("/l/[0-9A-Za-z]+", message.body)[0]
    async with process.client.http.post(path, data={"match": issued["match"]}) as response:
        assert "<h1>Confirmed</h1>" in await response.text()
    assert await eventually(lambda: is_taken(running))
    process.kill()
    assert set(pending()) == {message.sid}
    process = await process.start()
    async with process.client.http.post(path, data={"match": issued["match"]}) as response:
        assert "<h1>Already confirmed</h1>" in await response.text()
    pending.end_leases()
    assert await eventually(lambda: pending() == {}, seconds=20)
    running.sandbox.faults.end()
    assert running.confirmed() == {message.sid}
    assert running.messages()[0].feedback_posts <= 2


async def test_a_reply_whose_worker_is_killed_is_confirmed_by_the_next_one(start, launch, eventually, pending):
    """(ii) The worker dies while it confirms a reply: the words stay used, and the next worker posts the entry."""
    running = await start(otp_worker=False)
    process = await launch(running)
    plan(running, "feedback", "slow", seconds=3600, count=1)
    issued = await process.client.issue(action="reply")
    [message] = running.messages()
    [words] = reply.found_in(message.body)

    async def send_in():
        fields = {"MessageSid": f"SM{os.urandom(16).hex()}", "From": NUMBER, "Body": f"{words} {issued['match']}"}
        address = f"{process.client.url}/twilio/message"
        [token] = running.settings.twilio_auth_token
        signature = RequestValidator(token.get_secret_value()).compute_signature(address, fields)
        async with process.client.http.post(
            "/twilio/message", data=fields, headers={"X-Twilio-Signature": signature}
        ) as response:
            assert response.status == 200
        return await process.client.read(issued["id"])

    assert (await send_in())["status"] == "approved"
    assert await eventually(lambda: is_taken(running))
    process.kill()
    assert set(pending()) == {message.sid}
    process = await process.start()
    assert (await send_in())["attempts_remaining"] == 3
    pending.end_leases()
    assert await eventually(lambda: pending() == {}, seconds=30)
    running.sandbox.faults.end()
    assert running.confirmed() == {message.sid}
    assert running.messages()[0].feedback_posts <= 2


def pending_or_confirmed(running, pending):
    """Return the SIDs that have been, or will be, reported to Twilio."""
    return running.confirmed() | set(pending())


async def some(tasks, count):
    """Return as soon as this many of the tasks are done."""
    done, left = set(), set(tasks)
    while len(done) < count:
        more, left = await asyncio.wait(left, return_when=asyncio.FIRST_COMPLETED)
        done |= more


async def kill_under_load(start, launch, pending, count, kills):
    running = await start(otp_worker=False)
    process = await launch(running, OTP_WORKER="false", OTP_MAX_IN_FLIGHT="1000")  # slots for all checks at once
    numbers = [f"+1415555{number:04d}" for number in range(count)]
    sids, approvals, answered = {}, Counter(), Counter()
    unanswered = []
    for number in numbers:
        issued = await running.issue(number)
        sids[issued["id"]] = running.messages(number)[0].sid
        unanswered.append((issued["id"], *running.codes(number)))
    # Each code is checked twice at once: a kill in between must not approve both.
    for round_number in range(kills + 1):
        checks = [asyncio.create_task(check(process.client, *one)) for one in unanswered for _ in range(2)]
        if round_number < kills:
            await some(checks, len(checks) // 4)
            process.kill()
        seen = await asyncio.gather(*checks)
        for (verification_id, _), verdict in zip([one for one in unanswered for _ in range(2)], seen, strict=True):
            approvals[verification_id] += verdict == "approved"
            answered[verification_id] += verdict is not None
        approved = {sids[verification_id] for verification_id, times in approvals.items() if times}
        assert approved <= pending_or_confirmed(running, pending)
        unanswered = [one for one in unanswered if not answered[one[0]]]
        if round_number < kills:
            await process.start()
    assert max(approvals.values()) == 1
    for verification_id in sids:
        assert (await running.read(verification_id))["status"] == "approved"
    assert pending_or_confirmed(running, pending) == set(sids.values())
    return running, sids


@pytest.mark.slow
async def test_no_approval_is_lost_or_doubled_when_the_process_is_killed_under_load(start, launch, pending, eventually):
    """F1: every response `approved` before kill -9 is pending, nothing is approved twice, all is posted later."""
    running, sids = await kill_under_load(start, launch, pending, 40, 1)
    await launch(running, "worker")
    assert await eventually(lambda: running.confirmed() == set(sids.values()), seconds=20)
    assert all(message.feedback_posts == 1 for message in running.sandbox.ledger.messages())


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_five_kills_under_load_lose_and_double_nothing(start, launch, pending):
    """F1 at length: 300 verifications, five kills."""
    await kill_under_load(start, launch, pending, 300, 5)


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_workers_killed_every_second_post_every_entry(start, launch, redis, eventually, pending):
    """F2: with the worker killed every second, every entry is posted; twice only if it was in flight at a kill."""
    running = await start(otp_worker=False)
    sids = set()
    for number in range(400):
        to = f"+1415555{number:04d}"
        issued = await running.issue(to)
        await running.verify(issued["id"], *running.codes(to))
        sids.add(running.messages(to)[0].sid)
    plan(running, "feedback", "slow", seconds=0.3)
    kills = 0
    worker = await launch(running, "worker")
    while left := len(pending()):
        assert await eventually(lambda left=left: len(pending()) < left, seconds=30)
        await asyncio.sleep(1)
        worker.kill()
        kills += 1
        pending.end_leases()
        await worker.start()
    assert kills >= 2
    assert await eventually(lambda: pending() == {}, seconds=30)
    assert running.confirmed() == sids
    posts = [message.feedback_posts for message in running.sandbox.ledger.messages()]
    assert sum(posts) - len(sids) <= kills * 32
    assert redis.keys("otp:*:dead") == []


@pytest.mark.slow
async def test_a_killed_embedded_server_comes_back_with_all_it_acknowledged(start, launch, tmp_path, eventually):
    """F3: after kill -9 of the embedded Valkey the service recovers by itself; no acknowledged step is lost."""
    running = await start(otp_worker=False)
    embedded = {"REDIS_URL": "", "OTP_DATA_DIR": str(tmp_path / "data")}
    process = await launch(running, **embedded)
    key = await asyncio.to_thread(
        subprocess.check_output,
        [sys.executable, "-m", "service", "keys", "create", "test"],
        env=process.environment,
        cwd=tmp_path,
        text=True,
    )
    client = replace(process.client, key=key.strip())
    ids = [(await client.issue(f"+1415555000{number}"))["id"] for number in range(6)]
    codes = [client.codes(f"+1415555000{number}")[0] for number in range(6)]
    for verification_id, code in zip(ids[:3], codes[:3], strict=True):
        assert await check(client, verification_id, code) == "approved"
    with redis_py.Redis(unix_socket_path=str(tmp_path / "data/run/x.sock")) as admin:
        server = admin.info("server")["process_id"]
    os.kill(server, signal.SIGKILL)

    async def is_back():
        return (await client.call("GET", f"/v1/verifications/{ids[0]}"))[0] == 200

    assert await eventually(is_back, seconds=20)
    seen = [await check(client, *one) for one in zip(ids, codes, strict=True)]
    assert seen == ["used"] * 3 + ["approved"] * 3
    sids = {client.messages(f"+1415555000{number}")[0].sid for number in range(6)}
    assert await eventually(lambda: client.confirmed() == sids, seconds=20)
    assert await process.stop() == 0


async def test_a_stop_under_load_fails_no_request_and_leaves_no_lease(start, launch, redis, eventually, pending):
    """F13: SIGTERM under load: accepted requests get responses, exit status 0, every approval is settled or due."""
    running = await start(otp_worker=False)
    process = await launch(running)
    ids = {}
    for number in range(80):
        to = f"+1415555{number:04d}"
        ids[(await running.issue(to))["id"]] = to
    plan(running, "feedback", "slow", seconds=0.2)
    untyped = random.sample(list(ids), len(ids))
    seen = {}

    async def type_codes():
        while untyped:
            verification_id = untyped.pop()
            seen[verification_id] = await check(process.client, verification_id, *running.codes(ids[verification_id]))

    load = [asyncio.create_task(type_codes()) for _ in range(8)]
    assert await eventually(lambda: len(seen) > 20)
    assert await process.stop(seconds=30) == 0
    await asyncio.gather(*load)
    assert process.log.count("service_stopped") == 1
    approved = {running.messages(ids[one])[0].sid for one, verdict in seen.items() if verdict == "approved"}
    assert approved
    assert set(seen.values()) <= {"approved", None}
    for verification_id in (one for one, verdict in seen.items() if verdict is None):  # arrived too late to be accepted
        assert (await running.read(verification_id))["attempts_remaining"] == 5
    assert pending_or_confirmed(running, pending) == approved
    seconds, microseconds = redis.time()
    assert max(pending().values(), default=0) <= seconds * 1000 + microseconds // 1000
