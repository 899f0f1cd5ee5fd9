"""Every promise that a script keeps has a test that fails when the script is broken: here the scripts are broken.

`lua_behaviours` lists the most important ways, each with the test that must fail. The others are generated from the
scripts themselves (`lua_mutator`); `make mutants` tries them.
"""

import inspect

import pytest
import redis as redis_py

from service.store import scripts
from tests.chaos.mutants import MUTANTS
from tests.store import lua_mutator
from tests.store.engines import Engine, immortal, open_stores
from tests.store.lua_behaviours import BEHAVIOURS
from tests.store.lua_equivalents import EQUIVALENT, matches
from tests.store.lua_mutator import files, find, mutants_of, scripts_with, text_of


@pytest.mark.parametrize(
    ("make", "must_fail"),
    [
        pytest.param(*broken, id=f"{promise}: {how}")
        for promise, ways in BEHAVIOURS.items()
        for how, broken in ways.items()
    ],
)
async def test_a_broken_script_breaks_a_promise(valkey, monkeypatch, make, must_fail):
    """Each listed way to break a script fails the test beside it, which otherwise passes."""
    assert not await _fails(valkey, must_fail)
    broken = make().scripts()
    monkeypatch.setattr(scripts, "load_scripts", lambda **_: broken)
    with redis_py.Redis.from_url(valkey) as admin:
        for script in broken.values():
            admin.script_load(script.text)  # a script that does not compile proves nothing
    assert await _fails(valkey, must_fail)


async def _fails(valkey, promise):
    """Return whether a test fails in any way: by an assertion, a refusal, or a key without a TTL."""
    with redis_py.Redis.from_url(valkey) as admin:
        admin.flushall()
        try:
            async with open_stores(Engine("valkey", valkey, admin)) as stores:
                outcome = promise(stores)
                if inspect.isawaitable(outcome):
                    await outcome
            return bool(immortal(admin))
        except (Exception, pytest.fail.Exception):  # noqa: BLE001 - any exception counts as failing
            return True
        finally:
            admin.flushall()


@pytest.fixture
def renamed(monkeypatch):
    """Yield the mutator with other names for every local variable of every script."""
    texts = {file: lua_mutator.with_other_locals(text_of(file)) for file in files()}
    assert all(b"x_" in text.lower() for file, text in texts.items() if b"local " in text_of(file))
    monkeypatch.setattr(lua_mutator, "text_of", texts.__getitem__)
    mutants_of.cache_clear()
    yield
    mutants_of.cache_clear()


def test_a_rename_changes_nothing(renamed):
    """With other names for all local variables, every listed behaviour and every equivalent is still found."""
    ways = [make for ways in BEHAVIOURS.values() for make, _ in ways.values()] + [make for make, _ in MUTANTS.values()]
    assert all(make() for make in ways)
    test_every_equivalent_is_one_of_the_mutants()


@pytest.mark.slow
def test_every_mutant_compiles(redis):
    """Redis loads every mutant: one that does not compile would fail every test, and prove nothing."""
    for file in files():
        changed = scripts_with(file)
        for mutant in mutants_of(file):
            broken = mutant.scripts()
            redis.script_load(broken[min(changed)].text)


def test_every_equivalent_is_one_of_the_mutants():
    """Every listed equivalent matches a mutant."""
    everything = [mutant for file in files() for mutant in mutants_of(file)]
    assert [entry for entry in EQUIVALENT if not any(matches(entry, mutant) for mutant in everything)] == []


def test_a_selector_must_match_exactly_one_mutant():
    """A pattern must select exactly one mutant, so that an outdated one fails."""
    for pattern in ("no such code", "."):
        with pytest.raises(AssertionError):
            find("check", "drop", pattern)
