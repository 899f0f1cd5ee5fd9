"""Three times the capacity (F15): callers that do not wait for responses before they send the next request."""

import asyncio
import statistics
import time
from dataclasses import dataclass, field

import pytest

from service.sandbox import FaultPlan

PLACES = 16  # sends may use half of them
TWILIO_SECONDS = 0.2
PEAK_PER_SECOND = PLACES / 2 / TWILIO_SECONDS
CHECKS_PER_SECOND = 60
SECONDS = 3.0
SHED_SECONDS = 0.05


@dataclass
class Load:
    """The results of requests that were sent at fixed times, whether or not earlier ones had a response."""

    responses: list = field(default_factory=list)  # (status, code of the problem or None, seconds)

    async def run(self, call, per_second):
        """Send for some seconds; wait for the last responses."""
        loop = asyncio.get_running_loop()
        started, tasks = loop.time(), []
        for place in range(int(SECONDS * per_second)):
            await asyncio.sleep(max(0.0, started + place / per_second - loop.time()))
            tasks.append(asyncio.create_task(self._one(call, place)))
        await asyncio.gather(*tasks)

    async def _one(self, call, place):
        started = time.perf_counter()
        status, body, _ = await call(place)
        self.responses.append((status, body.get("code"), time.perf_counter() - started))

    def count(self, status):
        """Return how many responses had this status."""
        return sum(one[0] == status for one in self.responses)

    def seconds(self, status):
        """Return the median duration of responses with this status; outliers may come from a busy machine."""
        return statistics.median(one[2] for one in self.responses if one[0] == status)


@pytest.fixture
async def client(start, launch):
    """Run one serving process with few slots, whose Twilio takes 0.2 s for a message; return its client."""
    running = await start(otp_worker=False)
    process = await launch(running, OTP_WORKER="false", OTP_MAX_IN_FLIGHT=str(PLACES))
    running.sandbox.faults.plan(FaultPlan(endpoint="messages", kind="slow", seconds=TWILIO_SECONDS))
    return process.client


@pytest.mark.alone
async def test_an_overload_of_issues_fails_no_check(client):
    """F15: at three times Twilio's rate of issues the usual number is sent, the rest is shed at once; checks go on."""
    pending = [await client.issue(f"+1415556{number:04d}") for number in range(10)]

    def issue(place):
        return client.call("POST", "/v1/verifications", {"to": f"+1415555{place:04d}"})

    def check(place):
        path = f"/v1/verifications/{pending[place % len(pending)]['id']}/verify"
        return client.call("POST", path, {"code": "0000"})

    # The peak is the throughput with exactly as many requests as slots, in the same run on the same machine.
    peak_checks, peak_issues, checks, issues = Load(), Load(), Load(), Load()
    await asyncio.gather(peak_checks.run(check, CHECKS_PER_SECOND), peak_issues.run(issue, PEAK_PER_SECOND))
    sent_before = len(client.sandbox.ledger.messages())
    await asyncio.gather(checks.run(check, CHECKS_PER_SECOND), issues.run(issue, 3 * PEAK_PER_SECOND))
    assert checks.count(200) >= 0.8 * peak_checks.count(200)
    assert {code for status, code, _ in issues.responses if status != 201} == {"overloaded"}
    assert issues.count(201) >= 0.8 * peak_issues.count(201)
    assert issues.count(503) >= len(issues.responses) / 2, "otherwise there was no overload"
    assert issues.seconds(503) < SHED_SECONDS
    assert len(client.sandbox.ledger.messages()) == sent_before + issues.count(201)
