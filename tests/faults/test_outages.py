"""Short outages of Redis after Twilio's response: what the process knows by then is not lost (promises 5 and 13)."""

import asyncio
import json

import pytest

from tests.records import RawRecord

NUMBER = "+14155550123"
OUTAGE_SECONDS = 4.0  # longer than any caller waits for the store


def full(redis, *, is_full):
    """Make Redis refuse every write from now on, or none; reads work."""
    redis.config_set("maxmemory-policy", "noeviction")
    redis.config_set("maxmemory", int(is_full))


def full_after_message(running, redis):
    """Fill Redis at the moment when Twilio has accepted a message."""
    accept = running.sandbox.ledger.add

    def add(message):
        accept(message)
        full(redis, is_full=True)

    running.sandbox.ledger.add = add


async def waiting(client):
    """Return how many SIDs the process still tries to store."""
    async with client.http.get("/metrics") as response:
        lines = (await response.text()).splitlines()
    [line] = [line for line in lines if line.startswith('otp_retries_waiting{step="attach_sid"} ')]
    return float(line.rpartition(" ")[2])


async def test_a_sid_outlives_an_outage_of_redis(start, own_redis, eventually):
    """Redis refuses writes for 4 s when the SID must be written: the caller waits only for the quick tries."""
    events = []
    running = await start(
        redis_url=own_redis.url, otp_public_url=None, event_log=lambda event, /, **_: events.append(event)
    )
    full_after_message(running, own_redis.admin)
    clock = asyncio.get_running_loop().time
    started = clock()
    issued = await running.issue()
    assert clock() - started < OUTAGE_SECONDS
    assert await waiting(running) == 1
    await asyncio.sleep(max(0.0, OUTAGE_SECONDS - (clock() - started)))
    full(own_redis.admin, is_full=False)
    assert (await running.verify(issued["id"], *running.codes()))["verdict"] == "approved"
    assert await eventually(running.confirmed, seconds=15) == {running.messages()[0].sid}
    assert await waiting(running) == 0
    assert running.messages()[0].feedback_posts == 1
    assert [events.count(name) for name in ("sid_attached_later", "message_accepted", "sid_not_attached")] == [1, 1, 0]


async def issued_into_outage(start, launch, own_redis):
    """Start a process and issue while Redis fills up; return the process, the response, SID and code."""
    running = await start(redis_url=own_redis.url, otp_worker=False, otp_public_url=None)
    process = await launch(running, OTP_PUBLIC_URL="")
    full_after_message(running, own_redis.admin)
    issued = await process.client.issue()
    [message], [code] = running.messages(), running.codes()
    return process, issued, message.sid, code


def lines(process, event):
    """Return the process's log lines with this event."""
    written = [json.loads(line) for line in process.log.splitlines() if line.startswith("{")]
    return [line for line in written if line["event"] == event]


async def test_a_stopping_process_retries(start, launch, own_redis, eventually):
    """SIGTERM while a SID waits for Redis: it is stored as soon as Redis accepts it, before the process ends."""
    process, issued, sid, _ = await issued_into_outage(start, launch, own_redis)
    stopping = asyncio.create_task(process.stop())
    await asyncio.sleep(0.5)
    full(own_redis.admin, is_full=False)
    assert await stopping == 0
    assert RawRecord(own_redis.admin, issued["id"]).get("sid", 1) == sid
    assert len(lines(process, "sid_attached_later")) == len(lines(process, "message_accepted")) == 1
    assert lines(process, "sid_not_attached") == []


@pytest.mark.slow
async def test_a_stopping_process_logs_what_it_loses(start, launch, own_redis):
    """If Redis stays down, the process ends in time, and its log contains the SID and no secret."""
    process, issued, sid, code = await issued_into_outage(start, launch, own_redis)
    assert await process.stop() == 0
    [line] = lines(process, "sid_not_attached")
    assert (line["level"], line["verification_id"], line["send"], line["sid"], line["reason"]) == (
        "error", issued["id"], 1, sid, "the process ends",
    )  # fmt: skip
    assert code not in process.log
    assert NUMBER not in process.log
