"""One round of chaos: callers and faults side by side, then quiet, then the verdict."""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass

import aiohttp

from tests.chaos.callers import Caller, Phone
from tests.chaos.evidence import Evidence, Struck
from tests.chaos.invariants import SETTLING, findings
from tests.chaos.plan import LEASE_MS, faults, settings_of
from tests.chaos.rules_of_messages import doubles
from tests.chaos.world import bring_up, open_world

CALLERS = 2
QUIET_SECONDS = LEASE_MS / 1000 + 35  # a lease, and the longest pause of a confirmation that failed several times


@dataclass(frozen=True)
class Verdict:
    """What a round came to."""

    seed: str
    evidence: Evidence
    findings: list

    @property
    def summary(self):
        """Say in a line what was done."""
        calls = Counter(call.operation for call in self.evidence.calls)
        silent = sum(call.status is None for call in self.evidence.calls)
        struck = Counter(f"{fault.kind} of {fault.target}" for fault in self.evidence.struck)
        return (
            f"seed {self.seed}: {dict(calls)}, {silent} without a response; {len(self.evidence.messages)} messages, "
            f"{sum(message.outcome == 'confirmed' for message in self.evidence.messages)} confirmed, "
            f"{len(doubles(self.evidence))} of them again; {dict(struck)}; {len(self.findings)} findings"
        )

    @property
    def report(self):
        """Write every finding with the history of its verification."""
        parts = [f"{self.summary}\nreplay: make chaos CHAOS_SEED={self.seed}"]
        for finding in self.findings[:20]:
            parts.append(f"--- {finding.rule}: {finding.text}; {finding.verification_id}")
            if finding.verification_id:
                parts.append(self.evidence.story(finding.verification_id))
        return "\n".join(parts)


async def play(surroundings, seed, seconds):
    """Play one round in a world of its own."""
    async with open_world(surroundings, **settings_of(seed)) as world:
        return await play_in(world, seed, seconds)


async def play_in(world, seed, seconds, *, with_faults=True, quiet_seconds=QUIET_SECONDS, at_once=12):
    """Play one round in a world that has forgotten the one before."""
    await world.renew()
    evidence = Evidence(world.settings, world.ports)
    started = time.time()
    async with Phone().listening(world.surroundings.twilio_url) as phone:
        callers = [Caller(f"c{place}", seed, world, phone, evidence.calls) for place in range(CALLERS)]
        planned = faults(seed, seconds) if with_faults else []
        await asyncio.gather(
            *(caller.play(started + seconds, at_once=at_once) for caller in callers),
            *(_strike_all(target, planned, world, evidence, started) for target in {one.target for one in planned}),
        )
    await _end_twilio_faults(world.surroundings)
    found = await _check_when_quiet(world, evidence, quiet_seconds)
    return Verdict(seed, evidence, found)


async def _check_when_quiet(world, evidence, seconds):
    """Check when nothing is under way any more, or when that has lasted too long."""
    surroundings, ends_at = world.surroundings, time.time() + seconds
    while True:
        await evidence.collect(surroundings.twilio_url, world.url(0), world.key, surroundings.redis.admin)
        found = findings(evidence)
        is_settling = any(finding.rule in SETTLING for finding in found)
        if not is_settling or time.time() > ends_at:
            return found
        await asyncio.sleep(1)


async def _strike_all(target, planned, world, evidence, started):
    """Play the timeline of one target."""
    for fault in planned:
        if fault.target == target:
            await asyncio.sleep(max(0, started + fault.at - time.time()))
            since = time.time()
            await _strike(fault, world)
            kind = f"{fault.twilio['endpoint']} {fault.twilio['kind']}" if fault.twilio else fault.kind
            evidence.struck.append(Struck(target, kind, since, time.time()))


async def _strike(fault, world):
    surroundings = world.surroundings
    if fault.target == "twilio":
        async with (
            aiohttp.ClientSession(surroundings.twilio_url) as http,
            http.post("/_/faults", json=fault.twilio) as response,
        ):
            assert response.status == 201, await response.text()
    elif fault.target == "redis":
        await _hurt(fault, surroundings.redis, lambda: asyncio.to_thread(surroundings.redis.start))
    else:
        process = world.servers[fault.target]
        await _hurt(fault, process, lambda: bring_up(process))


async def _hurt(fault, process, start):
    if fault.kind.startswith("kill"):
        process.kill()
        await asyncio.sleep(fault.seconds)
        await start()
    else:
        process.freeze()
        await asyncio.sleep(fault.seconds)
        process.thaw()


async def _end_twilio_faults(surroundings):
    async with aiohttp.ClientSession(surroundings.twilio_url) as http, http.delete("/_/faults") as response:
        assert response.status == 204
