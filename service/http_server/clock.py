"""The time-outs of one connection.

The first request must begin within 20 s, a request must arrive within 20 s of its first byte, and a client must not
stop reading a response for more than 20 s. An idle connection ends after `idle_seconds`. The time to make a response is
left to the application. One timer per connection checks all of this, at least every 5 s, since one per request would be
too expensive. So a time-out may be up to 5 s late.
"""

import asyncio
from collections.abc import Callable

MOST_SECONDS = 20.0
_LOOK_SECONDS = 5.0


class Clock:
    """Three waits, each with the time at which it began; None if it is not running.

    `on_unread`, `on_idle` and `on_late` are called when one has taken too long. After the last two, the connection may
    stay open.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        idle_seconds: float,
        *,
        on_unread: Callable[[], None],
        on_idle: Callable[[], None],
        on_late: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._idle_seconds = idle_seconds
        self._on_unread, self._on_idle, self._on_late = on_unread, on_idle, on_late
        self.unread_since: float | None = None  # the client is not reading a response
        self.idle_since: float | None = None  # no request is in progress
        self.arriving_since: float | None = loop.time()  # a request is arriving, or the first one is expected
        self._look_seconds = min(idle_seconds, _LOOK_SECONDS, MOST_SECONDS)
        self._timer = loop.call_later(self._look_seconds, self._look)

    def stop(self) -> None:
        """Stop the timer, and drop the references to the connection."""
        self._timer.cancel()
        self._on_unread = self._on_idle = self._on_late = _do_nothing

    def request_begins(self) -> None:
        """Note the first byte of a request."""
        self.arriving_since = self._loop.time()
        self.idle_since = None

    def goes_idle(self) -> None:
        """Note that no request is in progress."""
        self.arriving_since = None
        self.idle_since = self._loop.time()

    def lingers(self) -> None:
        """Note that the connection is ending: until the next look, bytes that arrive are dropped."""
        self.arriving_since = None
        self.idle_since = self._loop.time() - self._idle_seconds + self._look_seconds

    def goes_unread(self) -> None:
        """Note that the client has stopped reading."""
        self.unread_since = self._loop.time()

    def _look(self) -> None:
        """End a wait that has taken too long, and set the timer for the next one."""
        now = self._loop.time()
        if self.unread_since is not None and now - self.unread_since >= MOST_SECONDS:
            self._on_unread()
            return
        if self.idle_since is not None and now - self.idle_since >= self._idle_seconds:
            self.idle_since = None
            self._on_idle()
        if self.arriving_since is not None and now - self.arriving_since >= MOST_SECONDS:
            self._on_late()
        ends = [since + MOST_SECONDS for since in (self.unread_since, self.arriving_since) if since is not None]
        if self.idle_since is not None:
            ends.append(self.idle_since + self._idle_seconds)
        self._timer = self._loop.call_later(min([*ends, now + self._look_seconds]) - now, self._look)


def _do_nothing() -> None:
    """Take the place of a callback of a connection that is gone."""
