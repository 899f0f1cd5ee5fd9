"""Every promise has a test that fails when it is broken: here each script is broken on purpose, one place at a time.

A mutant (`mutants.py`) is a script with one piece of text replaced. The promise beside it, a test of the suites next
endpoint, must fail on it. A mutation whose text is no longer in its script fails too, so the list cannot fall behind.
"""

import inspect

import pytest
import redis as redis_py

from service.redis_client.client import Script
from tests.store.engines import Engine, immortal, open_stores
from tests.store.mutants import MUTANTS


@pytest.fixture
async def mutated(valkey):
    """Give a function that opens the stores on an empty Valkey with one script changed."""
    with redis_py.Redis.from_url(valkey) as admin:
        admin.flushall()
        async with open_stores(Engine("valkey", valkey, admin)) as stores:

            def change(name, found, instead):
                scripts = stores.scripts._scripts
                assert scripts[name].text.count(found) == 1, "the mutation no longer fits its script"
                scripts[name] = Script(name, scripts[name].text.replace(found, instead))
                admin.script_load(scripts[name].text)  # a mutant that does not even compile proves nothing
                return stores

            yield change
        admin.flushall()


@pytest.mark.parametrize(
    ("name", "found", "instead", "promise"),
    [
        pytest.param(name, *mutant, id=f"{name}-{number}")
        for name, mutants in MUTANTS.items()
        for number, mutant in enumerate(mutants, 1)
    ],
)
async def test_a_broken_script_breaks_a_promise(mutated, name, found, instead, promise):
    """The promise beside each mutant fails on it."""
    stores = mutated(name, found, instead)
    assert await _notices(promise, stores)


async def _notices(promise, stores):
    """Tell whether a promise fails, in whatever way: by an assertion, a refusal, or a key that would never expire."""
    try:
        told = promise(stores)
        if inspect.isawaitable(told):
            await told
    except (Exception, pytest.fail.Exception):  # noqa: BLE001 - each way of failing is noticing
        return True
    return bool(immortal(stores.admin))
