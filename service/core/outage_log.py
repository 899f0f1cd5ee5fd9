"""The log lines of an outage of the store: soon after it begins, ever more rarely while it lasts, and one at its end.

Whoever works on while the store is away reports each failure and each success here. Of one outage the log has a line at
once, then after pauses that double from one second to a minute. The outage has ended when something worked and nothing
has failed for some seconds, because a store that works in part fails and works by turns.
"""

import time
from collections.abc import Callable

from service.core.event_log import EventLog
from service.core.store_health import StoreUnavailable

_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 1.0, 60.0
_QUIET_SECONDS = 5.0


class OutageLog:
    """Logs the outages that one worker meets, or others under events of their own."""

    def __init__(
        self,
        event_log: EventLog,
        clock: Callable[[], float] = time.monotonic,
        *,
        failed: str = "worker_waits_for_store",
        ended: str = "worker_continues",
    ) -> None:
        self._event_log = event_log
        self._clock = clock
        self._failed_event, self._ended_event = failed, ended
        self._since: float | None = None  # None: the store works
        self._last_failure = self._next_line = self._pause_seconds = 0.0

    def failed(self, away: StoreUnavailable) -> None:
        """Note that a step failed."""
        now = self._last_failure = self._clock()
        if self._since is None:
            self._since, self._next_line, self._pause_seconds = now, now, _FIRST_PAUSE_SECONDS
        if now >= self._next_line:
            self._event_log(self._failed_event, reason=str(away))
            self._next_line = now + self._pause_seconds
            self._pause_seconds = min(2 * self._pause_seconds, _LONGEST_PAUSE_SECONDS)

    def worked(self) -> None:
        """Note that a step succeeded."""
        if self._since is not None and self._clock() - self._last_failure >= _QUIET_SECONDS:
            self._event_log(self._ended_event, waited_ms=round((self._last_failure - self._since) * 1000))
            self._since = None
