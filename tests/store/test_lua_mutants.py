"""Each promise that the scripts keep has a test that fails when it is broken: here the scripts are broken on purpose.

`lua_behaviours` lists the most important ways, each with the test that must notice. The others are made from the
scripts themselves (`lua_mutator`); a sample is tried here, and all of them by `make mutants`.
"""

import inspect
import subprocess
import sys
from pathlib import Path

import pytest
import redis as redis_py

from service.store import scripts
from tests.chaos.mutants import MUTANTS
from tests.store import lua_mutator
from tests.store.engines import Engine, immortal, open_stores
from tests.store.lua_behaviours import BEHAVIOURS
from tests.store.lua_equivalents import EQUIVALENT, matches
from tests.store.lua_mutator import files, find, mutants_of, scripts_with, text_of

SAMPLE_SECONDS = 15


@pytest.mark.parametrize(
    ("make", "notices"),
    [
        pytest.param(*broken, id=f"{promise}: {how}")
        for promise, ways in BEHAVIOURS.items()
        for how, broken in ways.items()
    ],
)
async def test_a_broken_script_breaks_a_promise(valkey, monkeypatch, make, notices):
    """The test beside each way to break a script fails when the script is broken in that way, and passes otherwise."""
    assert not await _fails(valkey, notices)
    broken = make().scripts()
    monkeypatch.setattr(scripts, "load_scripts", lambda **_: broken)
    with redis_py.Redis.from_url(valkey) as admin:
        for script in broken.values():
            admin.script_load(script.text)  # a script that does not even compile proves nothing
    assert await _fails(valkey, notices)


async def _fails(valkey, promise):
    """Return whether a promise fails, in whatever way: by an assertion, a refusal, or a key that would never expire."""
    with redis_py.Redis.from_url(valkey) as admin:
        admin.flushall()
        try:
            async with open_stores(Engine("valkey", valkey, admin)) as stores:
                told = promise(stores)
                if inspect.isawaitable(told):
                    await told
            return bool(immortal(admin))
        except (Exception, pytest.fail.Exception):  # noqa: BLE001 - each way of failing is noticing
            return True
        finally:
            admin.flushall()


@pytest.mark.slow
def test_a_sample_of_all_mutants_is_noticed():
    """Whatever is dropped, forced or exchanged in a script, some test of the store fails; each run tries others."""
    command = [sys.executable, "-m", "tests.store.lua_mutation", "--seconds", str(SAMPLE_SECONDS)]
    ran = subprocess.run(command, check=False, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.fixture
def renamed(monkeypatch):
    """Yield every local of every script another name."""
    texts = {file: lua_mutator.with_other_locals(text_of(file)) for file in files()}
    assert all(b"x_" in text for file, text in texts.items() if b"local " in text_of(file))
    monkeypatch.setattr(lua_mutator, "text_of", texts.__getitem__)
    mutants_of.cache_clear()
    yield
    mutants_of.cache_clear()


def test_a_rename_changes_nothing(renamed):
    """With other names of all locals, every listed way to break a script is found, and every equivalent."""
    ways = [make for ways in BEHAVIOURS.values() for make, _ in ways.values()] + [make for make, _ in MUTANTS.values()]
    assert all(make() for make in ways)
    test_every_equivalent_is_one_of_the_mutants()


@pytest.mark.slow
def test_every_mutant_compiles(redis):
    """Redis loads every mutant: one that does not compile would be noticed by every test, and prove nothing."""
    for file in files():
        changed = scripts_with(file)
        for mutant in mutants_of(file):
            broken = mutant.scripts()
            redis.script_load(broken[min(changed)].text)


def test_every_equivalent_is_one_of_the_mutants():
    """What is listed as changing nothing still exists in the scripts."""
    everything = [mutant for file in files() for mutant in mutants_of(file)]
    assert [entry for entry in EQUIVALENT if not any(matches(entry, mutant) for mutant in everything)] == []


def test_a_selector_that_fits_nothing_or_much_is_refused():
    """A pattern must select one mutant: an outdated one fails instead of breaking nothing."""
    for pattern in ("no such code", "."):
        with pytest.raises(AssertionError):
            find("check", "drop", pattern)
