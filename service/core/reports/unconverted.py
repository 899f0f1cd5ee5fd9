"""The newest sends that did not convert, each with its reason, from a log of bounded length. It holds no number.

A send is logged when the provider refuses it, when its secret is typed too late, and otherwise when the last code of
its verification has ended. One that is typed too late was logged before: its newest entry counts. Threads read the log
and choose from it, since it may be long.
"""

import asyncio
from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple, Protocol

from service.core.instants import instant
from service.core.reports.counters import Labels, Reason, State

MOST_LISTED = 200


class UnconvertedSend(NamedTuple):
    """One send of the log."""

    verification_id: str
    sent_at_ms: int
    labels: Labels
    state: State

    @property
    def reason(self) -> Reason | None:
        """Why it did not convert."""
        return self.state.reason(is_open=False)

    def json(self) -> dict[str, Any]:
        """Write it as JSON has it."""
        labels = self.labels
        return {
            "at": instant(self.sent_at_ms),
            "verification_id": self.verification_id,
            "send_number": labels.send_number,
            "country": labels.country,
            "channel": labels.channel,
            "purpose": labels.purpose,
            "action": labels.action,
            "reason": str(self.reason),
            "error_code": self.state.error_code,
        }


class UnconvertedLog(Protocol):
    """Reads the log. Raises `StoreUnavailable`."""

    async def now_ms(self) -> int:
        """Read the clock by which the sends are counted."""

    async def entries(self) -> Iterable[UnconvertedSend]:
        """Read all entries; of one send the newest comes first."""


class Unconverted:
    """Lists the newest sends that did not convert."""

    def __init__(self, log: UnconvertedLog) -> None:
        self._log = log
        self._reading = asyncio.Lock()

    async def newest(
        self,
        limit: int,
        *,
        countries: Collection[str] = (),
        channels: Collection[str] = (),
        reasons: Collection[str] = (),
    ) -> list[UnconvertedSend]:
        """List so many, newest first, of these countries, channels and reasons; an empty collection means any.

        One after the other: many at once would keep the event loop from everything else for seconds. The clock is read
        before that, so that lists do not wait for each other while Redis is away.
        """
        await self._log.now_ms()
        async with self._reading:
            entries = await self._log.entries()
            return await asyncio.to_thread(_newest, entries, limit, (countries, channels, reasons))


def _newest(entries: Iterable[UnconvertedSend], limit: int, asked: Sequence[Collection[str]]) -> list[UnconvertedSend]:
    newest: dict[tuple[str, int], UnconvertedSend] = {}
    for entry in entries:
        newest.setdefault((entry.verification_id, entry.labels.send_number), entry)
    fitting = (entry for entry in newest.values() if _fits(entry, *asked))
    return sorted(fitting, key=lambda entry: -entry.sent_at_ms)[:limit]


def _fits(
    entry: UnconvertedSend, countries: Collection[str], channels: Collection[str], reasons: Collection[str]
) -> bool:
    return (
        (not countries or entry.labels.country in countries)
        and (not channels or entry.labels.channel in channels)
        and (entry.reason in reasons if reasons else entry.reason is not None)
    )
