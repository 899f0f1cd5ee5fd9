"""The index of a number in Redis: its newest verifications, found by owner, as long as they are stored."""

import asyncio

import pytest

from service.core.limits import UNLIMITED, Limits
from service.core.numbers import Erased
from service.core.searching import MOST_LISTED
from service.core.verification import Status, Verdict, partition_of
from service.core.verification_store import UnknownVerification
from service.store import keys as redis_keys
from tests.store.engines import FORGOTTEN_MS, MINUTE_MS, NEW_SECRET, NUMBER, OLD_SECRET, OTHER_NUMBER, Keyring

ONE_A_SECOND = Limits(((9, 1000),))


async def issued(stores, count=1, **fields):
    """Issue verifications; return their ids, newest first."""
    return [(await stores.issue(**{"owner": "alpha"} | fields)).id for _ in range(count)][::-1]


async def test_the_newest_verifications_of_a_number_are_found(stores):
    """A search returns the verifications of a number, newest first, as they stand now; another number has its own."""
    first, second = [await stores.sent("111111", owner="alpha") for _ in range(2)]
    [other] = await issued(stores, to=OTHER_NUMBER)
    await stores.resend(first, "222222")
    await stores.check(second, "111111")
    found = await stores.searching.search(NUMBER, owner="alpha", caller="a key")
    assert [each.id for each in found] == [second.id, first.id]
    assert [each.status for each in found] == [Status.APPROVED, Status.PENDING]
    assert [len(each.sends) for each in found] == [1, 2]
    assert await stores.search(OTHER_NUMBER) == [other]
    assert await stores.search("+447400123456") == []


async def test_an_owner_finds_only_its_own_verifications(stores):
    """Verifications of another owner, and those without an owner, are not found."""
    [mine] = await issued(stores)
    [theirs] = await issued(stores, owner="beta")
    await issued(stores, owner=None)
    assert (await stores.search(), await stores.search(owner="beta")) == ([mine], [theirs])
    assert await stores.search(owner="gamma") == []


async def test_test_numbers_are_listed_too(stores):
    """A verification of a test number is found as any other."""
    [mine] = await issued(stores, is_test=True)
    assert await stores.search() == [mine]


async def test_the_index_is_bounded(stores):
    """Only the ten newest verifications are listed, at 16 bytes each."""
    ids = await issued(stores, MOST_LISTED + 3)
    assert await stores.search() == ids[:MOST_LISTED]
    assert len(stores.number_record()[b"ids"]) == 16 * MOST_LISTED


async def test_a_search_leaves_no_trace(stores):
    """A search writes nothing, whether a number is known, unknown or has only expired verifications."""
    verification = await stores.issue(owner="alpha")
    stores.admin.delete(redis_keys.verification(verification.id))
    before = stores.admin.pttl(stores.number_key())
    assert (await stores.search(), await stores.search(to=OTHER_NUMBER)) == ([], [])
    assert list(stores.admin.scan_iter("*:to:*")) == [stores.number_key().encode()]
    assert stores.admin.pttl(stores.number_key()) <= before


async def test_as_many_records_are_read_for_every_number(stores, monkeypatch):
    """The work of a search does not tell whether another owner has sent a code to the number."""
    await issued(stores, 2, owner="beta")
    read, reads = stores.verifications.read, []

    async def counted(verification_id, *, owner):
        reads.append(partition_of(verification_id))
        return await read(verification_id, owner=owner)

    monkeypatch.setattr(stores.verifications, "read", counted)
    for to in (NUMBER, OTHER_NUMBER):
        reads.clear()
        assert await stores.search(to) == []
        assert reads == [stores.keyring.partition(to)] * MOST_LISTED


async def test_a_retired_secret_key_hides_nothing_from_the_index(stores):
    """The index needs none of the keys that rotate: a record from before the rotation is found after it."""
    [mine] = await issued(stores)
    rotated = stores.under(Keyring([NEW_SECRET, OLD_SECRET], b"i" * 32))
    assert await rotated.search() == [mine]


async def test_a_verification_is_listed_as_long_as_it_is_stored(stores):
    """The index lives as long as the newest verification, also if no window of the number is that long."""
    stores = stores.under(number=ONE_A_SECOND)
    [mine] = await issued(stores)
    stores.time_passes(FORGOTTEN_MS - MINUTE_MS)
    assert await stores.search() == [mine]
    stores.time_passes(MINUTE_MS)
    assert list(stores.admin.scan_iter("*:to:*")) == []


async def test_an_approval_hides_no_other_verification(stores):
    """After an approval that ends a row of failed checks, a verification whose code lives longer is still listed."""
    stores = stores.under(number=ONE_A_SECOND)
    approved = await stores.sent("111111", owner="alpha", ttl_seconds=60)
    [other] = await issued(stores, ttl_seconds=600)
    for code in ("000000", "111111"):
        await stores.check(approved, code)
    stores.time_passes(FORGOTTEN_MS - MINUTE_MS)
    assert await stores.search() == [other]


async def test_an_approval_hides_nothing_that_waits_for_its_sid(stores):
    """After such an approval, a verification that is kept because its SID is not known yet is still listed."""
    stores = stores.under(number=ONE_A_SECOND, late_window_seconds=0)
    waiting, approved = await stores.issue("222222", owner="alpha"), await stores.sent("111111", owner="alpha")
    await stores.check(waiting, "222222")
    for code in ("000000", "111111"):
        await stores.check(approved, code)
    stores.time_passes(59 * MINUTE_MS)
    assert await stores.search() == [waiting.id]


async def test_what_waits_for_its_sid_stays_listed(stores):
    """A verification that is kept for an hour, because its confirmation waits for the SID, is found for that hour."""
    stores = stores.under(number=ONE_A_SECOND, late_window_seconds=0)
    waiting = await stores.issue("111111", owner="alpha", ttl_seconds=60)
    await stores.check(waiting, "111111")
    stores.time_passes(59 * MINUTE_MS)
    assert await stores.search() == [waiting.id]


async def test_waiting_for_a_sid_shortens_no_memory(stores):
    """The record of a number is kept for its longest window, although a verification waits for an hour only."""
    stores = stores.under(number=Limits(((9, 24 * 60 * MINUTE_MS),)))
    waiting = await stores.issue("111111", owner="alpha")
    await stores.check(waiting, "111111")
    assert stores.admin.pttl(stores.number_key()) > 23 * 60 * MINUTE_MS


@pytest.mark.parametrize("listed", [0, 1, 2])
async def test_what_twilio_was_too_busy_for_is_not_listed(stores, listed):
    """A verification that leaves no trace is taken from the index; what was refused for good stays, for support."""
    others = await issued(stores, listed)
    busy, refused = [await stores.issue(owner="alpha") for _ in range(2)]
    await stores.verifications.refuse(busy, 1, error_code=None, passing=True)
    assert await stores.search() == [refused.id, *others]
    await stores.verifications.refuse(refused, 1, error_code=21610, passing=False)
    assert await stores.search() == [refused.id, *others]


async def test_no_write_brings_an_expired_index_back(stores):
    """Steps of a verification whose number has no record any more create no index."""
    verification = await stores.sent("111111", owner="alpha")
    busy = await stores.issue("222222", owner="alpha")
    stores.admin.delete(stores.number_key())
    await stores.verifications.refuse(busy, 1, error_code=None, passing=True)
    await stores.check(verification, "111111")
    assert not stores.admin.exists(stores.number_key())


async def test_a_release_keeps_the_index(stores):
    """Support finds the verifications of a number that was released, as long as they live and no longer."""
    stores = stores.under(most_failed_in_a_row=2)
    verification = await stores.sent("111111", owner="alpha")
    for _ in range(2):
        await stores.check(verification, "000000")
    assert [await stores.numbers.release(NUMBER) for _ in range(2)] == [True, False]
    assert set(stores.number_record()) == {b"ids"}
    assert await stores.search() == [verification.id]
    stores.time_passes(FORGOTTEN_MS - MINUTE_MS)
    assert await stores.search() == [verification.id]
    await stores.numbers.release(NUMBER)
    stores.time_passes((24 * 60 + 62) * MINUTE_MS)
    assert not stores.admin.exists(stores.number_key())


async def test_an_operator_is_shown_the_index(stores):
    """What is stored about a number includes the ids in its index, newest first."""
    ids = await issued(stores, 2)
    assert (await stores.numbers.held(NUMBER)).record.newest_ids == tuple(ids)


async def test_the_index_is_erased_with_its_number(stores):
    """An erasure deletes the index and all verifications, those that are no longer listed too."""
    ids = await issued(stores, MOST_LISTED + 2)
    [other] = await issued(stores, to=OTHER_NUMBER)
    assert await stores.numbers.erase(NUMBER) == Erased(record=True, verifications=len(ids))
    assert (await stores.search(), await stores.search(OTHER_NUMBER)) == ([], [other])


async def test_the_record_goes_with_the_verifications_that_it_lists(stores):
    """The last step of an erasure deletes what was issued after the scan; a number without a record has nothing."""
    ids = await issued(stores, 3)
    stores.admin.delete(redis_keys.verification(ids[1]))
    [other] = await issued(stores, to=OTHER_NUMBER)
    assert await stores.index.forget_record(NUMBER) == Erased(record=True, verifications=2)
    assert await stores.index.forget_record(NUMBER) == Erased(record=False, verifications=0)
    for verification_id in ids:
        with pytest.raises(UnknownVerification):
            await stores.verifications.read(verification_id)
    assert await stores.search(OTHER_NUMBER) == [other]


async def test_no_verification_that_survives_an_erasure_is_unlisted(stores):
    """Of issues that race with an erasure, each verification is erased, or found afterwards and can be approved."""

    async def issue_in_turn():
        return [await stores.issue(owner="alpha") for _ in range(MOST_LISTED // 2)]

    for _ in range(5):
        *issues, _ = await asyncio.gather(issue_in_turn(), issue_in_turn(), stores.numbers.erase(NUMBER))
        made = [each for some in issues for each in some]
        stored = {each.id for each in made if stores.admin.exists(redis_keys.verification(each.id))}
        assert set(await stores.search()) == stored
        for each in made:
            if each.id in stored:
                assert await stores.verdict(each, "111111") is Verdict.APPROVED
        await stores.numbers.erase(NUMBER)


async def test_racing_issues_are_all_listed(stores):
    """Parallel issues for one number lose no entry of its index."""
    stores = stores.under(number=UNLIMITED)
    made = await asyncio.gather(*(stores.issue(owner="alpha") for _ in range(MOST_LISTED)))
    assert set(await stores.search()) == {each.id for each in made}
