"""One round of chaos: callers and faults at the same time, then a quiet period, then the verdict."""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass

import aiohttp

from tests.chaos.callers import Caller, Phone
from tests.chaos.evidence import Evidence, InjectedFault
from tests.chaos.invariants import SETTLING, findings
from tests.chaos.plan import LEASE_MS, faults, settings_of
from tests.chaos.rules_of_messages import repeated_confirmations
from tests.chaos.system import bring_up, open_system

CALLERS = 2
QUIET_SECONDS = LEASE_MS / 1000 + 35  # a lease, plus the longest pause of a confirmation that failed several times


@dataclass(frozen=True)
class Verdict:
    """The result of a round."""

    seed: str
    evidence: Evidence
    findings: list

    @property
    def summary(self):
        """Summarise the round in one line."""
        calls = Counter(call.operation for call in self.evidence.calls)
        silent = sum(call.status is None for call in self.evidence.calls)
        injected = Counter(f"{fault.kind} of {fault.target}" for fault in self.evidence.injected)
        return (
            f"seed {self.seed}: {dict(calls)}, {silent} without a response; {len(self.evidence.messages)} messages, "
            f"{sum(message.outcome == 'confirmed' for message in self.evidence.messages)} confirmed, "
            f"{len(repeated_confirmations(self.evidence))} of them again; {dict(injected)}; "
            f"{len(self.findings)} findings"
        )

    @property
    def report(self):
        """Return every finding with the history of its verification."""
        parts = [f"{self.summary}\nreplay: make chaos CHAOS_SEED={self.seed}"]
        for finding in self.findings[:20]:
            parts.append(f"--- {finding.rule}: {finding.text}; {finding.verification_id}")
            if finding.verification_id:
                parts.append(self.evidence.history(finding.verification_id))
        return "\n".join(parts)


async def run_round(dependencies, seed, seconds):
    """Run one round on a system of its own."""
    async with open_system(dependencies, **settings_of(seed)) as system:
        return await run_round_on(system, seed, seconds)


async def run_round_on(system, seed, seconds, *, with_faults=True, quiet_seconds=QUIET_SECONDS, at_once=12):
    """Run one round on this system, after resetting it."""
    await system.reset()
    evidence = Evidence(system.settings, system.ports)
    started = time.time()
    async with Phone().listening(system.dependencies.twilio_url) as phone:
        callers = [Caller(f"c{index}", seed, system, phone, evidence.calls) for index in range(CALLERS)]
        planned = faults(seed, seconds) if with_faults else []
        await asyncio.gather(
            *(caller.run_until(started + seconds, at_once=at_once) for caller in callers),
            *(_inject_all(target, planned, system, evidence, started) for target in {one.target for one in planned}),
        )
    await _end_twilio_faults(system.dependencies)
    found = await _check_when_quiet(system, evidence, quiet_seconds)
    return Verdict(seed, evidence, found)


async def _check_when_quiet(system, evidence, seconds):
    """Check the invariants once nothing is pending, or after this time."""
    dependencies, ends_at = system.dependencies, time.time() + seconds
    while True:
        await evidence.collect(dependencies.twilio_url, system.url(0), system.key, dependencies.redis.admin)
        found = findings(evidence)
        is_settling = any(finding.rule in SETTLING for finding in found)
        if not is_settling or time.time() > ends_at:
            return found
        await asyncio.sleep(1)


async def _inject_all(target, planned, system, evidence, started):
    """Inject the planned faults of one target."""
    for fault in planned:
        if fault.target == target:
            await asyncio.sleep(max(0, started + fault.at - time.time()))
            since = time.time()
            await _inject(fault, system)
            kind = f"{fault.twilio['endpoint']} {fault.twilio['kind']}" if fault.twilio else fault.kind
            evidence.injected.append(InjectedFault(target, kind, since, time.time()))


async def _inject(fault, system):
    dependencies = system.dependencies
    if fault.target == "twilio":
        async with (
            aiohttp.ClientSession(dependencies.twilio_url) as http,
            http.post("/_/faults", json=fault.twilio) as response,
        ):
            assert response.status == 201, await response.text()
    elif fault.target == "redis":
        await _disrupt(fault, dependencies.redis, lambda: asyncio.to_thread(dependencies.redis.start))
    else:
        process = system.servers[fault.target]
        await _disrupt(fault, process, lambda: bring_up(process))


async def _disrupt(fault, process, start):
    if fault.kind.startswith("kill"):
        process.kill()
        await asyncio.sleep(fault.seconds)
        await start()
    else:
        process.freeze()
        await asyncio.sleep(fault.seconds)
        process.thaw()


async def _end_twilio_faults(dependencies):
    async with aiohttp.ClientSession(dependencies.twilio_url) as http, http.delete("/_/faults") as response:
        assert response.status == 204
