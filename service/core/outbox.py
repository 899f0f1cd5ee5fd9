"""The outbox: its entries, and what the rules need from whatever keeps them.

The docstrings are the contract. `service.store.outbox` implements it, translates, and decides nothing.
"""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """One confirmation pending to Twilio."""

    partition: str
    sid: str
    due_ms: int  # while claimed: leased until
    tries: int
    since_ms: int
    verification_id: str
    send_number: int
    country: str
    channel: str

    @property
    def legible(self) -> bool:
        """Tell whether the particulars of this entry could be read."""
        return self.since_ms > 0


@dataclass(frozen=True, slots=True)
class FailedEntry:
    """A confirmation that was given up, kept 14 days for `outbox retry`."""

    entry: OutboxEntry
    failed_at_ms: int
    reason: str


@dataclass(frozen=True, slots=True)
class Claim:
    """What one claim brought: leased entries, and when the partition's next entry is due."""

    entries: tuple[OutboxEntry, ...]
    now_ms: int
    next_due_ms: int | None


class ConfirmationStore(Protocol):
    """Keeps the entries. Every method is one atomic step; all raise `StoreUnavailable`."""

    async def claim(self, partition: str, *, lease_ms: int, most: int) -> Claim:
        """Lease the due entries of a partition, oldest first."""

    async def settle(self, entry: OutboxEntry) -> bool:
        """Remove an entry that Twilio has accepted; False when another worker did."""

    async def fail(self, entry: OutboxEntry, reason: str) -> bool:
        """Move an entry to the failed; False when another worker has ended or leased it."""

    async def postpone(self, entry: OutboxEntry, *, delay_ms: int, was_tried: bool) -> bool:
        """Give an entry back, due later; False when its lease has passed to another worker."""

    async def halt(self, reason: str, ttl_seconds: int) -> None:
        """Note for every process that posting has stopped."""

    async def resume(self) -> None:
        """Take that note back."""

    async def beat(self, ttl_seconds: int) -> None:
        """Note for every process that a worker is alive."""
