"""The promises of `service.core.numbers`: what it collects, in which order it erases, and how it resumes."""

from collections.abc import AsyncIterator
from typing import cast

import pytest

from service.core.numbers import Erased, HeldVerification, NumberRecord, Numbers
from service.core.store_health import StoreUnavailable
from service.core.verification import Verification
from service.core.verification_store import UnknownVerification

NUMBER = "+14155550123"
RECORD = NumberRecord(10, (1, 2), (3,), 1, False, 0, 50)


class _Issued:
    """The part of a verification that this module uses."""

    def __init__(self, created_at_ms: int) -> None:
        self.created_at_ms = created_at_ms


class Recorder:
    """A store of three verifications that records what is erased, and fails or loses entries where a test says so."""

    def __init__(self, *, expired: str | None = None, fails_at: str | None = None) -> None:
        self.ids = {"b": 2, "a": 3, "c": 1}
        self.late_ids: set[str] = set()  # issued during an erasure, after its scan
        self.held: NumberRecord | None = RECORD
        self.expired = expired
        self.fails_at = fails_at
        self.forgotten: list[str] = []

    async def record(self, number: str) -> NumberRecord | None:
        assert number == NUMBER
        return self.held

    async def release(self, number: str) -> bool:
        self._forget(number)
        found, self.held = self.held is not None, None
        return found

    async def forget_record(self, number: str) -> Erased:
        listed = len(self.late_ids)
        self.late_ids.clear()
        return Erased(await self.release(number), listed)

    async def verification_ids(self, number: str) -> AsyncIterator[str]:
        assert number == NUMBER
        for verification_id in list(self.ids):
            yield verification_id

    async def verification(self, verification_id: str) -> HeldVerification:
        if verification_id == self.expired:
            raise UnknownVerification
        return HeldVerification(cast("Verification", _Issued(self.ids[verification_id])), 10, 5)

    async def forget_verification(self, verification_id: str) -> bool:
        self._forget(verification_id)
        return self.ids.pop(verification_id) > 0 and verification_id != self.expired

    def _forget(self, what: str) -> None:
        if what == self.fails_at:
            raise StoreUnavailable
        self.forgotten.append(what)


async def test_records_are_collected_oldest_first() -> None:
    """The record and every verification, in the order in which they were issued."""
    held = await Numbers(Recorder()).held(NUMBER)
    assert held.record == RECORD
    assert [each.verification.created_at_ms for each in held.verifications] == [1, 2, 3]


async def test_a_record_that_expires_during_the_collection_is_left_out() -> None:
    """A verification that expires during the collection is left out, without an error."""
    held = await Numbers(Recorder(expired="b")).held(NUMBER)
    assert [each.verification.created_at_ms for each in held.verifications] == [1, 3]


async def test_a_release_touches_no_verification() -> None:
    """A release deletes only the record of the number, and returns whether there was one."""
    store = Recorder()
    assert [await Numbers(store).release(NUMBER) for _ in range(2)] == [True, False]
    assert store.forgotten == [NUMBER, NUMBER]


async def test_the_record_of_a_number_goes_last() -> None:
    """An erasure deletes the verifications first: a check of one of them would write the record again."""
    store = Recorder()
    assert await Numbers(store).erase(NUMBER) == Erased(record=True, verifications=3)
    assert store.forgotten == ["b", "a", "c", NUMBER]


async def test_what_is_issued_during_an_erasure_is_counted_as_erased() -> None:
    """A verification that only the record of the number lists is erased with it, and counted."""
    store = Recorder()
    store.late_ids = {"d"}
    assert await Numbers(store).erase(NUMBER) == Erased(record=True, verifications=4)


async def test_an_expired_record_is_not_counted_as_erased() -> None:
    """The report of an erasure counts what it deleted, not what had expired."""
    assert (await Numbers(Recorder(expired="b")).erase(NUMBER)).verifications == 2


async def test_an_interrupted_erasure_is_finished_by_the_next_one() -> None:
    """After a store failed half-way, the next erasure finds and deletes the rest."""
    store = Recorder(fails_at="c")
    with pytest.raises(StoreUnavailable):
        await Numbers(store).erase(NUMBER)
    store.fails_at = None
    assert await Numbers(store).erase(NUMBER) == Erased(record=True, verifications=1)
    assert not await Numbers(store).erase(NUMBER)
    assert not (await Numbers(store).held(NUMBER))
