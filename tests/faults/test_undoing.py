"""What certainly sent nothing costs nothing, whenever Redis fails: code in hand, sends, limits and Idempotency-Key."""

import asyncio
import json
import signal
from pathlib import Path

import pytest

from service.core.store_health import StoreUnavailable
from service.sandbox import FaultPlan
from service.store.ledgers import RedisIdempotency
from service.store.verifications import RedisVerifications

PATH = "/v1/verifications"
NUMBER, OTHER = "+14155550123", "+12025550145"
KEYED = {"Idempotency-Key": "order-7"}
FREEZE_SECONDS = 1.5  # longer than a call to Redis may take


@pytest.fixture
def frozen(own_redis, monkeypatch):
    """Give `frozen(method)`: Redis freezes as the next call of this method of the store begins, and thaws by itself."""

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
    """Give `full(method, store=…)`: Redis refuses every write as the next call begins, and takes them later."""

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
    """Read how many failed requests the process still undoes."""
    async with running.http.get("/metrics") as response:
        lines = (await response.text()).splitlines()
    [line] = [line for line in lines if line.startswith('otp_retries_waiting{step="undo"} ')]
    return float(line.rpartition(" ")[2])


async def undone(running, eventually):
    """Wait until nothing is left to undo."""

    async def is_idle():
        status, _, _ = await running.call("GET", "/metrics")
        return status == 200 and await waiting(running) == 0

    assert await eventually(is_idle, seconds=15)


async def resend(running, issued):
    """Ask for the next send with the one Idempotency-Key; give (status, body)."""
    status, body, _ = await running.call("POST", f"{PATH}/{issued['id']}/resend", headers=KEYED)
    return status, body


@pytest.mark.parametrize("strict", [True, False])
async def test_a_resend_that_was_not_sent_costs_nothing(start, own_redis, frozen, eventually, strict):
    """Redis freezes for 1.5 s as a resend is written: 503; the code in hand is good, and the same key sends later."""
    running = await start(redis_url=own_redis.url, otp_supersede_codes=strict, otp_max_sends=2, otp_limit_number="2/1h")
    other = await running.issue(OTHER)
    assert (await resend(running, other))[0] == 200  # Redis knows the script: it is carried out after the freeze
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


async def test_the_code_in_hand_is_good_before_anything_is_undone(start, own_redis, monkeypatch):
    """A resend that was written and never handed to Twilio supersedes nothing, also while it cannot be taken back."""
    running = await start(redis_url=own_redis.url, otp_supersede_codes=True)
    issued = await running.issue()
    write = RedisVerifications.resend

    async def answer_is_lost(*given, **named):
        await write(*given, **named)
        raise StoreUnavailable("resend: TimeoutError")

    async def away(*_, **__):
        raise StoreUnavailable("refuse: TimeoutError")

    monkeypatch.setattr(RedisVerifications, "resend", answer_is_lost)
    monkeypatch.setattr(RedisVerifications, "take_back", away)
    assert (await resend(running, issued))[0] == 503
    assert len((await running.read(issued["id"]))["sends"]) == 2
    assert await waiting(running) == 1
    assert (await running.verify(issued["id"], running.codes()[0]))["verdict"] == "approved"


async def test_a_send_of_unknown_fate_supersedes(start):
    """Twilio took the request and gave no answer: the message may be out, so the code before it is superseded."""
    running = await start(otp_supersede_codes=True)
    issued = await running.issue()
    running.sandbox.faults.plan(FaultPlan(endpoint="callbacks", kind="drop"))
    running.sandbox.faults.plan(FaultPlan(endpoint="messages", kind="lost_response", count=1))
    status, resent = await resend(running, issued)
    assert (status, resent["sends"][1]["status"]) == (200, "unknown")
    first, second = running.codes()
    assert (await running.verify(issued["id"], first))["verdict"] == "superseded"
    assert (await running.verify(issued["id"], second))["verdict"] == "approved"


async def test_an_issue_that_was_not_sent_costs_nothing(start, own_redis, frozen, eventually):
    """Redis freezes as the issue is written: 503; the number's only send is free again, and the same key sends."""
    running = await start(redis_url=own_redis.url, otp_limit_number="1/1h")
    await running.issue(OTHER)
    frozen("issue")
    assert (await running.call("POST", PATH, {"to": NUMBER}, headers=KEYED))[0] == 503
    await undone(running, eventually)
    assert own_redis.admin.keys("otp:{*}:v:*") != []
    assert (await running.call("POST", PATH, {"to": NUMBER}, headers=KEYED))[0] == 201
    assert (await running.call("POST", PATH, {"to": NUMBER}))[0] == 429
    assert len(running.messages()) == 1


async def test_a_send_that_twilio_refused_while_redis_was_away_costs_nothing(start, own_redis, frozen, eventually):
    """Twilio is busy, and Redis freezes as the send is taken back: it is taken back later, then the key is set free."""
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
async def test_a_key_is_set_free_when_redis_is_back(start, own_redis, frozen, full, eventually, step):  # noqa: PLR0917 - fixtures
    """Redis fails as a key is claimed, or given back: within seconds the same key sends, and no lease is waited for."""
    running = await start(redis_url=own_redis.url, otp_limit_number="1/1h")
    await running.call("POST", PATH, {"to": OTHER}, headers={"Idempotency-Key": "another"})
    own_redis.admin.delete(*own_redis.admin.keys("otp:idem:*"))
    to = OTHER if step == "release" else NUMBER  # refused by its limit, so that the key is given back
    (full if step == "release" else frozen)(step, store=RedisIdempotency)
    status, _, _ = await running.call("POST", PATH, {"to": to}, headers=KEYED)
    assert status == (429 if step == "release" else 503)
    await undone(running, eventually)
    assert own_redis.admin.keys("otp:idem:*") == []
    assert (await running.call("POST", PATH, {"to": NUMBER}, headers=KEYED))[0] == 201
    assert len(running.messages()) == 1


async def test_until_a_key_is_set_free_a_repeat_is_told_the_rest_of_its_lease(start, monkeypatch):
    """A key that cannot be given back is 409, with what is left of its lease as Retry-After."""
    running = await start(otp_limit_number="1/1h")
    await running.issue()

    async def away(*_, **__):
        raise StoreUnavailable("release: TimeoutError")

    monkeypatch.setattr(RedisIdempotency, "release", away)
    assert (await running.call("POST", PATH, {"to": NUMBER}, headers=KEYED))[0] == 429
    status, problem, headers = await running.call("POST", PATH, {"to": NUMBER}, headers=KEYED)
    assert (status, problem["code"]) == (409, "request_in_progress")
    assert 20 < int(headers["Retry-After"]) == problem["retry_after"] <= 30


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
async def test_a_process_that_outlived_its_lease_gives_nothing_away(start, launch, redis, tmp_path, eventually, where):  # noqa: PLR0917 - fixtures
    """Frozen with its claim for longer than its lease, it wakes beside its successor: one key, one message."""
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
    redis.hset(claim, "until", 1)  # its lease is over
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
    """Tell the state of a process, as the kernel names it."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


async def test_a_stopping_process_gives_back_what_it_holds(start, launch, own_redis):
    """SIGTERM while a key waits to be set free: it is, as soon as Redis answers, and the log tells nothing lost."""
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
