"""Each promise that the scripts keep has a test that fails when it is broken: here the scripts are broken on purpose.

`lua_behaviours` lists the most important ways, each with the test that must notice. The others are made from the
scripts themselves (`lua_mutator`).
"""

import inspect
import re

import pytest
import redis as redis_py

from service.store import scripts
from tests.store.engines import Engine, immortal, open_stores
from tests.store.lua_behaviours import BEHAVIOURS
from tests.store.lua_mutator import files, find, mutants_of, mutate, scripts_with, text_of


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
    monkeypatch.setattr(scripts, "load_scripts", lambda: broken)
    with redis_py.Redis.from_url(valkey) as admin:
        for script in broken.values():
            admin.script_load(script.text)  # a script that does not even compile proves nothing
    assert await _fails(valkey, notices)


async def _fails(valkey, promise):
    """Tell whether a promise fails, in whatever way: by an assertion, a refusal, or a key that would never expire."""
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


def test_a_renamed_local_makes_the_same_mutants():
    """Mutants are told by what they do: a script whose locals have other names has the same ones."""
    text = text_of("check")
    renamed = re.sub(rb"\b(verdict|send|feedback|attempts|enqueued)\b(?!')", rb"other_\1", text)
    assert renamed != text
    assert [(one.ordinal, one.kind) for one in mutate("check", renamed)] == [
        (one.ordinal, one.kind) for one in mutants_of("check")
    ]


@pytest.mark.slow
def test_every_mutant_compiles(redis):
    """Redis loads every mutant: one that does not compile would be noticed by every test, and prove nothing."""
    for file in files():
        changed = scripts_with(file)
        for mutant in mutants_of(file):
            broken = mutant.scripts()
            redis.script_load(broken[min(changed)].text)


def test_a_selector_that_fits_nothing_or_much_is_refused():
    """A pattern must select one mutant: an outdated one fails instead of breaking nothing."""
    for pattern in ("no such code", "."):
        with pytest.raises(AssertionError):
            find("check", "drop", pattern)
