"""What is different inside the server processes of a chaos run: shorter leases, and one broken script when asked for.

Each process imports this before it serves (`sitecustomize`, see `world`); the tests themselves never do. Leases are cut
so that a frozen process outlives them within seconds; whatever holds with short leases holds with long ones. A mutant
whose text is no longer in its script stops the process, so a control cannot pass by doing nothing.
"""

import json
import os
from dataclasses import replace

from service.adapters import scripts
from service.adapters.multiplexer import Script
from service.config import policies
from service.core import idempotency
from tests.chaos.plan import LEASE_MS


def _shorten_leases():
    assert idempotency.LEASE_MS > LEASE_MS
    idempotency.LEASE_MS = LEASE_MS
    confirm_policy = policies.confirm_policy
    policies.confirm_policy = lambda settings: replace(confirm_policy(settings), lease_ms=LEASE_MS)


def _break_script(name, found, instead):
    load = scripts.load_scripts

    def load_broken():
        loaded = load()
        assert loaded[name].text.count(found) == 1, "the mutant no longer fits its script"
        return loaded | {name: Script(name, loaded[name].text.replace(found, instead))}

    scripts.load_scripts = load_broken


_shorten_leases()
if "CHAOS_MUTANT" in os.environ:
    _break_script(*json.loads(os.environ["CHAOS_MUTANT"]))
