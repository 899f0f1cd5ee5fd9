"""Claiming: when to look at each partition, and the lease on the entries that are due there.

The worker looks at a partition when its next entry is due, when this process has just written one there, and twice a
second, because other processes write too and cannot wake this one.
"""

import asyncio
from collections.abc import Callable, Sequence

from service.core.event_log import EventLog
from service.core.outbox.entries import Claim, OutboxStore
from service.core.partitions import PARTITIONS

_STEP_MS = 1000  # two claims of one partition that overtake each other differ by less
_QUIET_SECONDS = 60.0


class Claiming:
    """Knows when to look at each partition next."""

    def __init__(
        self,
        store: OutboxStore,
        lease_ms: int,
        poll_seconds: float,
        *,
        clock: Callable[[], float],
        event_log: EventLog,
    ) -> None:
        self._store = store
        self._lease_ms = lease_ms
        self._poll_seconds = poll_seconds
        self._clock = clock
        self._event_log = event_log
        self._latest_ms: dict[str, int] = {}  # the store's time at each partition's last claim
        self._quiet_until = 0.0
        self._next_look = dict.fromkeys(PARTITIONS, 0.0)

    @property
    def seconds_left(self) -> float:
        """How long no partition is due for a look; negative when one is overdue."""
        return min(self._next_look.values()) - self._clock()

    def look_by(self, partition: str, at: float) -> None:
        """Look at a partition at this time at the latest."""
        self._next_look[partition] = min(self._next_look[partition], at)

    def due_partitions(self) -> list[str]:
        """List the partitions that are due for a look, the longest overdue first."""
        now = self._clock()
        return sorted((name for name in PARTITIONS if self._next_look[name] <= now), key=self._next_look.__getitem__)

    async def claim(self, partition: str, most: int) -> Claim:
        """Lease at most so many of the partition's due entries; 0 only looks. Raises `StoreUnavailable`."""
        # Before the claim: an entry that is written while the claim is under way needs another look.
        self._next_look[partition] = self._clock() + self._poll_seconds
        claim = await self._store.claim(partition, lease_ms=self._lease_ms, most=most)
        self._compare_clock(partition, claim.now_ms)
        if claim.next_due_ms is not None:
            self.look_by(partition, self._clock() + max(0, claim.next_due_ms - claim.now_ms) / 1000)
        return claim

    def _compare_clock(self, partition: str, now_ms: int) -> None:
        """Warn when the store's time is earlier than it was: a step, or a failover to a node whose clock is behind."""
        back_ms = self._latest_ms.get(partition, now_ms) - now_ms
        self._latest_ms[partition] = now_ms
        if back_ms >= _STEP_MS and self._clock() >= self._quiet_until:  # one line for all partitions of a node
            self._quiet_until = self._clock() + _QUIET_SECONDS
            self._event_log("store_clock_stepped_back", delay_ms=back_ms)

    async def earliest(self, partitions: Sequence[str]) -> str | None:
        """Look at all these partitions, which keeps their entries alive; return the one whose entry was due first.

        The first of all, so that an entry that is always refused is not every probe: it comes back last.
        """
        looks = await asyncio.gather(*(self.claim(name, 0) for name in partitions), return_exceptions=True)
        due = [
            (look.next_due_ms, name)
            for name, look in zip(partitions, looks, strict=True)
            if isinstance(look, Claim) and look.next_due_ms is not None and look.next_due_ms <= look.now_ms
        ]
        return min(due)[1] if due else None
