"""What an operator can do with one number: show what is stored about it, release its locks, erase it.

*Release* forgets the number's own sends and failed checks, and so its hard stop. Attempts that a verification has used
stay used (a new verification has new ones), and so do the limits that the number shares with others. The verifications
can still be found.

*Erase* also forgets every verification of the number (GDPR, article 17). The rest holds no number, or cannot be found
by it: confirmations that are pending or failed (a Message SID; 14 days at most), kept answers of Idempotency-Keys
(encrypted, under a digest of the key; 24 hours), shared limits and counters. A confirmation that waits for its SID is
erased with its record.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from service.core.verification import Verification
from service.core.verification_store import UnknownVerification


@dataclass(frozen=True, slots=True)
class NumberRecord:
    """What is stored about a number beside its verifications."""

    now_ms: int
    sends_ms: tuple[int, ...]  # instants, oldest first
    failed_ms: tuple[int, ...]
    failed_in_a_row: int
    is_stopped: bool  # by so many failed checks that only a release helps
    wait_ms: int  # until its own limits allow a new code
    ttl_ms: int
    newest_ids: tuple[str, ...] = ()  # the index of its verifications, newest first; some may have expired


@dataclass(frozen=True, slots=True)
class HeldVerification:
    """A verification of a number, and how long it is still stored."""

    verification: Verification
    now_ms: int
    ttl_ms: int


@dataclass(frozen=True, slots=True)
class Held:
    """Everything that is stored about one number and can be found by it."""

    record: NumberRecord | None
    verifications: tuple[HeldVerification, ...]  # oldest first

    def __bool__(self) -> bool:
        return self.record is not None or bool(self.verifications)


@dataclass(frozen=True, slots=True)
class Erased:
    """What an erasure has removed."""

    record: bool
    verifications: int

    def __bool__(self) -> bool:
        return self.record or self.verifications > 0


class NumberStore(Protocol):
    """Finds what is stored under a number. All raise `StoreUnavailable`."""

    async def record(self, number: str) -> NumberRecord | None:
        """Read what is stored about a number; None if there is nothing."""

    async def release(self, number: str) -> bool:
        """Forget its counted sends and failed checks; False if there were none."""

    async def forget_record(self, number: str) -> Erased:
        """Forget what is stored about a number, and the newest of its verifications, in one step."""

    def verification_ids(self, number: str) -> AsyncIterator[str]:
        """Iterate over the verifications of a number. Needs none of the secret keys that rotate."""

    async def verification(self, verification_id: str) -> HeldVerification:
        """Read a verification. Raises `UnknownVerification`."""

    async def forget_verification(self, verification_id: str) -> bool:
        """Forget a verification; False if it had expired."""


class Numbers:
    """Shows, releases and erases."""

    def __init__(self, store: NumberStore) -> None:
        self._store = store

    async def held(self, number: str) -> Held:
        """Collect everything that is stored about a number. Raises `StoreUnavailable`."""
        found: list[HeldVerification] = []
        async for verification_id in self._store.verification_ids(number):
            try:
                found.append(await self._store.verification(verification_id))
            except UnknownVerification:  # it expired between the two steps
                continue
        oldest_first = sorted(found, key=lambda held: held.verification.created_at_ms)
        return Held(await self._store.record(number), tuple(oldest_first))

    async def release(self, number: str) -> bool:
        """Release the locks of a number; False if it had none."""
        return await self._store.release(number)

    async def erase(self, number: str) -> Erased:
        """Forget a number. Each step is independent, so an erasure that was interrupted can be repeated.

        The record of the number is forgotten last, so that no step of a verification that is being erased writes it
        again. Verifications that are issued meanwhile go with it. Those that are issued after it stay.
        """
        erased = 0
        async for verification_id in self._store.verification_ids(number):
            erased += await self._store.forget_verification(verification_id)
        last = await self._store.forget_record(number)
        return Erased(last.record, erased + last.verifications)
