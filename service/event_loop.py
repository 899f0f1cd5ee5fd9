"""Event loop lag: how late this process runs what is due.

One event loop serves all requests of a process. When it has too much to do, everything waits for it, replies of Redis
included. A timer that is due ten times a second shows by how much.
"""

import asyncio
from collections import deque

from service.core.event_log import EventLog

WINDOW_SECONDS = 60.0
START_SECONDS = 1.0  # not measured: building the application blocks the loop, and no caller waits for it
_LATE_SECONDS = 0.5  # callers notice it, and time-outs expire
_SAMPLE_SECONDS = 0.1
_SPANS = 6  # of the window; the greatest lag of each is kept


class EventLoopLag:
    """Measures until it is stopped. It logs a lag of over half a second as `event_loop_late`, at most once a minute."""

    def __init__(self, event_log: EventLog) -> None:
        self._event_log = event_log
        self._loop = asyncio.get_running_loop()
        self._greatest: deque[float] = deque([0.0], maxlen=_SPANS)
        self._span_ends = self._loop.time() + WINDOW_SECONDS / _SPANS
        self._quiet_until = 0.0
        self._timer = self._loop.call_later(START_SECONDS, self._wait)

    @property
    def seconds(self) -> float:
        """The greatest lag within the last minute."""
        return max(self._greatest)

    def stop(self) -> None:
        """Measure no more."""
        self._timer.cancel()

    def _wait(self) -> None:
        self._due = self._loop.time() + _SAMPLE_SECONDS
        self._timer = self._loop.call_at(self._due, self._measure)

    def _measure(self) -> None:
        now = self._loop.time()
        lag = max(0.0, now - self._due)
        if now >= self._span_ends:
            self._greatest.append(0.0)
            self._span_ends = now + WINDOW_SECONDS / _SPANS
        self._greatest[-1] = max(self._greatest[-1], lag)
        if lag > _LATE_SECONDS and now >= self._quiet_until:
            self._quiet_until = now + WINDOW_SECONDS
            self._event_log("event_loop_late", delay_ms=round(lag * 1000))
        self._wait()
