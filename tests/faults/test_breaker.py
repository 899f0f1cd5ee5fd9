"""Twilio fails for a while (F10): sends are refused at once without cost, checks continue, one send probes Twilio."""

import asyncio
import time
from functools import partial

import pytest

from service import wiring
from service.core.breaker import Breaker, BreakerPolicy
from service.sandbox import FaultPlan

PAUSE_SECONDS = 0.5
NUMBERS = [f"+1415555{number:04d}" for number in range(40)]
LIMITS = {f"otp_limit_{name}": "100/1h" for name in ("number", "ip", "prefix", "country", "day", "key")}
TEST_NUMBER, CODE = "+14155550199", "493027"
ISSUE = "/v1/verifications"


@pytest.fixture
def events():
    """Collect the service's log events."""
    return []


@pytest.fixture
async def failing(start, monkeypatch, events):
    """Start a service with every limit set whose Twilio has failed five times in a row; the pause is half a second."""
    brisk = partial(Breaker, policy=BreakerPolicy(pause_seconds=PAUSE_SECONDS))
    monkeypatch.setattr(wiring, "Breaker", brisk)
    running = await start(
        event_log=lambda event, /, **fields: events.append((event, fields)),
        otp_test_numbers=f"{TEST_NUMBER}:{CODE}",
        **LIMITS,
    )
    running.issued = [await running.issue(NUMBERS[10])]
    plan(running, "lost_response", count=5)
    running.issued += [await running.issue(number, client_ip="192.0.2.1") for number in NUMBERS[:4]]
    key = {"Idempotency-Key": "login-4711"}
    running.last = await running.call("POST", ISSUE, {"to": NUMBERS[4]}, headers=key)
    assert {send["status"] for one in running.issued[1:] for send in one["sends"]} == {"unknown"}
    return running


def plan(running, kind, **more):
    """Plan a fault of Messages.json."""
    running.sandbox.faults.plan(FaultPlan(endpoint="messages", kind=kind, **more))


def footprint(redis):
    """Return every key in Redis, and the contents of the limits; callbacks keep changing the records themselves.

    The report is left out: it counts what is refused.
    """
    return {
        key: redis.hgetall(key) if b":limit:" in key or b":to:" in key else None
        for key in redis.scan_iter()
        if b":outbox" not in key and b":funnel:" not in key
    }


async def try_issue(running, number, **more):
    """Request a code; return (status, code of the problem or None, headers)."""
    status, body, headers = await running.call("POST", ISSUE, {"to": number, "client_ip": "192.0.2.1"}, **more)
    return status, body.get("code"), headers


async def test_a_retried_send_counts_once(start, unused_tcp_port, events):
    """Without a connection each send has three tries; four such sends halt nothing, the fifth does."""
    nowhere = f"http://127.0.0.1:{unused_tcp_port}"
    running = await start(event_log=lambda event, /, **_: events.append(event), twilio_base_url=nowhere, **LIMITS)
    for numbers, halts in ((NUMBERS[:4], 0), (NUMBERS[4:5], 1)):
        responses = await asyncio.gather(*(try_issue(running, number) for number in numbers))
        assert {(status, code) for status, code, _ in responses} == {(503, "provider_unavailable")}
        assert events.count("sending_halted") == halts
    assert events.count("send_postponed") == 5


async def test_while_twilio_fails_a_send_is_refused_at_once_and_leaves_nothing(failing, redis):
    """Issue and resend return 503 with the wait; no record, limit or Idempotency-Key is written, only the report."""
    posts, before = len(failing.sandbox.ledger.messages()), footprint(redis)
    started = time.perf_counter()
    for number in NUMBERS[20:30]:
        status, code, headers = await try_issue(failing, number, headers={"Idempotency-Key": number})
        assert (status, code, headers["Retry-After"]) == (503, "provider_unavailable", "1")
    path = f"{ISSUE}/{failing.issued[0]['id']}/resend"
    for credential in (failing.key, failing.issued[0]["client_token"]):
        status, body, headers = await failing.call("POST", path, key=credential)
        assert (status, body["code"], headers["Retry-After"]) == (503, "provider_unavailable", "1")
    assert time.perf_counter() - started < PAUSE_SECONDS, "the halt has not ended yet"
    assert footprint(redis) == before
    assert len(failing.sandbox.ledger.messages()) == posts


async def test_a_repeated_request_gets_its_response_while_sending_is_halted(failing):
    """Responses from before the halt are repeated during it: a 503 would wrongly say that nothing was sent."""
    status, body, headers = await failing.call(
        "POST", ISSUE, {"to": NUMBERS[4]}, headers={"Idempotency-Key": "login-4711"}
    )
    assert (status, headers["Idempotent-Replayed"]) == (201, "true")
    assert body == failing.last[1]
    assert (await try_issue(failing, NUMBERS[30]))[0] == 503


async def test_verifying_goes_on_while_sending_is_halted(failing, eventually):
    """Codes are checked, verifications read, and every message is confirmed as usual."""
    for issued, number in zip(failing.issued, [NUMBERS[10], *NUMBERS[:4]], strict=True):
        assert (await failing.verify(issued["id"], *failing.codes(number)))["verdict"] == "approved"
        assert (await failing.read(issued["id"]))["status"] == "approved"
    assert await eventually(lambda: len(failing.confirmed()) == len(failing.issued))


async def test_a_test_number_needs_no_twilio(failing):
    """A test number can be issued, resent and verified while all others are refused."""
    issued = await failing.issue(TEST_NUMBER)
    path = f"{ISSUE}/{issued['id']}/resend"
    assert (await failing.call("POST", path))[0] == 200
    assert (await failing.verify(issued["id"], CODE))["verdict"] == "approved"
    assert (await try_issue(failing, NUMBERS[30]))[0] == 503


async def test_a_halt_is_reported(failing, events, eventually):
    """The log has one error when sending halts; /readyz stays 200 and reports it, and the gauge is 1 until it ends."""
    assert [fields for event, fields in events if event == "sending_halted"] == [
        {"reason": "Twilio failed 5 times in a row"}
    ]
    status, body, _ = await failing.call("GET", "/readyz")
    assert (status, body["sending"]) == (200, "halted: Twilio failed 5 times in a row")
    async with failing.http.get("/metrics") as response:
        assert "otp_sending_halted 1.0" in await response.text()
    await asyncio.sleep(PAUSE_SECONDS)
    await failing.issue(NUMBERS[11])
    assert [event for event, _ in events if event.startswith("sending_")] == ["sending_halted", "sending_resumed"]

    async def has_ended():
        async with failing.http.get("/metrics") as response:
            return "otp_sending_halted 0.0" in await response.text()

    assert await eventually(has_ended)  # the text is up to a second old


async def test_refused_credentials_are_reported(start, monkeypatch, events, redis):
    """A 401 becomes a 502; then sends are refused at no cost, and log, /readyz and gauge show why until one works."""
    monkeypatch.setattr(wiring, "Breaker", partial(Breaker, policy=BreakerPolicy(pause_seconds=PAUSE_SECONDS)))
    running = await start(event_log=lambda event, /, **fields: events.append((event, fields)), **LIMITS)
    plan(running, "unauthorized")
    assert (await try_issue(running, NUMBERS[0]))[:2] == (502, "credentials_refused")
    before = footprint(redis)
    assert {(await try_issue(running, number))[:2] for number in NUMBERS[1:9]} == {(503, "provider_unavailable")}
    assert footprint(redis) == before
    status, body, _ = await running.call("GET", "/readyz")
    assert (status, body["sending"]) == (200, "halted: Twilio refuses the credentials")
    async with running.http.get("/metrics") as response:
        assert "otp_sending_halted 1.0" in await response.text()
    running.sandbox.faults.end()
    await asyncio.sleep(PAUSE_SECONDS)
    await running.issue(NUMBERS[9])
    assert [fields for event, fields in events if event == "sending_halted"] == [
        {"reason": "Twilio refuses the credentials"}
    ]
    assert (await running.call("GET", "/readyz"))[1]["sending"] == "ok"


async def test_one_send_probes_twilio(failing):
    """After the pause one of many requests is sent, and while it waits for Twilio the others are still refused."""
    await asyncio.sleep(PAUSE_SECONDS)
    plan(failing, "slow", seconds=0.2)
    responses = await asyncio.gather(*(try_issue(failing, number) for number in NUMBERS[20:40]))
    assert sorted(status for status, _, _ in responses) == [201] + [503] * 19
    failing.sandbox.faults.end()
    responses = await asyncio.gather(*(try_issue(failing, number) for number in NUMBERS[20:40]))
    assert {status for status, _, _ in responses} == {201}


async def test_a_failed_probe_starts_the_next_pause(failing):
    """A probe that fails is `unknown`, like every such send; the next pause starts."""
    plan(failing, "500")
    for _ in range(2):
        await asyncio.sleep(PAUSE_SECONDS + 0.05)
        responses = [await try_issue(failing, number) for number in NUMBERS[20:25]]
        assert [status for status, _, _ in responses] == [201, 503, 503, 503, 503]


async def test_a_request_that_is_not_sent_is_not_a_probe(failing):
    """After the pause repeats and refused requests come first: the next real send is still the probe."""
    await asyncio.sleep(PAUSE_SECONDS)
    for _ in range(3):
        status, _, headers = await failing.call(
            "POST", ISSUE, {"to": NUMBERS[4]}, headers={"Idempotency-Key": "login-4711"}
        )
        assert (status, headers["Idempotent-Replayed"]) == (201, "true")
        path = f"{ISSUE}/ve_{'0' * 32}/resend"
        assert (await failing.call("POST", path))[0] == 404
    assert (await try_issue(failing, NUMBERS[31]))[0] == 201


async def test_a_stranger_with_a_limited_number_cannot_keep_sending_halted(start, monkeypatch, events):
    """Requests that the number's own limit refuses release the probe: no flood of them extends a halt."""
    monkeypatch.setattr(wiring, "Breaker", partial(Breaker, policy=BreakerPolicy(pause_seconds=PAUSE_SECONDS)))
    running = await start(otp_limit_number="1/1h")
    plan(running, "500", count=5)
    for number in NUMBERS[:5]:
        await running.issue(number)
    await asyncio.sleep(PAUSE_SECONDS)
    assert [(await try_issue(running, NUMBERS[0]))[0] for _ in range(5)] == [429] * 5
    assert (await try_issue(running, NUMBERS[6]))[0] == 201


async def test_a_request_that_died_sends_nothing_twice_across_a_halt(failing, redis):
    """During a halt the result of a dead request is unknown: its key stays claimed, and returns the result later."""
    [kept] = redis.scan_iter("otp:idem:*")
    redis.hdel(kept, "answer")
    redis.hset(kept, mapping={"until": 1, "overdue": 1})
    again = partial(failing.call, "POST", ISSUE, {"to": NUMBERS[4]}, headers={"Idempotency-Key": "login-4711"})
    assert (await again())[0] == 503
    await asyncio.sleep(PAUSE_SECONDS)
    redis.hset(kept, mapping={"until": 1, "overdue": 1})
    status, body, _ = await again()
    assert (status, body["id"]) == (201, failing.last[1]["id"])
    assert len(failing.messages(NUMBERS[4])) == 1
