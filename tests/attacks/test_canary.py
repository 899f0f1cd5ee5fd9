"""Leaks (A11): no secret in log, responses, metrics, errors, command output, Redis or the commands sent to it."""

import asyncio
import re

import pytest

from service.http.authentication import key_digest
from tests.attacks.canary import FAULTS, Canary
from tests.attacks.watching import dump, monitored

NUMBER = "+14155550123"


async def run_command(launch, running, command, **environment):
    """Run one command to its end; return (exit status, all output)."""
    process = await launch(running, command, **environment)
    return await asyncio.to_thread(process.child.wait, 30), process.log


@pytest.fixture
async def faulty(start, launch, tmp_path):
    """Run one serving process with injected faults in every layer and the most detailed log."""
    (tmp_path / "sitecustomize.py").write_text(FAULTS)
    return await launch(await start(otp_worker=False), python_path=[tmp_path], OTP_LOG_LEVEL="debug")


async def fail_confirmations_in_every_way(canary, process, eventually):
    """Make confirmations fail in each way; wait until the worker has logged it."""
    seen = lambda event: eventually(lambda: f'"{event}"' in process.log, seconds=10)  # noqa: E731
    assert await seen("confirmation_fault")
    for kind, event in (("not_found", "confirmation_failed"), ("unauthorized", "confirming_halted")):
        await canary.plan(endpoint="feedback", kind=kind)
        await canary.approve_one("+14155550195" if kind == "not_found" else "+14155550196")
        assert await seen(event)
        await canary.end_faults()


async def use_a_broken_record(canary, redis):
    """Make Redis itself reject a script, with its own error text."""
    issued = await canary.issue("+14155550197")
    key = f"otp:{{{issued['id'][3]}}}:v:{issued['id']}"
    redis.set(key, "no hash", ex=60)
    status, _ = await canary.call("POST", f"/v1/verifications/{issued['id']}/verify", {"code": canary.codes[-1]})
    assert status >= 500


async def run_commands(launch, process):
    """Run the commands that show keys and entries; return their output by name, and the created key."""
    written = {}
    for command in ("check", "keys list", "outbox list", "outbox failed", "keys create made-by-hand"):
        _, written[command] = await run_command(launch, process.client, command)
    [made] = re.findall(r"^otp_sk_\S+$", written.pop("keys create made-by-hand"), re.MULTILINE)
    for command in ("keys revoke", "keys create"):  # the key itself, pasted as the name
        _, written[command] = await run_command(launch, process.client, f"{command} {made}")
    return written, made


@pytest.mark.slow
async def test_no_canary_leaks(faulty, launch, redis, eventually):
    """A11, promise 8: codes, numbers, addresses, keys and tokens are in no log, metric, error, Redis key or command."""
    canary = Canary(faulty.client)
    async with monitored(faulty.client.settings.redis_url) as commands:
        await canary.play()
        await fail_confirmations_in_every_way(canary, faulty, eventually)
        await use_a_broken_record(canary, redis)
        written, made = await run_commands(launch, faulty)
        stored = dump(redis).decode("latin-1")
    assert await faulty.stop() == 0
    assert faulty.log.count('"unexpected_error"') >= 4
    places = {"log": faulty.log, "stored": stored, "commands": commands.text.decode("latin-1"), **written}

    assert len(set(canary.codes)) >= 6
    assert key_digest(canary.key) in stored  # the dump does contain the values
    assert "made-by-hand" in stored
    for place, text in places.items():
        assert text or place.startswith("outbox"), place
        assert canary.found_in(text) == [], place
        assert made not in text, place
    assert list(canary.found_in_responses()) == []


async def test_an_internal_error_is_a_problem_without_details(faulty, eventually):
    """A11: an unexpected exception becomes a 500 `application/problem+json` with a request id, and no detail."""
    issued = await faulty.client.issue()
    status, body, headers = await faulty.client.call("POST", f"/v1/verifications/{issued['id']}/cancel")
    assert (status, headers["Content-Type"]) == (500, "application/problem+json")
    assert (body["code"], body["request_id"]) == ("internal_error", headers["X-Request-Id"])
    assert "detail" not in body
    assert await eventually(lambda: body["request_id"] in faulty.log)
    assert (await faulty.client.verify(issued["id"], *faulty.client.codes()))["verdict"] == "approved"


TALKATIVE = """
from service.http import request
request.kind_and_place = lambda fault: {"where": str(fault)}
"""


async def test_the_search_finds_leaks(start, launch, tmp_path, eventually):
    """Control of A11: the search finds a log line that repeats an exception's message, and a code in a response."""
    (tmp_path / "sitecustomize.py").write_text(FAULTS + TALKATIVE)
    process = await launch(await start(otp_worker=False), python_path=[tmp_path])
    canary = Canary(process.client)
    issued = await canary.issue("+14155550171")
    one = f"/v1/verifications/{issued['id']}"
    await canary.call("POST", one + "/verify", {"code": canary.codes[0], "purpose": "explode"})
    await canary.call("POST", one + "/cancel")
    assert await eventually(lambda: canary.found_in(process.log) == ["+14155550171", canary.codes[0]])
    assert canary.found_in("c82d6b2a36ef12d3cd1d9b4ffde87d1b") == []
    canary.answers.append((None, canary.codes[0]))
    assert list(canary.found_in_responses()) == [canary.codes[0]]


@pytest.mark.slow
@pytest.mark.parametrize(
    "wrong",
    [
        {"REDIS_URL": "redis://operator:canary-5d1e-password@127.0.0.1:1/0"},
        {"REDIS_URL": "canary-5d1e://127.0.0.1"},
        {"REDIS_URL": "redis+sentinel://:canary-5d1e-password@127.0.0.1:1/name"},
        {"OTP_SECRET_KEYS": "canary-5d1e"},
        {"OTP_INDEX_KEY": "canary-5d1e"},
        {"TWILIO_AUTH_TOKEN": "canary-5d1e,,"},
        {"TWILIO_AUTH_TOKEN": "canary-5d1e canary"},
        {"TWILIO_API_SECRET": "canary-5d1e"},
    ],
)
@pytest.mark.parametrize("command", ["check", "worker"])
async def test_an_invalid_secret_setting_is_not_repeated(start, launch, eventually, command, wrong):
    """A11: an error in a secret, or in a URL with a password, is reported without the secret."""
    running = await start(otp_worker=False)
    process = await launch(running, command, **wrong)
    if not await eventually(lambda: process.child.poll() is not None, seconds=3):
        await process.stop()  # a worker keeps retrying its Redis
    assert "5d1e" not in process.log
    assert "Traceback" not in process.log
