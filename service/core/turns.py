"""Long calculations in the event loop: they take turns with everything else.

A thread would not do: Python runs one thread at a time, and each time the event loop waits for something it would get
its turn back 5 ms later.
"""

import asyncio
import time

_TURN_SECONDS = 0.001


class Turns:
    """The turns of one calculation."""

    def __init__(self) -> None:
        self._ends_at = time.perf_counter() + _TURN_SECONDS

    async def pause(self) -> None:
        """Let everything else run that is ready, if this turn is over. Call it between short steps."""
        if time.perf_counter() >= self._ends_at:
            await asyncio.sleep(0)
            self._ends_at = time.perf_counter() + _TURN_SECONDS
