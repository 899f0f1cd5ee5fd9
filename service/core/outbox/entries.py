"""What the outbox holds, what a handler answers, and what the queue needs from its store.

The docstrings are the contract. `service.store.outbox` implements `OutboxStore`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from service.core.event_log import LogValue


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """One thing that another system must be told. The kind of an entry is that of its queue."""

    partition: str
    key: str  # the queue holds one entry with this key
    due_ms: int  # while claimed: the end of the lease
    tries: int
    since_ms: int
    particulars: str  # text without a line break, which only the handler reads

    @property
    def is_legible(self) -> bool:
        """Tell whether the queue could read its own part of the entry."""
        return self.since_ms > 0


@dataclass(frozen=True, slots=True)
class FailedEntry:
    """An entry that was given up, kept 14 days for `outbox retry`."""

    entry: OutboxEntry
    failed_at_ms: int
    reason: str


@dataclass(frozen=True, slots=True)
class Claim:
    """The result of one claim: leased entries, and when the partition's next entry is due."""

    entries: tuple[OutboxEntry, ...]
    now_ms: int
    next_due_ms: int | None


class Delivered(NamedTuple):
    """The receiver has accepted the entry."""


class Retry(NamedTuple):
    """The receiver is busy, broken or silent. `after_seconds` is the least delay that it asks for."""

    reason: str
    after_seconds: float | None = None


class Reject(NamedTuple):
    """The entry can never be delivered. `is_answer`: the receiver said so, which shows that it works."""

    reason: str
    is_answer: bool = True


class Forbidden(NamedTuple):
    """The receiver refuses our credentials, or, unless `is_of_credentials`, perhaps this one entry."""

    reason: str
    is_of_credentials: bool = False


Outcome = Delivered | Retry | Reject | Forbidden
ILLEGIBLE = Reject("illegible", is_answer=False)


class Events(NamedTuple):
    """The names of the events of one kind, each written in full, so that a search for one finds it."""

    settled: str
    failed: str
    postponed: str
    fault: str
    left_to_its_lease: str
    halted: str
    resumed: str


class Handler(Protocol):
    """Delivers the entries of one kind."""

    @property
    def kind(self) -> str:
        """Name an entry of this kind, as reasons do: `confirmation`."""

    @property
    def events(self) -> Events:
        """Name the events of this kind."""

    async def deliver(self, entry: OutboxEntry) -> Outcome:
        """Deliver one entry. Must end well within the lease, and must be safe to repeat.

        An exception is a fault of the handler: it is logged, and the entry is tried again.
        """

    def log_fields(self, entry: OutboxEntry) -> Mapping[str, LogValue]:
        """Give what events say of an entry. Must not raise, even if the particulars are illegible."""


class OutboxStore(Protocol):
    """Keeps the queue of one kind. Every method is one atomic step; all raise `StoreUnavailable`."""

    async def claim(self, partition: str, *, lease_ms: int, most: int) -> Claim:
        """Lease the due entries of a partition, oldest first."""

    async def settle(self, entry: OutboxEntry) -> bool:
        """Remove an entry that was delivered; False if another worker did."""

    async def fail(self, entry: OutboxEntry, reason: str) -> bool:
        """Move an entry to the failed; False if another worker has ended or leased it."""

    async def postpone(self, entry: OutboxEntry, *, delay_ms: int, was_tried: bool) -> bool:
        """Give an entry back, due later; False if its lease has passed to another worker."""

    async def halt(self, reason: str, ttl_seconds: int) -> None:
        """Note for every process that delivery has halted."""

    async def resume(self) -> None:
        """Remove that note."""

    async def beat(self, ttl_seconds: int) -> None:
        """Note for every process that a worker is alive."""
