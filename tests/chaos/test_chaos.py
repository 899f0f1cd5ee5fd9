"""Chaos: by a plan two servers and Redis are killed and frozen, and Twilio fails, while back ends use them.

Afterwards each rule of `invariants` reads the history of all calls, as checkers of the Jepsen kind do. The controls
break one script at a time: the same run must notice each. `make chaos` plays for longer; CHAOS_SEED plays one round
again.
"""

import os
import secrets
import time
from itertools import cycle

import pytest

from tests.chaos.mutants import MUTANTS
from tests.chaos.plan import THEMES
from tests.chaos.rounds import play
from tests.chaos.world import open_surroundings

SECONDS = int(os.environ.get("CHAOS_SECONDS", "65"))
ROUND_SECONDS = 25  # of faults; a quiet period follows, as long as the confirmations need
CONTROL_SECONDS = 2
SEED = os.environ.get("CHAOS_SEED")


@pytest.fixture(scope="module")
def surroundings(tmp_path_factory):
    """Run a Redis and a simulator for all rounds of this file."""
    with open_surroundings(tmp_path_factory.mktemp("chaos")) as running:
        yield running


@pytest.mark.slow
@pytest.mark.timeout(SECONDS + 180)
async def test_no_fault_breaks_an_invariant(surroundings):
    """Whatever is killed, frozen or lost: no code counts twice, no confirmation is lost, no key sends two messages."""
    ends_at = time.monotonic() + SECONDS
    for theme in cycle(THEMES):
        seed = SEED or f"{theme}-{secrets.token_hex(4)}"
        print(f"\nseed {seed}", flush=True)  # first: a round that does not come to its end can be played again too
        verdict = await play(surroundings, seed, ROUND_SECONDS)
        print(verdict.summary, flush=True)
        assert verdict.findings == [], verdict.report
        if SEED or time.monotonic() + ROUND_SECONDS > ends_at:
            break


@pytest.mark.slow
async def test_nothing_is_found_where_nothing_is_broken(surroundings):
    """Control: without a fault and with the scripts as they are, the rules find nothing."""
    verdict = await play(surroundings, "control", CONTROL_SECONDS, with_faults=False)
    assert verdict.findings == [], verdict.report
    assert len(verdict.evidence.messages) > 20


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=MUTANTS)
async def test_a_broken_script_is_noticed(surroundings, mutant):
    """Control: with one script broken, without any fault, the rule beside it accuses within seconds."""
    *change, rule = mutant
    verdict = await play(surroundings, "control", CONTROL_SECONDS, with_faults=False, mutant=change, quiet_seconds=1)
    assert rule in {finding.rule for finding in verdict.findings}, verdict.report
