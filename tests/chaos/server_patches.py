"""Changes to the server processes of a chaos run: shorter leases, and a broken script when a test asks for one.

Each server imports this module before it starts (`sitecustomize`, see `system`); the tests never import it. Leases are
short so that a frozen process outlives them within seconds; the invariants do not depend on the length of a lease. A
file contains the broken script, so that the same processes can run one mutant after the other.
"""

import json
import os
from dataclasses import replace
from functools import cache
from pathlib import Path

from service.config import policies
from service.core import idempotency
from service.redis_client import PreparedScript
from service.store import scripts
from tests.chaos.plan import LEASE_MS


def _shorten_leases():
    assert idempotency.LEASE_MS > LEASE_MS
    idempotency.LEASE_MS = LEASE_MS
    confirmation_policy = policies.confirmation_policy
    policies.confirmation_policy = lambda settings: replace(confirmation_policy(settings), lease_ms=LEASE_MS)


class _ScriptsWithMutant(dict):
    """The scripts by name; while the file of a mutant exists, its scripts replace those of the same name."""

    def __init__(self, loaded, mutant):
        super().__init__(loaded)
        self._mutant = mutant

    def __getitem__(self, name):
        script = super().__getitem__(name)
        broken = json.loads(self._mutant.read_text("utf-8")) if self._mutant.exists() else {}
        return _with_text(script, broken[name]) if name in broken else script


@cache
def _with_text(script, text):
    return replace(script, text=text)


class _PreparedAnew:
    """A prepared script that is prepared for every call, because a mutant may have come or gone."""

    def __init__(self, loaded, name, *words):
        self.name = name
        self._prepared = lambda: PreparedScript(loaded[name], *words)

    def call(self, *given):
        return self._prepared().call(*given)

    def call_with_text(self, *given):
        return self._prepared().call_with_text(*given)


def _allow_mutants(mutant):
    load = scripts.load_scripts
    scripts.load_scripts = lambda **options: _ScriptsWithMutant(load(**options), mutant)
    scripts.Scripts.prepared = lambda self, name, *words: _PreparedAnew(self._scripts, name, *words)


_shorten_leases()
_allow_mutants(Path(os.environ["CHAOS_MUTANT"]))
