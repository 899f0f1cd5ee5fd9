"""Settling: writes the result of a delivery to the store, even if Redis is away for a moment.

The receiver has answered by then, and an entry that stays as it is would be delivered again at the end of its lease. So
each step is tried at once, then in the background for most of the lease (`retrying`). Repeating is safe: a delivered
entry is removed whichever worker asks; failing and postponing change nothing if another worker has the lease by now.
"""

from functools import partial
from typing import Protocol

from service.core.event_log import LogValue
from service.core.outbox.entries import Events, OutboxEntry, OutboxStore
from service.core.retrying import Retries, Step

# Of the lease, after the delivery (5 s) and the first tries (3 s): by then the lease is over.
_TRIED_FOR = 0.6


class EntryLog(Protocol):
    """Writes an event about an entry."""

    def __call__(self, event: str, entry: OutboxEntry, /, **fields: LogValue) -> None:
        """Write an event with what the handler says of the entry."""


class Settling:
    """Settles, fails and postpones the entries that one worker has claimed."""

    def __init__(self, store: OutboxStore, retries: Retries, *, lease_ms: int, events: Events, log: EntryLog) -> None:
        self._store = store
        self._retries = retries
        self._tried_for_seconds = _TRIED_FOR * lease_ms / 1000
        self._events = events
        self._log = log

    async def settle(self, entry: OutboxEntry, *, waited_ms: int) -> None:
        """Remove an entry that was delivered."""

        async def settle() -> None:
            if await self._store.settle(entry):
                self._log(self._events.settled, entry, tries=entry.tries + 1, waited_ms=waited_ms)

        await self._until_done(entry, settle)

    async def fail(self, entry: OutboxEntry, reason: str) -> None:
        """Move an entry to the failed."""

        async def fail() -> None:
            if await self._store.fail(entry, reason):
                self._log(self._events.failed, entry, reason=reason)

        await self._until_done(entry, fail)

    async def postpone(self, entry: OutboxEntry, *, delay_ms: int, was_tried: bool) -> None:
        """Give an entry back, due later."""
        await self._until_done(entry, partial(self._store.postpone, entry, delay_ms=delay_ms, was_tried=was_tried))

    async def _until_done(self, entry: OutboxEntry, step: Step) -> None:
        await self._retries.run(
            step,
            for_seconds=self._tried_for_seconds,
            given_up=lambda reason: self._log(self._events.left_to_its_lease, entry, reason=reason),
        )
