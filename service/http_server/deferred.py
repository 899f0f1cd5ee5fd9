"""Requests that wait for their turn: those without a valid credential.

All callers wait while the event loop works, so the work that anyone can cause is limited in each of its iterations. A
request with a valid credential begins as soon as it has arrived. Any other one waits here, and each iteration begins as
many as take about `BUDGET_SECONDS` together. A connection has at most one request here, so connections take turns.

How long requests take is known only afterwards. So the number that an iteration begins grows by one while the time is
within the budget, and falls in proportion when it is not. Only the CPU time until a request first waits is measured;
the rest depends on what it waits for, such as Redis.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable

BUDGET_SECONDS = 0.002


class DeferredRequests:
    """Begins requests in the order in which they came, some in each iteration of the event loop."""

    def __init__(self, *, clock: Callable[[], float] = time.thread_time) -> None:
        self._clock = clock
        self._waiting: deque[Callable[[], object]] = deque()
        self._most = 1  # so many begin in one iteration
        self._is_running = False  # some have begun in this iteration
        self._began_at = 0.0

    def add(self, begin: Callable[[], object]) -> None:
        """Add a request. `begin` is called in its turn, at once if none waits, and makes its task."""
        self._waiting.append(begin)
        if not self._is_running:
            self._is_running = True
            self._begin_some()

    def _begin_some(self) -> None:
        """Begin requests. The event loop runs their tasks one after the other, between the two other callbacks."""
        loop, count = asyncio.get_running_loop(), min(self._most, len(self._waiting))
        loop.call_soon(self._note_time)
        for _ in range(count):
            self._waiting.popleft()()
        loop.call_soon(self._go_on, count)

    def _note_time(self) -> None:
        self._began_at = self._clock()

    def _go_on(self, count: int) -> None:
        taken_seconds = self._clock() - self._began_at
        if taken_seconds > BUDGET_SECONDS:
            self._most = max(1, int(count * BUDGET_SECONDS / taken_seconds))
        elif count == self._most:
            self._most += 1
        if self._waiting:
            self._begin_some()
        else:
            self._is_running = False
