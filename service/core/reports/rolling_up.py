"""Rolling up: what the worker does for the report. Several workers may do it at the same time, and each may be killed.

Hours that have ended are merged into one key each, again and again while something moves in them. Two days after the
end of a day (UTC) its hours are added up to the day, once. Sends whose last code has ended are written to the log of
what did not convert.
"""

import asyncio
from contextlib import suppress
from typing import Protocol

from service.core.event_log import EventLog
from service.core.outage_log import OutageLog
from service.core.partitions import PARTITIONS
from service.core.store_health import StoreUnavailable

_POLL_SECONDS = 10.0
_POLLS_PER_MERGE = 30  # five minutes


class FunnelUpkeep(Protocol):
    """The steps in the store: each may be begun again, and is done once. Raises `StoreUnavailable`."""

    async def log_lapsed(self, partition: str) -> None:
        """Log what did not convert and can no longer."""

    async def merge_ended_hours(self) -> None:
        """Merge the counters of hours that have ended, from all partitions."""

    async def roll_up(self) -> None:
        """Add the hours of days that ended two days ago up to days."""


class RollingUp:
    """Keeps the counters small; one instance in each process that runs the worker."""

    def __init__(self, funnel: FunnelUpkeep, *, event_log: EventLog) -> None:
        self._funnel = funnel
        self._event_log = event_log
        self._outage_log = OutageLog(event_log)
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Begin nothing more; `run` returns when the current step has ended."""
        self._stopping.set()

    async def run(self) -> None:
        """Work until `stop`, also while Redis is away."""
        polls = 0
        while not self._stopping.is_set():
            try:
                await self._work(merges=polls % _POLLS_PER_MERGE == 0)
                self._outage_log.worked()
                polls += 1
            except StoreUnavailable as away:
                self._outage_log.failed(away)
            except Exception as fault:  # noqa: BLE001 - it would end the upkeep unnoticed
                self._event_log("worker_fault", reason=type(fault).__name__)
            with suppress(TimeoutError):
                async with asyncio.timeout(_POLL_SECONDS):
                    await self._stopping.wait()

    async def _work(self, *, merges: bool) -> None:
        for partition in PARTITIONS:
            await self._funnel.log_lapsed(partition)
        if merges:
            await self._funnel.merge_ended_hours()
            await self._funnel.roll_up()
