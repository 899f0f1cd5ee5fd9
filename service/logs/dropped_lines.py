"""Adds the number of dropped log lines to the counters in Redis, so that every process can show it in `/metrics`."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress

from service.core.store_health import StoreUnavailable
from service.logs.writer import dropped_lines, end_output

_PAUSE_SECONDS = 5.0


@asynccontextmanager
async def counting_dropped_lines(add: Callable[[Mapping[str, int]], Awaitable[None]]) -> AsyncIterator[None]:
    """Count dropped lines every few seconds; at the end, also count lines that were not written."""
    counted = 0

    async def count_new(lines: int) -> None:
        nonlocal counted
        if lines > counted:
            with suppress(StoreUnavailable):  # the next call counts them
                await add({"log:dropped": lines - counted})
                counted = lines

    async def keep_counting() -> None:
        while True:
            await asyncio.sleep(_PAUSE_SECONDS)
            await count_new(dropped_lines())

    task = asyncio.create_task(keep_counting())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await asyncio.to_thread(end_output)
        await count_new(dropped_lines(at_end=True))
