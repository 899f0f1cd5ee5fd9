"""Rolling up: what the worker does for the report. Several workers may do it at the same time, and each may be killed.

Hours that have ended are merged into one key each, again and again while something moves in them. Two days after the
end of a day (UTC) its hours are added up to the day, once. Sends whose last code has ended are written to the log of
what did not convert.
"""

from typing import Protocol

from service.core.event_log import EventLog
from service.core.partitions import PARTITIONS
from service.core.polling import Polling

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
        self._polling = Polling(event_log, pause_seconds=_POLL_SECONDS)
        self._polls = 0

    def stop(self) -> None:
        """Begin nothing more; `run` returns when the current step has ended."""
        self._polling.stop()

    async def run(self) -> None:
        """Work until `stop`, also while Redis is away."""
        await self._polling.run(self._work)

    async def _work(self) -> None:
        for partition in PARTITIONS:
            await self._funnel.log_lapsed(partition)
        if self._polls % _POLLS_PER_MERGE == 0:
            await self._funnel.merge_ended_hours()
            await self._funnel.roll_up()
        self._polls += 1
