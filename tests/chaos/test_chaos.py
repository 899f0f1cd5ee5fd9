"""Chaos: a plan kills and freezes two servers and Redis, and makes Twilio fail, while back ends use the service.

Afterwards each rule of `invariants` examines the history of all calls, like the checkers of Jepsen. The controls break
one script at a time: the same run must detect each. `make chaos` runs for longer; CHAOS_SEED replays one round.
"""

import json
import os
import secrets
import time
from itertools import cycle, islice

import pytest
import pytest_asyncio

from tests.chaos.mutants import MUTANTS
from tests.chaos.plan import THEMES, settings_of
from tests.chaos.rounds import run_round, run_round_on
from tests.chaos.system import open_dependencies, open_system
from tests.store.lua_mutator import scripts_with

SECONDS = int(os.environ.get("CHAOS_SECONDS", "25"))
ROUND_SECONDS = 25  # of faults; a quiet period follows until the confirmations are delivered
CONTROL_SECONDS = 1
MAX_CONTROL_ROUNDS = 5  # until a broken script is detected; one round is nearly always enough
SEED = os.environ.get("CHAOS_SEED")


@pytest.fixture(scope="module")
def dependencies(tmp_path_factory):
    """Run a Redis and a simulator for all rounds of this file."""
    with open_dependencies(tmp_path_factory.mktemp("chaos")) as running:
        yield running


@pytest.mark.alone
@pytest.mark.timeout(SECONDS + 180)
async def test_no_fault_breaks_an_invariant(dependencies):
    """Under any fault no code counts twice, no confirmation is lost, and no key sends two messages."""
    ends_at = time.monotonic() + SECONDS
    first = secrets.randbelow(len(THEMES)) if SECONDS <= ROUND_SECONDS else 0  # a single round may have any theme
    for theme in islice(cycle(THEMES), first, None):
        seed = SEED or f"{theme}-{secrets.token_hex(4)}"
        print(f"\nseed {seed}", flush=True)  # printed first: a round that does not finish can be replayed, too
        verdict = await run_round(dependencies, seed, ROUND_SECONDS)
        print(verdict.summary, flush=True)
        assert verdict.findings == [], verdict.report
        if SEED or time.monotonic() + ROUND_SECONDS > ends_at:
            break


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def system(dependencies):
    """Run two servers for all controls."""
    async with open_system(dependencies, **settings_of("control")) as opened:
        yield opened


@pytest.mark.alone
@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=MUTANTS)
async def test_a_broken_script_is_detected(system, mutant):
    """Control: with one script broken and no other fault, the rule of this mutant reports it within seconds."""
    make, rule = mutant
    file = system.dependencies.mutant
    broken = make()
    scripts = broken.scripts()
    file.write_text(json.dumps({name: scripts[name].text for name in scripts_with(broken.file)}), "utf-8")
    try:
        for _ in range(MAX_CONTROL_ROUNDS):
            verdict = await run_round_on(system, "control", CONTROL_SECONDS, with_faults=False, quiet_seconds=0.5)
            if rule in {finding.rule for finding in verdict.findings}:
                return
    finally:
        file.unlink()
    raise AssertionError(verdict.report)


@pytest.mark.alone
@pytest.mark.asyncio(loop_scope="module")
async def test_no_rule_reports_a_healthy_service(system):
    """Control: without a fault and with the original scripts, also after all mutants, the rules report nothing."""
    verdict = await run_round_on(system, "control", CONTROL_SECONDS, with_faults=False)
    assert verdict.findings == [], verdict.report
    assert len(verdict.evidence.messages) > 20
