"""Load shedding: how many requests one process handles at a time.

A request acquires a slot when it has arrived whole and its credential is valid, so slow or unauthenticated clients
hold none. It releases the slot when its response is ready. A request without a free slot is refused at once: one more
request in progress would only delay all others.
"""

from service.http.problems import HttpProblem

_RETRY_SECONDS = 1


class LoadShedding:
    """Counts the requests in progress. `share` is the part of all slots that a route may use; None: it needs none."""

    def __init__(self, max_in_flight: int) -> None:
        self._max = max_in_flight
        self._in_flight = 0

    def has_slot(self, share: float | None) -> bool:
        """Tell whether a slot is free for a route."""
        return share is None or self._in_flight < share * self._max

    def acquire(self, share: float) -> None:
        """Take a slot. Raises the problem `overloaded`."""
        if self._in_flight >= share * self._max:
            raise overloaded()
        self._in_flight += 1

    def release(self) -> None:
        """Free a slot."""
        self._in_flight -= 1


def overloaded() -> HttpProblem:
    """Make the problem of a request for which no slot is free."""
    return HttpProblem("overloaded", retry_after_seconds=_RETRY_SECONDS)
