"""Store errors by cause: counted in the process, and written to the counters in Redis when that answers.

Redis is often down when they are counted, so the process keeps them until it can write them. A write whose response
is lost is repeated, so after an outage a count may be too high.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from service.core.store_health import StoreFault, StoreUnavailable
from service.store.ledgers import RedisStats
from service.store.scripts import Scripts

_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 5.0


class ErrorCounts:
    """Keeps what is not written yet. Calls that succeed cost nothing."""

    def __init__(self, stats: RedisStats) -> None:
        self.unwritten: Counter[str] = Counter()
        self._stats = stats
        self._writing: asyncio.Task[None] | None = None

    def count(self, fault: StoreFault) -> None:
        """Count one failed call."""
        self.unwritten[fault.cause.value] += 1
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._keep_writing())

    async def close(self) -> None:
        """Try once more to write what is left."""
        if self._writing is not None:
            self._writing.cancel()
            await asyncio.wait([self._writing])
        await self._write()

    async def _keep_writing(self) -> None:
        pause_seconds = _FIRST_PAUSE_SECONDS
        while self.unwritten:
            await asyncio.sleep(pause_seconds)
            await self._write()
            pause_seconds = min(2 * pause_seconds, _LONGEST_PAUSE_SECONDS)

    async def _write(self) -> None:
        taken = Counter(self.unwritten)
        if not taken:
            return
        with suppress(StoreUnavailable):  # which is counted like any other
            await self._stats.add({f"store_error:{cause}": many for cause, many in taken.items()})
            self.unwritten -= taken


@asynccontextmanager
async def counted_errors(scripts: Scripts) -> AsyncIterator[ErrorCounts]:
    """Count the failed calls of these scripts until the block ends."""
    counts = ErrorCounts(RedisStats(scripts))
    scripts.on_fault = counts.count
    try:
        yield counts
    finally:
        scripts.on_fault = None
        await counts.close()
