"""Floods of strangers: requests without a credential, from many addresses, do not make those with a key wait."""

import json
import time

import aiohttp
import pytest

from tests.attacks.test_newcomers import flooded

CONNECTIONS = 1_000
ADDRESSES = 200
CHECKS = 30
KINDS = {
    "cheap": "/livez",
    "all": "/livez,/readyz,/metrics,/docs,/openapi.json,/docs/assets/redoc.standalone.js,/x,POST:/v1/verifications",
}
# A check waits for a few short turns of the event loop: milliseconds. It took many seconds when each turn began all.
MOST_SECONDS = 1.0


@pytest.fixture
async def flooded_process(start, launch):
    """Run one process, and another service on the same Redis that issues codes; give both."""
    running = await start(otp_worker=False)
    return running, await launch(running, OTP_WORKER="false")


async def issued_codes(running):
    """Issue verifications; give the path and the body of the check of each."""
    numbers = [f"+1415555{number:04d}" for number in range(100, 100 + CHECKS)]
    ids = [(await running.issue(number))["id"] for number in numbers]
    return [
        (f"/v1/verifications/{one}/verify", {"code": running.codes(number)[-1]})
        for one, number in zip(ids, numbers, strict=True)
    ]


async def check_all(process, checks):
    """Check codes in turn on one connection; give the verdict or the problem of each, and how long the longest took."""
    told, seconds = [], []
    timeout = aiohttp.ClientTimeout(20)
    async with aiohttp.ClientSession(process.client.url, timeout=timeout) as http:
        for path, body in checks:
            began = time.perf_counter()
            async with http.post(path, json=body, headers={"Authorization": f"Bearer {process.client.key}"}) as answer:
                document = await answer.json(content_type=None)
            seconds.append(time.perf_counter() - began)
            told.append(document.get("verdict") or document)
    return told, max(seconds)


async def check_during_a_flood(process, checks, paths):
    """Check codes during a flood of requests to these paths: every check is approved soon."""
    async with flooded(process.port, paths, connections=CONNECTIONS, addresses=ADDRESSES):
        told, longest = await check_all(process, checks)
    assert told == ["approved"] * CHECKS
    assert longest < MOST_SECONDS
    events = [json.loads(line)["event"] for line in process.log.splitlines()]
    assert "unexpected_error" not in events


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.parametrize("kind", KINDS)
async def test_checks_with_a_key_work_during_a_flood_of_strangers(flooded_process, kind):
    """While 1,000 connections of 200 addresses pipeline requests without a credential, every check is soon approved."""
    running, process = flooded_process
    await check_during_a_flood(process, await issued_codes(running), KINDS[kind])


@pytest.mark.slow
@pytest.mark.alone
async def test_checks_with_a_key_work_during_a_flood_with_a_client_token(flooded_process):
    """Every visitor gets a client token: a flood of requests with one does not delay checks with an API key."""
    running, process = flooded_process
    own = await running.issue()
    path = f"{own['client_token']}:/v1/verifications/{own['id']}"
    await check_during_a_flood(process, await issued_codes(running), path)
