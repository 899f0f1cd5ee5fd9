"""The promises of `service.core.retrying`: a step is tried until it is done; one given up is reported once."""

import asyncio
import time

import pytest

from service.core.retrying import Retries, RetryPolicy, keep_trying
from service.core.store_health import StoreUnavailable

AWAY = StoreUnavailable("deliver: ConnectionError")


class Store:
    """Fails as often as it is told, then works."""

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
    """Make retries that pause for a moment only."""
    return Retries(RetryPolicy(**{"first_pause_seconds": 0.001, "longest_pause_seconds": 0.004, **policy}))


@pytest.fixture
def lost():
    """Return a list of the reasons for which steps were given up."""
    return []


async def test_a_step_is_tried_until_it_is_done(lost):
    """A step that fails five times is tried a sixth time, no more, and nothing is given up; meanwhile it is counted."""
    background, store = retries(), Store(5)
    background.add(store.step, for_seconds=60, given_up=lost.append)
    assert background.waiting == 1
    await background.idle()
    assert (store.tries, background.waiting, lost) == (6, 0, [])


async def test_a_step_whose_time_is_over_is_given_up_once(lost):
    """When its time is over a step was tried until then, and is given up once with what the store last said."""
    background, store = retries(), Store(float("inf"))
    began = time.monotonic()
    background.add(store.step, for_seconds=0.1, given_up=lost.append)
    await background.idle()
    assert time.monotonic() - began >= 0.1
    assert store.tries > 2
    assert lost == [str(AWAY)]


async def test_a_fault_of_ours_ends_a_step(lost):
    """What is no outage is not repeated: the step is given up with the name of the fault, and no other step suffers."""
    background, broken, well = retries(), Store(1, ValueError("a code")), Store(1)
    for store in (broken, well):
        background.add(store.step, for_seconds=60, given_up=lost.append)
    await background.idle()
    assert (broken.tries, well.tries, lost) == (1, 2, ["ValueError"])


async def test_only_so_many_wait(lost):
    """A step that finds no place is never tried and is given up at once; when one is done there is a place again."""
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
    """However long a pause was meant to be, a stop cuts it short, and a step that succeeds then is not lost."""
    background, store = retries(first_pause_seconds=3600), Store(0)
    background.add(store.step, for_seconds=7200, given_up=lost.append)
    await asyncio.sleep(0)
    assert store.tries == 0
    background.stop(60)
    await background.idle()
    assert (store.tries, lost) == (1, [])


async def test_a_stop_goes_on_trying_for_its_time_only(lost):
    """A store that stays away is tried several times at a stop; then each step is told as lost, and the stop ends."""
    background, store, hanging = retries(), Store(float("inf")), asyncio.Event()
    background.add(store.step, for_seconds=3600, given_up=lost.append)
    background.add(hanging.wait, for_seconds=3600, given_up=lost.append)  # a call that has no end
    await store.tried.wait()
    tries = store.tries
    background.stop(0.1)
    await asyncio.wait_for(background.idle(), 10)
    assert store.tries > tries + 1
    assert lost == ["the process ends"] * 2
    assert background.waiting == 0


async def test_a_step_that_has_not_begun_is_told_as_lost_too(lost):
    """A step that was added in the turn in which the process stops, without any time left, is reported as given up."""
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
