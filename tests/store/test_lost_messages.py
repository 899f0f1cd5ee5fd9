"""Lookups of lost messages in Redis: due a minute after the code was typed, claimed by one worker, at most twice."""

from dataclasses import replace

from service.core.keyring import Keyring
from service.core.lost_messages import LookupOutcome
from service.core.verification import partition_of
from service.store import keys as redis_keys
from service.store.lost_messages import RedisLostMessages
from tests.store.engines import INDEX_KEY, MINUTE_MS, NEW_SECRET, NUMBER, sid_of

PAUSE_MS = 10 * MINUTE_MS


async def _typed(stores):
    """Send twice, lose the second SID, and type the second code."""
    verification = await stores.sent("000000")
    stores.time_passes(1000)
    await stores.resend(verification, "111111")
    await stores.check(verification, "111111")
    return verification


async def _claim(stores, verification):
    """Claim a lookup in the partition of a verification."""
    return await RedisLostMessages(stores.scripts, stores.keyring).claim(partition_of(verification.id))


async def _ended(stores, lost, outcome, **more):
    """Report the outcome of a lookup."""
    await RedisLostMessages(stores.scripts, stores.keyring).looked_up(lost, outcome, **more)


async def test_a_lookup_is_due_a_minute_after_the_code_was_typed(stores):
    """A claim returns the number, the instant and the digest of the one send whose code was typed."""
    verification = await _typed(stores)
    assert await _claim(stores, verification) is None
    stores.time_passes(MINUTE_MS)
    lost = await _claim(stores, verification)
    assert (lost.verification_id, lost.send_number, lost.to) == (verification.id, 2, NUMBER)
    assert lost.digests == set(stores.keyring.code_digests(verification.id, "111111")[:1])
    assert lost.sent_at_ms == (await stores.read(verification)).sends[1].sent_at_ms


async def test_two_lookups_ten_minutes_apart_and_no_third(stores):
    """A claimed lookup is due again ten minutes later; after the second one there is no other."""
    verification = await _typed(stores)
    stores.time_passes(MINUTE_MS)
    assert await _claim(stores, verification)
    assert await _claim(stores, verification) is None
    stores.time_passes(PAUSE_MS - MINUTE_MS)
    assert await _claim(stores, verification) is None
    stores.time_passes(MINUTE_MS)
    assert await _claim(stores, verification)
    stores.time_passes(PAUSE_MS)
    assert await _claim(stores, verification) is None
    assert not stores.admin.exists(redis_keys.lookups(partition_of(verification.id)))


async def test_a_second_check_adds_no_lookup(stores):
    """The same code typed again changes neither the due time nor the number of lookups."""
    verification = await _typed(stores)
    stores.time_passes(MINUTE_MS // 2)
    await stores.check(verification, "111111")
    stores.time_passes(MINUTE_MS // 2)
    assert await _claim(stores, verification)


async def test_a_failed_lookup_is_not_counted(stores):
    """A failed lookup does not count: it is due again after the requested pause."""
    verification = await _typed(stores)
    stores.time_passes(MINUTE_MS)
    for _ in range(5):
        lost = await _claim(stores, verification)
        await _ended(stores, lost, LookupOutcome.FAILED, again_in_ms=MINUTE_MS)
        assert await _claim(stores, verification) is None
        stores.time_passes(MINUTE_MS)
    assert await _claim(stores, verification)
    stores.time_passes(PAUSE_MS)
    assert await _claim(stores, verification)
    assert (await stores.stats.totals())["lookup:failed"] == 5


async def test_a_lookup_without_result_is_counted(stores):
    """Only a failure makes the next lookup earlier."""
    verification = await _typed(stores)
    stores.time_passes(MINUTE_MS)
    await _ended(stores, await _claim(stores, verification), LookupOutcome.NOT_FOUND)
    assert await _claim(stores, verification) is None
    assert (await stores.stats.totals())["lookup:not_found"] == 1


async def test_an_overtaken_lookup_changes_nothing(stores):
    """A worker whose lookup was meanwhile claimed by another one changes nothing."""
    verification = await _typed(stores)
    stores.time_passes(MINUTE_MS)
    slow = await _claim(stores, verification)
    stores.time_passes(PAUSE_MS)
    slow = replace(slow, claimed_until_ms=slow.claimed_until_ms - PAUSE_MS)  # like every instant in Redis
    assert await _claim(stores, verification)
    await _ended(stores, slow, LookupOutcome.FAILED, again_in_ms=0)
    assert await _claim(stores, verification) is None


async def test_a_known_sid_ends_the_lookup(stores):
    """Once the SID is known, from a response or a callback, there is no lookup."""
    verification = await _typed(stores)
    assert await stores.deliver(verification, 2) is True
    assert not stores.admin.exists(redis_keys.lookups(partition_of(verification.id)))
    assert await stores.pending() == [sid_of(verification, 2)]


async def test_stale_entries_are_skipped(stores):
    """Entries without a record, or in another form, are skipped, and no record is created."""
    verification = await _typed(stores)
    key = redis_keys.lookups(partition_of(verification.id))
    stores.admin.zadd(key, {f"ve_{verification.id[3]}{'0' * 31}|1": 1, "nonsense": 2, "|1": 3})
    stores.time_passes(MINUTE_MS)
    lost = await _claim(stores, verification)
    assert lost.verification_id == verification.id
    assert stores.admin.zcard(key) == 1
    stores.admin.delete(redis_keys.verification(verification.id))
    await _ended(stores, lost, LookupOutcome.FAILED, again_in_ms=0)
    assert stores.admin.keys("otp:{*}:v:*") == []


async def test_a_process_without_the_key_leaves_the_lookup_to_others(stores):
    """A process without the key that sealed the number leaves the lookup to others, and it is not counted."""
    verification = await _typed(stores)
    stores.time_passes(MINUTE_MS)
    assert await _claim(stores.under(keyring=Keyring([NEW_SECRET], INDEX_KEY)), verification) is None
    stores.time_passes(PAUSE_MS)
    assert await _claim(stores, verification)
    stores.time_passes(PAUSE_MS)
    assert await _claim(stores, verification)
