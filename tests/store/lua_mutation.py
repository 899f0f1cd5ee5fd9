"""Run mutants of the scripts against the tests of the store, and report those that no test detects.

`python -m tests.store.lua_mutation` tries all; `--seconds` draws a sample, `--seed` repeats one. The tests run in one
pytest session, on the embedded Valkey: first once without a mutant, to learn which test runs which script; then, for
each mutant, the tests of its scripts, until one fails. Mutants in `lua_equivalents` are left out.
"""

import argparse
import math
import random
import secrets
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from _pytest.runner import runtestprotocol
from hypothesis import Phase, settings

from service.store import scripts
from service.store.fields import FIELDS
from tests.store.lua_equivalents import is_equivalent
from tests.store.lua_mutator import files, mutants_of, scripts_with

SUITES = Path(__file__).parent
OTHER_ENGINES = ("redis", "cluster")
# A test that fails because of a mutant must not leave anything that makes the next one fail.
UNUSED_PLUGINS = ("schemathesis", "cacheprovider", "terminal", "unraisableexception", "threadexception")
ARGUMENTS = [
    *("-o", "addopts=--import-mode=importlib", "-s", "-W", "ignore"),
    *(f"-pno:{plugin}" for plugin in UNUSED_PLUGINS),
    *("--ignore", str(SUITES / "test_lua_mutants.py"), str(SUITES)),
]

load_scripts = scripts.load_scripts


@dataclass
class Mutation:
    """The pytest plugin that runs the collected tests for each mutant."""

    mutants: list
    seconds: float
    survivors: list = field(default_factory=list)
    tried: int = 0
    fault: str = ""  # why the run is invalid
    _loaded: dict = field(default_factory=load_scripts)
    _used: set = field(default_factory=set)
    _tests: list = field(default_factory=list)

    def pytest_collection_modifyitems(self, items):
        """Deselect tests of other engines and slow ones; in a sample, also tests that start their own server."""
        items[:] = [item for item in items if self._is_wanted(item)]

    def _load(self, fields=FIELDS):
        """Return the mutant; a store with another table of fields gets the original scripts."""
        return _Noting(self._loaded if fields is FIELDS else load_scripts(fields=fields), self._used)

    def _is_wanted(self, item):
        engine = item.callspec.params.get("engine") if hasattr(item, "callspec") else None
        is_slow = any(item.get_closest_marker(mark) for mark in ("slow", "alone"))
        return (
            engine not in OTHER_ENGINES and not is_slow and ("stores" in item.fixturenames or self.seconds == math.inf)
        )

    def pytest_runtestloop(self, session):
        """Run the tests without a mutant, then with each mutant, then those that failed without one again."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(scripts, "load_scripts", self._load)
            self._learn(session.items)
            ends_at = time.monotonic() + self.seconds
            for mutant in self.mutants:
                if self.fault or time.monotonic() > ends_at:
                    break
                self._try(mutant)
            self._loaded = load_scripts()
            for test in self._tests:
                if test.failed:
                    self._is_sound(test.item)
        return True

    def _learn(self, items):
        """Run each test without a mutant, and record which scripts it runs and how long it takes."""
        for item in items:
            self._used.clear()
            began = time.monotonic()
            if not self._is_sound(item):
                continue
            self._tests.append(_Test(item, frozenset(self._used), time.monotonic() - began))

    def _is_sound(self, item):
        """Return whether a test passes without a mutant; it is repeated once, because a busy machine may fail it."""
        test = _Test(item)
        if not (test.fails() and test.fails()):
            return True
        if "stores" in item.fixturenames:  # another test may need an idle machine
            self.fault = f"{item.nodeid} fails although nothing is broken"
        return False

    def _try(self, mutant):
        tests = [test for test in self._tests if test.scripts & scripts_with(mutant.file)]
        if not tests and self.seconds < math.inf:
            return  # only tests that are left out of a sample run this script
        self.tried += 1
        self._loaded = mutant.scripts()
        # Tests that have detected the most mutants come first, then the fastest.
        tests.sort(key=lambda test: (-test.failed / max(test.ran, 1), test.seconds))
        if not any(test.fails() for test in tests):
            self.survivors.append(mutant)
            print(f"survived: {mutant}", flush=True)


@dataclass
class _Test:
    item: pytest.Item
    scripts: frozenset = frozenset()
    seconds: float = 0.0
    ran: int = 0
    failed: int = 0

    def fails(self):
        """Run the test; return whether it fails, including the setup and teardown of its fixtures."""
        reports = runtestprotocol(self.item, log=False, nextitem=_AnyOther(self.item.session))
        self.ran += 1
        has_failed = any(report.failed for report in reports)
        self.failed += has_failed
        return has_failed


@dataclass
class _AnyOther:
    """A placeholder for the next test: pytest asks which fixtures it shares with this one: the session's."""

    session: pytest.Session

    def listchain(self):
        return [self.session]


class _Noting(dict):
    """The scripts by name; records which of them are used."""

    def __init__(self, loaded, used):
        super().__init__(loaded)
        self._used = used

    def __getitem__(self, name):
        self._used.add(name)
        return super().__getitem__(name)


def main():
    """Try mutants and print the survivors; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=math.inf, help="try a random sample for so long")
    parser.add_argument("--seed", default=secrets.token_hex(4), help="what the sample is drawn from")
    parser.add_argument("--file", action="append", help="only mutants of this file of lua/, such as check")
    asked = parser.parse_args()
    mutants = [one for file in asked.file or files() for one in mutants_of(file) if not is_equivalent(one)]
    if asked.seconds < math.inf:
        random.Random(asked.seed).shuffle(mutants)
    # The first failing example suffices, and must not be replayed with the original scripts.
    settings.register_profile("mutation", phases=[Phase.generate], database=None)
    settings.load_profile("mutation")
    run, began = Mutation(mutants, asked.seconds), time.monotonic()
    pytest.main(ARGUMENTS, plugins=[run])
    took = f"{time.monotonic() - began:.0f} s"
    print(
        f"seed {asked.seed}: {run.tried} of {len(mutants)} mutants in {took}, {len(run.survivors)} survived", run.fault
    )
    return int(bool(run.survivors or run.fault or not run.tried))


if __name__ == "__main__":
    sys.exit(main())
