"""The worker: each confirmation reaches Twilio, whatever Twilio's errors, and delays no request."""

import asyncio

import pytest

from service.app import open_redis
from service.core.confirming import read_confirmation
from service.store.confirmations import open_confirmations

NUMBERS = [f"+1415555{n:04}" for n in range(3000, 3100)]


async def approve(running, to):
    """Issue a code to a number and check it; return the verification's id."""
    issued = await running.issue(to)
    assert (await running.verify(issued["id"], running.codes(to)[-1]))["verdict"] == "approved"
    return issued["id"]


async def metric(running, name):
    """Return the value of one metric."""
    async with running.http.get("/metrics", headers={"Authorization": f"Bearer {running.key}"}) as response:
        lines = (await response.text()).splitlines()
    return next(float(line.split()[-1]) for line in lines if line.startswith(name + " "))


async def shows(running, eventually, name, value):
    """Wait until a metric has a value: a scrape may be a second old."""

    async def is_shown():
        return await metric(running, name) == value

    assert await eventually(is_shown)


async def readiness(running):
    """Return the body of /readyz."""
    async with running.http.get("/readyz") as response:
        return response.status, await response.json()


def outcomes(running):
    """Return outcome and number of accepted posts of every message, oldest first."""
    return [(message.outcome, message.feedback_posts) for message in running.sandbox.ledger.messages()]


async def test_each_confirmation_is_posted_once(running, settled, redis):
    """With Twilio healthy every approval is reported at once, exactly once, and no entry stays (promise 13)."""
    for to in NUMBERS[:10]:
        await approve(running, to)
    await settled(running)
    assert outcomes(running) == [("confirmed", 1)] * 10
    assert len(running.sandbox.ledger.feedback()) == 10
    assert not list(redis.scan_iter("otp:{*}:outbox*"))


@pytest.mark.parametrize("kinds", [("500", "503", "reset", "429", "redirect"), ("garbage", "lost_response", "slow")])
async def test_temporary_failures_are_retried(start, fault, working, settled, feedback, kinds):  # noqa: PLR0917 - fixtures
    """Errors, broken connections and 429 responses cost tries but no confirmation (promise 12)."""
    running = await start(otp_worker=False)
    ids = [await approve(running, to) for to in NUMBERS[: len(kinds)]]
    for kind in kinds:
        fault(running, "feedback", kind, count=2, **({"seconds": 0} if kind == "429" else {"seconds": 0.1}))
    async with working(running):
        await settled(running)
    assert {outcome for outcome, _ in outcomes(running)} == {"confirmed"}
    for verification_id in ids:
        assert await feedback(running, verification_id) == ["confirmed"]
    if kinds[0] == "500":  # the failed ones were not processed
        assert {posts for _, posts in outcomes(running)} == {1}


async def test_the_services_own_worker_retries_too(running, fault, settled):
    """The worker inside the service, with its default policy, retries a failed confirmation."""
    fault(running, "feedback", "500", count=1)
    await approve(running, NUMBERS[0])
    await settled(running)
    assert outcomes(running) == [("confirmed", 1)]
    assert [post.status for post in running.sandbox.ledger.feedback()] == [500, 200]


async def test_twilios_retry_after_is_respected(start, fault, working, redis, eventually):
    """After a 429 with a Retry-After of a minute there is no earlier try."""
    running = await start(otp_worker=False)
    fault(running, "feedback", "429", count=1, seconds=60)
    verification_id = await approve(running, NUMBERS[0])
    pending = f"otp:{{{verification_id[3]}}}:outbox"
    async with working(running) as event_log:
        assert await eventually(lambda: [name for name, _ in event_log if name == "confirmation_postponed"])
    [(_, due_ms)] = redis.zrange(pending, 0, -1, withscores=True)
    seconds, microseconds = redis.time()
    assert 50_000 < due_ms - (seconds * 1000 + microseconds // 1000) <= 60_000
    assert (await running.read(verification_id))["sends"][0]["feedback"] == "pending"


async def test_a_report_that_twilio_rejects_fails_and_can_be_retried(start, fault, working, eventually):
    """A 404 or 400 fails a confirmation with its reason; it is shown, counted, and can be retried."""
    running = await start(otp_worker=False)
    ids = [await approve(running, to) for to in NUMBERS[:2]]
    fault(running, "feedback", "not_found", count=1)
    fault(running, "feedback", "refuse", code=20422, count=1)

    async def each_is(expected):
        return [(await running.read(each))["sends"][0]["feedback"] for each in ids] == [expected] * 2

    async with working(running), open_redis(running.settings) as scripts:
        assert await eventually(lambda: each_is("failed"))
        assert await metric(running, "otp_outbox_failed") == 2
        assert await metric(running, "otp_outbox_pending") == 0
        confirmations = open_confirmations(scripts)
        failed = [each async for each in confirmations.failed()]
        assert sorted(each.reason for each in failed) == [
            "Twilio answered 400, error 20422", "Twilio answered 404, error 20404",
        ]  # fmt: skip
        assert {read_confirmation(each.entry.particulars).verification_id for each in failed} == set(ids)
        assert [await confirmations.retry(each.entry) for each in failed] == [True, True]
        assert [await confirmations.retry(each.entry) for each in failed] == [False, False]
        assert await eventually(lambda: each_is("confirmed"))
    await shows(running, eventually, "otp_outbox_failed", 0)
    assert outcomes(running) == [("confirmed", 1)] * 2


async def test_refused_credentials_stop_posting_and_cost_no_try_until_they_are_fixed(
    start, fault, working, eventually, redis
):
    """F10: a 401 halts all posts, /readyz and /metrics report it, no try is counted; then everything is posted."""
    running = await start(otp_worker=False)
    for to in NUMBERS[:20]:
        await approve(running, to)
    fault(running, "feedback", "unauthorized")

    async def halted():
        return "halted" in (await readiness(running))[1]["confirming"]

    async with working(running, probe_seconds=0.5) as event_log:
        assert await eventually(halted)
        status, body = await readiness(running)
        assert (status, "401" in body["confirming"]) == (200, True)
        assert await metric(running, "otp_confirming_halted") == 1
        assert await metric(running, "otp_outbox_pending") == 20
        infos = [info for key in redis.scan_iter("otp:{*}:outbox:info") for info in redis.hvals(key)]
        assert {info.split(b"|")[0] for info in infos} == {b"0"}
        posted = len(running.sandbox.ledger.feedback())
        await asyncio.sleep(0.3)
        assert len(running.sandbox.ledger.feedback()) - posted <= 5  # of the twenty: only probes
        running.sandbox.faults.end()
        assert await eventually(lambda: len(running.confirmed()) == 20, seconds=15)
        assert await eventually(lambda: ("confirming_resumed", {}) in event_log)
    assert outcomes(running) == [("confirmed", 1)] * 20
    await shows(running, eventually, "otp_confirming_halted", 0)

    async def ready():
        return (await readiness(running))[1]["confirming"] == "ok"

    assert await eventually(ready)


POISONS = {
    "no SID": (b"garbage", b"0|1|ve_x|1|US|sms"),
    "no text": (b"\xff\xfe\x00", b"\xff|\xfe"),
    "no particulars": (b"SM" + b"a" * 32, None),
    "other particulars": (b"SM" + b"b" * 32, b"one|two"),
    "too many particulars": (b"SM" + b"c" * 32, b"0|1|ve_x|1|US|sms|more|and|more"),
    "a path": (b"../../Calls", b"0|1|ve_x|1|US|sms"),
    "a blank": (b"", b"0|1|ve_x|1|US|sms"),
}


async def test_an_unreadable_entry_blocks_no_other(start, redis, working, eventually):
    """F12: unreadable entries fail; those before and after them are confirmed."""
    running = await start(otp_worker=False)
    ids = [await approve(running, to) for to in NUMBERS[:5]]
    for partition in {each[3] for each in ids}:
        for sid, info in POISONS.values():
            redis.zadd(f"otp:{{{partition}}}:outbox", {sid: 1})
            if info is not None:
                redis.hset(f"otp:{{{partition}}}:outbox:info", sid, info)
    async with working(running):
        assert await eventually(lambda: len(running.confirmed()) == 5)
        await asyncio.sleep(0.1)
        later = await approve(running, running.messages(NUMBERS[0])[0].to)  # the worker is still running
        assert await eventually(lambda: len(running.confirmed()) == 6)
    assert {post.sid for post in running.sandbox.ledger.feedback()} == running.confirmed()
    assert (await running.read(later))["sends"][0]["feedback"] == "confirmed"


async def test_an_unavailable_partition_delays_no_other(start, redis, working, eventually):
    """While one partition cannot be claimed, the entries of all others are posted."""
    running = await start(otp_worker=False)
    ids = [await approve(running, to) for to in NUMBERS[:10]]
    away = f"otp:{{{ids[0][3]}}}:outbox"
    redis.set(away, "no sorted set", ex=60)
    others = {to for each, to in zip(ids, NUMBERS, strict=False) if each[3] != ids[0][3]}
    async with working(running):
        assert await eventually(lambda: len(running.confirmed()) == len(others))
    assert {running.sandbox.ledger.message(sid).to for sid in running.confirmed()} == others


async def test_an_operator_can_list_and_retry_unreadable_entries(start, redis, working, eventually):
    """Unreadable entries are listed with their reason, and retrying one stops no worker."""
    running = await start(otp_worker=False)
    for sid, info in POISONS.values():
        redis.zadd("otp:{5}:outbox", {sid: 1})
        if info is not None:
            redis.hset("otp:{5}:outbox:info", sid, info)
    async with open_redis(running.settings) as scripts:
        confirmations = open_confirmations(scripts)
        assert len([entry async for entry in confirmations.pending()]) == len(POISONS)
        async with working(running):
            assert await eventually(lambda: not redis.exists("otp:{5}:outbox"))
            failed = [each async for each in confirmations.failed()]
            assert [each.reason for each in failed] == ["illegible"] * len(POISONS)
            assert all([await confirmations.retry(each.entry) for each in failed])
            assert await eventually(lambda: not redis.exists("otp:{5}:outbox"))
        assert len([each async for each in confirmations.failed()]) == len(POISONS)
    assert running.sandbox.ledger.feedback() == []


async def test_a_separate_worker_posts_what_the_service_enqueued(start, working, feedback, settled):
    """With OTP_WORKER=false the entry stays pending until a separate worker posts it."""
    running = await start(otp_worker=False)
    verification_id = await approve(running, NUMBERS[0])
    assert await feedback(running, verification_id) == ["pending"]
    assert await metric(running, "otp_outbox_pending") == 1
    assert running.confirmed() == set()
    async with working(running):
        await settled(running)
    assert await feedback(running, verification_id) == ["confirmed"]


async def test_two_workers_post_each_confirmation_once(start, working, settled):
    """Two workers share one queue: an entry is leased to one of them at a time."""
    running = await start(otp_worker=False)
    for to in NUMBERS[:30]:
        await approve(running, to)
    async with working(running), working(running):
        await settled(running)
    assert outcomes(running) == [("confirmed", 1)] * 30


async def test_a_confirmation_outlives_its_verification(start, redis, working, settled):
    """If the record expires before Twilio accepts the report, it is still posted, and no record is re-created."""
    running = await start(otp_worker=False)
    verification_id = await approve(running, NUMBERS[0])
    redis.delete(f"otp:{{{verification_id[3]}}}:v:{verification_id}")
    async with working(running):
        await settled(running)
    assert outcomes(running) == [("confirmed", 1)]
    assert not list(redis.scan_iter("otp:{*}:v:*"))


async def test_verifying_goes_on_while_twilio_hangs(running, fault, eventually):
    """With messages and feedback hanging, checks are decided at once, confirmations are posted later (promise 12)."""
    issued = [await running.issue(to) for to in NUMBERS[:40]]
    fault(running, "messages", "hang", seconds=50)
    fault(running, "feedback", "hang", seconds=50)
    stuck = [asyncio.create_task(running.issue(to)) for to in NUMBERS[50:60]]
    assert await eventually(lambda: hanging(running, 10))
    async with asyncio.timeout(4):  # under the 5 s time-out of a call to Twilio
        checks = [
            await running.verify(one["id"], running.codes(to)[0]) for one, to in zip(issued, NUMBERS[:40], strict=True)
        ]
    assert {check["verdict"] for check in checks} == {"approved"}
    assert {check["sends"][0]["feedback"] for check in checks} == {"pending"}
    assert await eventually(lambda: len(running.sandbox.ledger.feedback()) >= 1)
    assert running.confirmed() == set()
    running.sandbox.faults.end()
    assert {response["sends"][0]["status"] for response in await asyncio.gather(*stuck)} == {"unknown"}
    assert await eventually(lambda: len(running.confirmed()) == 40, seconds=20)


async def hanging(running, calls):
    """Return whether this many calls are in progress in the simulator."""
    async with running.http.get(f"{running.sandbox_url}/_/stats") as response:
        return (await response.json())["concurrent_now"] >= calls


@pytest.mark.slow
async def test_a_feedback_post_that_timed_out_is_retried(running, fault, settled, eventually):
    """A feedback post that takes longer than the 5 s time-out is retried; in the end the report has arrived."""
    fault(running, "feedback", "slow", count=1, seconds=7)
    await approve(running, NUMBERS[0])
    assert await eventually(running.confirmed, seconds=40)
    await settled(running)
    assert outcomes(running)[0][1] <= 2


async def test_confirmations_are_counted(running, settled, wrong):
    """The counters follow the funnel: issued, accepted, approved, confirmed."""
    await approve(running, NUMBERS[0])
    other = await running.issue(NUMBERS[1])
    await running.verify(other["id"], wrong(*running.codes(NUMBERS[1])))
    await settled(running)
    async with running.http.get("/metrics", headers={"Authorization": f"Bearer {running.key}"}) as response:
        text = await response.text()
    for word, value in (("issued", 2), ("accepted", 2), ("approved", 1), ("confirmed", 1)):
        assert any(word in line and line.endswith(f" {value}.0") for line in text.splitlines()), (word, text)
