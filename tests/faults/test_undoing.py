"""A request that certainly sent nothing costs nothing, whenever Redis fails: code, sends, limits, Idempotency-Key."""

import asyncio
import json
import signal
from pathlib import Path

import pytest

from service.core import idempotency
from service.core.store_health import StoreUnavailable
from service.sandbox import FaultPlan
from service.store.ledgers import RedisIdempotency
from service.store.verifications import RedisVerifications
from tests.every_channel import offering_every_channel

PATH = "/v1/verifications"
NUMBER, OTHER = "+14155550123", "+12025550145"
KEYED = {"Idempotency-Key": "order-7"}
FREEZE_SECONDS = 1.5  # longer than the time-out of a call to Redis


@pytest.fixture
def frozen(own_redis, monkeypatch):
    """Return `frozen(method)`: Redis is suspended when the next call of this store method starts, then resumes."""

    def freeze_at(name, *, store=RedisVerifications):
        step, first = getattr(store, name), iter((True,))

        async def step_on_frozen(*given, **named):
            if next(first, False):
                own_redis.freeze()
                asyncio.get_running_loop().call_later(FREEZE_SECONDS, own_redis.thaw)
            return await step(*given, **named)

        monkeypatch.setattr(store, name, step_on_frozen)

    return freeze_at


@pytest.fixture
def full(own_redis, monkeypatch):
    """Return `full(method, store=…)`: Redis refuses every write from the next call on, and accepts them later."""

    def fill_at(name, *, store):
        step, first, fill = getattr(store, name), iter((True,)), own_redis.admin.config_set

        async def step_on_full(*given, **named):
            if next(first, False):
                fill("maxmemory-policy", "noeviction")
                fill("maxmemory", 1)
                asyncio.get_running_loop().call_later(FREEZE_SECONDS, fill, "maxmemory", 0)
            return await step(*given, **named)

        monkeypatch.setattr(store, name, step_on_full)

    return fill_at


async def waiting(running):
    """Return how many failed requests the process still has to undo."""
    async with running.http.get("/metrics") as response:
        lines = (await response.text()).splitlines()
    steps = tuple(f'otp_retries_waiting{{step="{step}"}} ' for step in ("undo", "end_claim"))
    found = [float(line.rpartition(" ")[2]) for line in lines if line.startswith(steps)]
    assert len(found) == len(steps)
    return sum(found)


async def undone(running, eventually):
    """Wait until nothing is left to undo."""

    async def is_idle():
        status, _, _ = await running.call("GET", "/metrics")
        return status == 200 and await waiting(running) == 0

    assert await eventually(is_idle, seconds=15)


async def resend(running, issued):
    """Request the next send with the one Idempotency-Key; return (status, body)."""
    status, body, _ = await running.call("POST", f"{PATH}/{issued['id']}/resend", headers=KEYED)
    return status, body


@pytest.mark.parametrize("strict", [True, False])
async def test_an_unsent_resend_costs_nothing(start, own_redis, frozen, eventually, strict):
    """Redis is suspended as a resend is written: 503; the current code is valid, and the same key sends later."""
    running = await start(redis_url=own_redis.url, otp_supersede_codes=strict, otp_max_sends=2, otp_limit_number="2/1h")
    other = await running.issue(OTHER)
    assert (await resend(running, other))[0] == 200  # Redis knows the script: it runs after the suspension
    issued = await running.issue()
    frozen("resend")
    status, problem = await resend(running, issued)
    assert (status, problem["code"]) == (503, "store_unavailable")
    await undone(running, eventually)
    shown = await running.read(issued["id"])
    assert [send["number"] for send in shown["sends"]] == [1]
    assert (shown["sends_remaining"], shown["expires_at"]) == (1, issued["expires_at"])
    status, resent = await resend(running, issued)
    assert (status, [send["number"] for send in resent["sends"]]) == (200, [1, 2])
    assert len(running.messages()) == 2
    assert (await running.verify(issued["id"], running.codes()[0]))["verdict"] == (
        "superseded" if strict else "approved"
    )


async def test_the_current_code_is_valid_before_anything_is_undone(start, own_redis, monkeypatch):
    """A resend that was written but never sent supersedes nothing, even while it cannot be undone."""
    running = await start(redis_url=own_redis.url, otp_supersede_codes=True)
    issued = await running.issue()
    write = RedisVerifications.resend

    async def response_is_lost(*given, **named):
        await write(*given, **named)
        raise StoreUnavailable("resend: TimeoutError")

    async def away(*_, **__):
        raise StoreUnavailable("refuse: TimeoutError")

    monkeypatch.setattr(RedisVerifications, "resend", response_is_lost)
    monkeypatch.setattr(RedisVerifications, "take_back", away)
    assert (await resend(running, issued))[0] == 503
    assert len((await running.read(issued["id"]))["sends"]) == 2
    assert await waiting(running) == 1
    assert (await running.verify(issued["id"], running.codes()[0]))["verdict"] == "approved"


async def test_an_unknown_send_supersedes(start):
    """Twilio received the request and did not respond: the message may be sent, so the earlier code is superseded."""
    running = await start(otp_supersede_codes=True)
    issued = await running.issue()
    running.sandbox.faults.plan(FaultPlan(endpoint="callbacks", kind="drop"))
    running.sandbox.faults.plan(FaultPlan(endpoint="messages", kind="lost_response", count=1))
    status, resent = await resend(running, issued)
    assert (status, resent["sends"][1]["status"]) == (200, "unknown")
    first, second = running.codes()
    assert (await running.verify(issued["id"], first))["verdict"] == "superseded"
    assert (await running.verify(issued["id"], second))["verdict"] == "approved"


async def test_an_unsent_issue_costs_nothing(start, own_redis, frozen, eventually):
    """Redis is suspended as the issue is written: 503; the number's only send is free again, and the same key sends."""
    running = await start(redis_url=own_redis.url, otp_limit_number="1/1h")
    await running.issue(OTHER)
    frozen("issue")
    assert (await running.call("POST", PATH, {"to": NUMBER}, headers=KEYED))[0] == 503
    await undone(running, eventually)
    assert own_redis.admin.keys("otp:{*}:v:*") != []
    assert (await running.call("POST", PATH, {"to": NUMBER}, headers=KEYED))[0] == 201
    assert (await running.call("POST", PATH, {"to": NUMBER}))[0] == 429
    assert len(running.messages()) == 1


@pytest.mark.parametrize(
    ("store", "step", "kind"),
    [
        (RedisVerifications, "refuse", "refuse"),
        (RedisVerifications, "refuse", "429"),
        (RedisIdempotency, "finish", "429"),
    ],
)
async def test_a_list_that_goes_on_is_not_issued_again(start, redis, monkeypatch, eventually, store, step, kind):  # noqa: PLR0917 - fixtures
    """Twilio refuses the first message of a list, and the response of Redis is lost: a repeat gets the same."""
    running = await offering_every_channel(start)(otp_worker=False)
    code = 63016 if kind == "refuse" else None
    running.sandbox.faults.plan(FaultPlan(endpoint="messages", kind=kind, code=code, count=3, channel="whatsapp"))
    run, first = getattr(store, step), iter((True,))

    async def lose_response(*given, **named):
        if not next(first, False):
            return await run(*given, **named)
        if step == "refuse":
            await run(*given, **named)
        raise StoreUnavailable("ConnectionError")

    monkeypatch.setattr(store, step, lose_response)
    asked = {"to": NUMBER, "channels": [{"channel": "whatsapp"}, {"channel": "sms"}]}
    status, _, _ = await running.call("POST", PATH, asked, headers=KEYED)
    assert status == (503 if step == "refuse" else 201)
    await undone(running, eventually)
    running.sandbox.faults.end()
    for _ in range(2):
        status, told, _ = await running.call("POST", PATH, asked, headers=KEYED)
        sends = [(send["channel"], send["status"]) for send in told["sends"]]
        assert (status, sends) == (201, [("whatsapp", "failed")])
    assert len(redis.keys("otp:{*}:v:*")) == 1


async def test_a_send_refused_by_twilio_during_an_outage_costs_nothing(start, own_redis, frozen, eventually):
    """Twilio is busy, and Redis is suspended as the send is undone: it is undone later, then the key is released."""
    running = await start(redis_url=own_redis.url, otp_limit_number="2/1h", otp_max_sends=2)
    issued = await running.issue()
    running.sandbox.faults.plan(FaultPlan(endpoint="messages", kind="429", count=1, seconds=30))
    frozen("refuse")
    assert (await resend(running, issued))[0] == 503
    await undone(running, eventually)
    assert (await running.read(issued["id"]))["sends_remaining"] == 1
    assert (await resend(running, issued))[0] == 200
    assert len(running.messages()) == 2


@pytest.mark.parametrize("step", ["begin", "release"])
async def test_a_key_is_released_when_redis_is_back(start, own_redis, frozen, full, eventually, step):  # noqa: PLR0917 - fixtures
    """Redis fails as a key is claimed or released: within seconds the same key sends, without waiting for a lease."""
    running = await start(redis_url=own_redis.url, otp_limit_number="1/1h")
    await running.call("POST", PATH, {"to": OTHER}, headers={"Idempotency-Key": "another"})
    own_redis.admin.delete(*own_redis.admin.keys("otp:idem:*"))
    to = OTHER if step == "release" else NUMBER  # refused by its limit, so that the key is released
    (full if step == "release" else frozen)(step, store=RedisIdempotency)
    status, _, _ = await running.call("POST", PATH, {"to": to}, headers=KEYED)
    assert status == (429 if step == "release" else 503)
    await undone(running, eventually)
    assert own_redis.admin.keys("otp:idem:*") == []
    assert (await running.call("POST", PATH, {"to": NUMBER}, headers=KEYED))[0] == 201
    assert len(running.messages()) == 1


async def test_until_a_key_is_released_a_repeat_gets_the_error_of_the_store(start, monkeypatch):
    """A key whose request has ended, and that Redis cannot release: a repeat gets 503, which says when to repeat it."""
    running = await start(otp_limit_number="1/1h")
    await running.issue()

    async def away(*_, **__):
        raise StoreUnavailable("release: TimeoutError")

    monkeypatch.setattr(RedisIdempotency, "release", away)
    assert (await running.call("POST", PATH, {"to": NUMBER}, headers=KEYED))[0] == 429
    status, problem, headers = await running.call("POST", PATH, {"to": NUMBER}, headers=KEYED)
    assert (status, problem["code"]) == (503, "store_unavailable")
    assert 1 <= int(headers["Retry-After"]) <= 30


STOPS_ITSELF = """
import os, signal
from service.store.{module} import {store}
step = {store}.{name}
async def frozen(*given, **named):
    os.kill(os.getpid(), signal.SIGSTOP)
    return await step(*given, **named)
{store}.{name} = frozen
"""
STOPS = {
    "before its record": ({"module": "verifications", "store": "RedisVerifications", "name": "issue"}, 201),
    "before it gives its key back": ({"module": "ledgers", "store": "RedisIdempotency", "name": "release"}, 429),
}


@pytest.mark.parametrize("where", STOPS)
async def test_a_process_that_lost_its_lease_releases_nothing(start, launch, redis, tmp_path, eventually, where):  # noqa: PLR0917 - fixtures
    """Suspended for longer than its lease, it resumes next to its successor: one key, one message."""
    stop, expected = STOPS[where]
    running = await start()
    folder = tmp_path / "frozen"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(STOPS_ITSELF.format(**stop))
    process = await launch(running, python_path=[folder], OTP_LIMIT_NUMBER="1/1h")
    sent = 0
    if expected == 429:
        sent = len([await running.issue()])
    frozen = asyncio.create_task(process.client.call("POST", PATH, {"to": NUMBER}, headers=KEYED))
    assert await eventually(lambda: _state(process.child.pid) == "T", seconds=10)
    [claim] = redis.scan_iter("otp:idem:*")
    redis.hset(claim, mapping={"until": 1, "overdue": 1})  # its lease has expired
    running.sandbox.faults.plan(FaultPlan(endpoint="messages", kind="slow", count=1, seconds=30))
    successor = asyncio.create_task(running.call("POST", PATH, {"to": NUMBER}, headers=KEYED))
    assert await eventually(lambda: not running.sandbox.faults.planned())
    process.child.send_signal(signal.SIGCONT)
    status, woken, _ = await frozen
    assert status == expected
    assert (await running.call("POST", PATH, {"to": NUMBER}, headers=KEYED))[0] == 409
    running.sandbox.faults.end()
    status, issued, _ = await successor
    assert (status, issued["id"]) == (201, woken.get("id", issued["id"]))
    assert (await running.call("POST", PATH, {"to": NUMBER}, headers=KEYED))[1] == issued
    assert len(running.messages()) == sent + 1


def _state(pid):
    """Return the state of a process, as the kernel names it."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


async def test_a_stopping_process_releases_its_key(start, launch, own_redis):
    """SIGTERM while a key waits for its release: it is released as soon as Redis works; the log reports no loss."""
    running = await start(redis_url=own_redis.url, otp_worker=False)
    process = await launch(running, OTP_LIMIT_NUMBER="1/1h")
    await process.client.issue()
    freeze = asyncio.get_running_loop().call_later
    own_redis.freeze()
    freeze(FREEZE_SECONDS, own_redis.thaw)
    assert (await process.client.call("POST", PATH, {"to": OTHER}, headers=KEYED))[0] == 503
    assert await process.stop() == 0
    assert own_redis.admin.keys("otp:idem:*") == []
    events = [json.loads(line)["event"] for line in process.log.splitlines() if line.startswith("{")]
    assert "idempotency_key_not_released" not in events


async def test_an_issue_whose_lease_is_over_sends_nothing(running, monkeypatch):
    """A process is frozen between claiming its key and writing: it sends nothing, since others may have issued."""
    monkeypatch.setattr(idempotency, "LEASE_MS", 200)
    begin, first = RedisIdempotency.begin, iter((True,))

    async def begin_before_a_freeze(*given, **named):
        begun = await begin(*given, **named)
        if next(first, False):
            await asyncio.sleep(0.3)
        return begun

    monkeypatch.setattr(RedisIdempotency, "begin", begin_before_a_freeze)
    assert (await running.call("POST", PATH, {"to": NUMBER}, headers=KEYED))[0] == 503
    assert running.messages() == []
    assert (await running.call("POST", PATH, {"to": NUMBER}, headers=KEYED))[0] == 201
    assert len(running.messages()) == 1
