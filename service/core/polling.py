"""Polling: repeats a step until it is stopped, also while the store is away.

Whoever polls says how long to pause after each step. A step that fails is logged and repeated: a fault that ended the
work would go unnoticed.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from service.core.event_log import EventLog
from service.core.outage_log import OutageLog
from service.core.store_health import StoreUnavailable


class Polling:
    """The loop of one part of the worker."""

    def __init__(self, event_log: EventLog, *, pause_seconds: float) -> None:
        self._event_log = event_log
        self._pause_seconds = pause_seconds
        self._stopping = asyncio.Event()
        self.outage_log = OutageLog(event_log)

    @property
    def is_stopping(self) -> bool:
        """Whether nothing more may begin."""
        return self._stopping.is_set()

    def stop(self) -> None:
        """Begin no more steps, and end a pause."""
        self._stopping.set()

    async def run(self, step: Callable[[], Awaitable[float | None]]) -> None:
        """Repeat a step, which returns how long to pause, or None for the usual pause."""
        while not self.is_stopping:
            pause_seconds = None
            try:
                pause_seconds = await step()
                self.outage_log.worked()
            except StoreUnavailable as away:
                self.outage_log.failed(away)
            except Exception as fault:  # noqa: BLE001 - it would end the work unnoticed
                self._event_log("worker_fault", reason=type(fault).__name__)
            await self.pause(self._pause_seconds if pause_seconds is None else pause_seconds)

    async def pause(self, seconds: float) -> None:
        """Wait so long, or until `stop`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
