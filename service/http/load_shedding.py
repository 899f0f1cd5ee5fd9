"""Places: how many requests one process works on at once, and who is refused when there is no room.

A place is a share of the one event loop. It is taken when the whole request has arrived and its
credential is known to be good, so that a stranger, or whoever sends a byte a second, holds none; and
it comes back with the answer, whatever that is.
"""

from service.http.problems import HttpProblem
from service.http.response import problem_response

_RETRY_SECONDS = 1


class LoadShedding:
    """Counts the requests that are worked on."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken = 0
        self.refusal = problem_response(overloaded())  # written once: to refuse must cost little

    def has_slot(self, share: float | None) -> bool:
        """Tell whether an endpoint that may use this share of all places has one left; None always has."""
        return share is None or self._taken < share * self._most

    def acquire(self, share: float) -> None:
        """Take a place. Raises the problem `overloaded`."""
        if not self.has_slot(share):
            raise overloaded()
        self._taken += 1

    def release(self) -> None:
        """Give a place back."""
        self._taken -= 1


def overloaded() -> HttpProblem:
    """Make the refusal of a request for which there is no place."""
    return HttpProblem("overloaded", retry_after_seconds=_RETRY_SECONDS)
