"""The operator's hand on one number: see what is held about it, lift its locks, erase it.

*Release* forgets the number's own sends and failed checks, the hard stop with them, as if it had never been seen. What
a verification has used up stays used up (a new one brings new attempts), and so do the limits that the number shares
with others.

*Erase* forgets every verification of the number too (GDPR, article 17). What is left holds no
number, or cannot be found by one: confirmations pending or dead (a Message SID; 14 days at most), kept answers of
Idempotency-Keys (encrypted, named by a digest of the key; 24 hours), limits and counters (of many). A confirmation
that still waits for its SID goes with its record.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from service.core.verification import Verification
from service.core.verification_store import UnknownVerification


@dataclass(frozen=True, slots=True)
class NumberRecord:
    """What is remembered of a number beside its verifications."""

    now_ms: int
    sends_ms: tuple[int, ...]  # instants, oldest first
    failed_ms: tuple[int, ...]
    failed_in_a_row: int
    is_stopped: bool  # so many of them that everything waits for a release
    wait_ms: int  # until its own limits allow a new code
    ttl_ms: int


@dataclass(frozen=True, slots=True)
class HeldVerification:
    """A verification of a number, and how long it will still be held."""

    verification: Verification
    now_ms: int
    ttl_ms: int


@dataclass(frozen=True, slots=True)
class Held:
    """Everything that is held about one number and can be found by it."""

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
    """Finds what is kept under a number. All raise `StoreUnavailable`."""

    async def record(self, number: str) -> NumberRecord | None:
        """Read what is remembered of a number; None when it is nothing."""

    async def forget_record(self, number: str) -> bool:
        """Forget that; False when there was nothing."""

    def verification_ids(self, number: str) -> AsyncIterator[str]:
        """Walk through the verifications of a number, needing none of the secret keys that rotate."""

    async def verification(self, verification_id: str) -> HeldVerification:
        """Read a verification. Raises `UnknownVerification`."""

    async def forget_verification(self, verification_id: str) -> bool:
        """Forget a verification; False when it had gone by itself."""


class Numbers:
    """Shows, releases and erases."""

    def __init__(self, store: NumberStore) -> None:
        self._store = store

    async def held(self, number: str) -> Held:
        """Gather everything that is held about a number. Raises `StoreUnavailable`."""
        found: list[HeldVerification] = []
        async for verification_id in self._store.verification_ids(number):
            try:
                found.append(await self._store.verification(verification_id))
            except UnknownVerification:  # it has expired between the two looks
                continue
        oldest_first = sorted(found, key=lambda held: held.verification.created_at_ms)
        return Held(await self._store.record(number), tuple(oldest_first))

    async def release(self, number: str) -> bool:
        """Lift the locks of a number; False when nothing was remembered that could lock it."""
        return await self._store.forget_record(number)

    async def erase(self, number: str) -> Erased:
        """Forget a number. An erasure that breaks off is finished by the next one: each step stands alone.

        What is issued while it runs may be left; the record goes last, so that no step of a verification that is
        being erased writes it anew.
        """
        erased = 0
        async for verification_id in self._store.verification_ids(number):
            erased += await self._store.forget_verification(verification_id)
        return Erased(await self._store.forget_record(number), erased)
