"""The promises of `service.core.retrying`: a step is tried until it succeeds; one given up is reported once."""

import asyncio
import time

import pytest

from service.core.retrying import Retries, RetryPolicy, keep_trying
from service.core.store_health import StoreUnavailable

AWAY = StoreUnavailable("deliver: ConnectionError")


class Store:
    """A store that fails a set number of times, then works."""

    def __init__(self, failures, error=AWAY):
        self.failures = failures
        self.error = error
        self.tries = 0
        self.tried = asyncio.Event()

    async def step(self):
        self.tries += 1
        self.tried.set()
        if self.tries <= self.failures:
            raise self.error


def retries(**policy):
    """Create retries with very short pauses."""
    return Retries(RetryPolicy(**{"first_pause_seconds": 0.001, "longest_pause_seconds": 0.004, **policy}))


@pytest.fixture
def lost():
    """Return a list that collects the reasons of given-up steps."""
    return []


async def test_a_step_is_tried_until_it_succeeds(lost):
    """A step that fails five times is tried a sixth time and no more; meanwhile it is counted as waiting."""
    background, store = retries(), Store(5)
    background.add(store.step, for_seconds=60, given_up=lost.append)
    assert background.waiting == 1
    await background.idle()
    assert (store.tries, background.waiting, lost) == (6, 0, [])


async def test_an_expired_step_is_given_up_once(lost):
    """A step is tried until its time is over, and then given up once, with the store's last error."""
    background, store = retries(), Store(float("inf"))
    began = time.monotonic()
    background.add(store.step, for_seconds=0.1, given_up=lost.append)
    await background.idle()
    assert time.monotonic() - began >= 0.1
    assert store.tries > 2
    assert lost == [str(AWAY)]


async def test_an_unexpected_exception_ends_a_step(lost):
    """An unexpected exception is not retried: the step is given up with its name, and other steps continue."""
    background, broken, well = retries(), Store(1, ValueError("a code")), Store(1)
    for store in (broken, well):
        background.add(store.step, for_seconds=60, given_up=lost.append)
    await background.idle()
    assert (broken.tries, well.tries, lost) == (1, 2, ["ValueError"])


async def test_the_number_of_waiting_steps_is_bounded(lost):
    """When the queue is full a step is given up untried; when one is done there is room again."""
    background = retries(most_waiting=2, first_pause_seconds=60)
    stores = [Store(0) for _ in range(3)]
    for store in stores:
        background.add(store.step, for_seconds=60, given_up=lost.append)
    assert background.waiting == 2
    assert lost == ["2 steps are waiting already"]
    background.stop(60)
    await background.idle()
    assert [store.tries for store in stores] == [1, 1, 0]
    background.add(stores[2].step, for_seconds=60, given_up=lost.append)
    await background.idle()
    assert (stores[2].tries, len(lost)) == (1, 1)


async def test_a_stop_tries_each_step_at_once(lost):
    """A stop cuts every pause short, and a step that then succeeds is not lost."""
    background, store = retries(first_pause_seconds=3600), Store(0)
    background.add(store.step, for_seconds=7200, given_up=lost.append)
    await asyncio.sleep(0)
    assert store.tries == 0
    background.stop(60)
    await background.idle()
    assert (store.tries, lost) == (1, [])


async def test_a_stop_retries_for_a_limited_time(lost):
    """At a stop an unavailable store is tried several times; then each step is reported as lost, and the stop ends."""
    background, store, hanging = retries(), Store(float("inf")), asyncio.Event()
    background.add(store.step, for_seconds=3600, given_up=lost.append)
    background.add(hanging.wait, for_seconds=3600, given_up=lost.append)  # a call that never returns
    await store.tried.wait()
    tries = store.tries
    background.stop(0.1)
    await asyncio.wait_for(background.idle(), 10)
    assert store.tries > tries + 1
    assert lost == ["the process ends"] * 2
    assert background.waiting == 0


async def test_a_step_that_has_not_started_is_reported_as_lost(lost):
    """A step added in the iteration in which the process stops, with no time left, is reported as given up."""
    background, store = retries(), Store(0)
    background.add(store.step, for_seconds=60, given_up=lost.append)
    background.stop(0)
    await background.idle()
    assert (store.tries, lost, background.waiting) == (0, ["the process ends"], 0)


async def test_pauses_grow_with_jitter_to_the_longest():
    """Pauses double up to the longest one, each between half of that and the whole."""
    pauses = []

    async def pause(seconds):
        pauses.append(seconds)

    store = Store(9)
    await keep_trying(store.step, for_seconds=3600, first_pause_seconds=0.2, longest_pause_seconds=5.0, pause=pause)
    ceilings = [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0, 5.0, 5.0]
    assert len(pauses) == len(ceilings)
    assert all(ceiling / 2 <= seconds <= ceiling for seconds, ceiling in zip(pauses, ceilings, strict=True))
    assert len({seconds / ceiling for seconds, ceiling in zip(pauses, ceilings, strict=True)}) > 5
