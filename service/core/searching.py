"""Searching: the newest verifications of a number, for support.

The index of a number lists its newest verifications, whoever issued them. A caller receives only those of its owner,
and the time does not tell whether there are others: as many records are read for every number.
"""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from service.core.keyring import Keyring
from service.core.limiter import Limiter
from service.core.verification import Verification, new_id
from service.core.verification_store import UnknownVerification, VerificationStore

MOST_LISTED = 10


class NumberIndex(Protocol):
    """Lists the newest verifications of a number."""

    async def newest_ids(self, number: str) -> Sequence[str]:
        """List at most `MOST_LISTED` ids, newest first; some may have expired. Raises `StoreUnavailable`."""


class Searching:
    """Finds verifications by number."""

    def __init__(self, index: NumberIndex, store: VerificationStore, limiter: Limiter, keyring: Keyring) -> None:
        self._index = index
        self._store = store
        self._limiter = limiter
        self._keyring = keyring

    async def search(self, number: str, *, owner: str, caller: str) -> list[Verification]:
        """Find the newest verifications of a number that belong to an owner, newest first.

        Each search counts towards a limit of the calling API key. Raises `Limited`, `StoreUnavailable`.
        """
        listed, _ = await asyncio.gather(self._index.newest_ids(number), self._limiter.admit_search(caller))
        partition = self._keyring.partition(number)
        absent = [new_id(partition) for _ in range(MOST_LISTED - len(listed))]
        read = await asyncio.gather(*(self._read(each, owner) for each in (*listed, *absent)))
        return [verification for verification in read if verification is not None]

    async def _read(self, verification_id: str, owner: str) -> Verification | None:
        try:
            return await self._store.read(verification_id, owner=owner)
        except UnknownVerification:
            return None
