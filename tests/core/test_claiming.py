"""The promise of `outbox.claiming` about the store's clock: a step back is logged once, and nothing else is."""

import pytest

from service.core.outbox import Claim
from service.core.outbox.claiming import Claiming


class Times:
    """A store without confirmations, whose clock returns the times that a test sets."""

    def __init__(self, *times_ms):
        self._times_ms = iter(times_ms)

    async def claim(self, *_, **__):
        return Claim((), next(self._times_ms), None)


@pytest.mark.parametrize(
    ("times_ms", "logged"),
    [
        ((10_000, 10_500, 99_000), []),
        ((10_000, 9_500), []),  # two claims whose replies arrived in reverse order
        ((10_000, 5_000), [("store_clock_stepped_back", {"delay_ms": 5_000})]),
        ((10_000, 5_000, 5_500, 1_000), [("store_clock_stepped_back", {"delay_ms": 5_000})]),  # logged once a minute
    ],
    ids=["forwards", "crossed", "back", "back twice"],
)
async def test_a_step_back_of_the_clock_is_logged(times_ms, logged):
    """A step back of a second or more is one event with its size; time that passes, even fast, is none."""
    events = []
    claiming = Claiming(
        Times(*times_ms), 1000, 0.5, clock=lambda: 0.0, event_log=lambda event, **fields: events.append((event, fields))
    )
    for _ in times_ms:
        await claiming.claim("0", 1)
    assert events == logged
