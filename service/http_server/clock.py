"""The clock of one connection: what a client may take its time for, and for how long.

A request arrives within 20 s of its first byte, the first one begins within 20 s, and an answer that waits to be read
is read on within 20 s. A connection idle between two requests ends after `idle_seconds`. The making of an answer is
left to the application. One timer looks after all of this, every 5 s or more often: one a request would cost more than
its credential. So a wait may end up to 5 s late.
"""

import asyncio
from collections.abc import Callable

MOST_SECONDS = 20.0
_LOOK_SECONDS = 5.0


class Clock:
    """Three waits, each with the time at which it began; None while it does not run.

    `on_unread`, `on_idle` and `on_late` are called when one has taken too long; the last two may go on living.
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
        self.unread_since: float | None = None  # the client leaves an answer unread
        self.idle_since: float | None = None  # nothing is under way
        self.arriving_since: float | None = loop.time()  # a request is outstanding
        self._look_seconds = min(idle_seconds, _LOOK_SECONDS, MOST_SECONDS)
        self._timer = loop.call_later(self._look_seconds, self._look)

    def stop(self) -> None:
        """Look no more."""
        self._timer.cancel()

    def request_begins(self) -> None:
        """Note the first byte of a request."""
        self.arriving_since = self._loop.time()
        self.idle_since = None

    def goes_idle(self) -> None:
        """Note that nothing is under way."""
        self.arriving_since = None
        self.idle_since = self._loop.time()

    def lingers(self) -> None:
        """Note that the connection is ending: what still comes is dropped, for as long as a look is away."""
        self.arriving_since = None
        self.idle_since = self._loop.time() - self._idle_seconds + self._look_seconds

    def goes_unread(self) -> None:
        """Note that what we write is no longer taken."""
        self.unread_since = self._loop.time()

    def _look(self) -> None:
        """End what has waited too long, else look again when it would have."""
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
