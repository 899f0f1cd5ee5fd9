"""What an operator can show, release and erase of one number in Redis; other numbers keep everything."""

import pytest

from service.core.limits import Limited, Limits
from service.core.numbers import Erased
from service.core.store_health import StoreUnavailable
from service.core.verification import Delivery, Verdict
from service.core.verification_store import UnknownVerification
from service.store import keys as redis_keys
from tests.records import field_of
from tests.store.engines import (
    CODE_TTL_MS,
    FORGOTTEN_MS,
    MINUTE_MS,
    NEW_SECRET,
    NUMBER,
    OTHER_NUMBER,
    Keyring,
    sid_of,
)

HOUR_MS = 60 * MINUTE_MS
LIMITS = {"number": Limits(((2, HOUR_MS),)), "failed_checks": Limits(((3, HOUR_MS),)), "most_failed_in_a_row": 4}


async def neighbour_in(stores, partition):
    """Issue for another number in the same partition; return the verification."""
    keyring = stores.keyring
    number = next(n for n in map("+1415555{:04d}".format, range(500)) if keyring.partition(n) == partition)
    return await stores.sent("333333", to=number)


async def test_an_unknown_number_has_no_records(stores):
    """A number without sends or verifications is reported as unknown, and showing it writes nothing."""
    await stores.sent(to=OTHER_NUMBER)
    before = sorted(stores.admin.scan_iter())
    held = await stores.numbers.held(NUMBER)
    assert (bool(held), held.record, held.verifications) == (False, None, ())
    assert await stores.numbers.release(NUMBER) is False
    assert not await stores.numbers.erase(NUMBER)
    assert sorted(stores.admin.scan_iter()) == before


async def test_all_records_of_a_number_are_shown(stores):
    """Sends, failed checks, the wait for a new code and each verification with its remaining life, oldest first."""
    stores = stores.under(**LIMITS)
    first = await stores.sent("111111")
    stores.time_passes(20 * MINUTE_MS)
    second = await stores.sent("222222")
    await neighbour_in(stores, first.id[3])
    await stores.check(second, "000000")
    stores.time_passes(MINUTE_MS)
    held = await stores.numbers.held(NUMBER)
    assert [each.verification.id for each in held.verifications] == [first.id, second.id]
    assert [(FORGOTTEN_MS - each.ttl_ms) // MINUTE_MS for each in held.verifications] == [21, 1]
    assert [(each.now_ms - each.verification.created_at_ms) // MINUTE_MS for each in held.verifications] == [21, 1]
    record = held.record
    assert [(record.now_ms - at_ms) // MINUTE_MS for at_ms in record.sends_ms] == [21, 1]
    assert [(record.now_ms - at_ms) // MINUTE_MS for at_ms in record.failed_ms] == [1]
    assert (record.failed_in_a_row, record.is_stopped) == (1, False)
    assert 38 * MINUTE_MS < record.wait_ms <= 39 * MINUTE_MS
    assert 91 * 24 * HOUR_MS < record.ttl_ms <= 365 * 24 * HOUR_MS / 4  # one of four failed checks


async def test_showing_a_number_extends_no_ttl(stores):
    """Showing a number extends neither its life nor that of its verifications, even if it is stopped."""
    stores = stores.under(**LIMITS)
    verification = await stores.sent("111111")
    for _ in range(4):
        await stores.check(verification, "000000")
    stores.time_passes(MINUTE_MS)
    keys = (stores.number_key(), redis_keys.verification(verification.id))
    before = [stores.admin.pttl(key) for key in keys]
    assert (await stores.numbers.held(NUMBER)).record.is_stopped
    assert all(stores.admin.pttl(key) <= ttl_ms for key, ttl_ms in zip(keys, before, strict=True))


@pytest.mark.parametrize("lock", ["sends", "failed checks", "hard stop"])
async def test_a_release_ends_every_limit_of_the_number(stores, lock):
    """A release ends every limit of a number on sends and checks; another number stays limited."""
    stores = stores.under(**LIMITS | ({} if lock == "sends" else {"number": Limits(((9, HOUR_MS),))}))
    held = {}
    for to in (NUMBER, OTHER_NUMBER):
        held[to] = await stores.sent("111111", to=to)
        strange = await stores.sent("111111", to=to)
        for _ in range({"sends": 0, "failed checks": 3, "hard stop": 4}[lock]):
            await stores.check(strange, "000000")
        with pytest.raises(Limited):
            await stores.issue(to=to)
    assert await stores.numbers.release(NUMBER) is True
    assert await stores.verdict(held[NUMBER], "111111") is Verdict.APPROVED
    await stores.issue("222222")
    with pytest.raises(Limited):
        await stores.issue(to=OTHER_NUMBER)
    expected = Verdict.LOCKED if lock == "hard stop" else Verdict.APPROVED
    assert await stores.verdict(held[OTHER_NUMBER], "111111") is expected


async def test_a_release_gives_back_no_attempts(stores):
    """A release does not give back the attempts of a verification."""
    verification = await stores.sent("111111")
    for _ in range(5):
        await stores.check(verification, "000000")
    await stores.numbers.release(NUMBER)
    assert await stores.verdict(verification, "111111") is Verdict.LOCKED


async def test_an_erased_number_leaves_nothing_under_its_name(stores):
    """Record and verifications are deleted, in every state; a neighbour in the same partition keeps both."""
    pending, approved, canceled = [await stores.sent("111111") for _ in range(3)]
    await stores.check(approved, "111111")
    await stores.verifications.cancel(canceled.id)
    neighbour = await neighbour_in(stores, pending.id[3])
    assert await stores.numbers.erase(NUMBER) == Erased(record=True, verifications=3)
    assert not await stores.numbers.held(NUMBER)
    tag = stores.keyring.number_tag(NUMBER).encode()
    left = list(stores.admin.scan_iter())
    assert not [
        key for key in left if tag in key or (stores.admin.type(key) == b"hash" and tag in stores.admin.hvals(key))
    ]
    for verification in (pending, approved, canceled):
        with pytest.raises(UnknownVerification):
            await stores.verdict(verification, "111111")
    assert await stores.verdict(neighbour, "333333") is Verdict.APPROVED
    assert await stores.numbers.erase(NUMBER) == Erased(record=False, verifications=0)


async def test_what_is_pending_for_an_erased_number_is_still_confirmed(stores):
    """An entry holds a Message SID and no number: it stays, and settling it creates no record."""
    verification = await stores.sent("111111")
    await stores.check(verification, "111111")
    await stores.numbers.erase(NUMBER)
    assert await stores.pending() == [sid_of(verification)]
    [entry] = (await stores.claim(verification)).entries
    assert await stores.confirmations.settle(entry) is True
    assert not await stores.numbers.held(NUMBER)


async def test_late_steps_do_not_recreate_an_erased_number(stores):
    """Callbacks, checks, resends, refusals and cancels of an erased verification write nothing."""
    verification = await stores.sent("111111")
    await stores.numbers.erase(NUMBER)
    before = sorted(stores.admin.scan_iter())
    await stores.deliver(verification, status=Delivery.DELIVERED)
    for step in (
        stores.check(verification, "000000"),
        stores.resend(verification, "222222"),
        stores.verifications.refuse(verification, 1, error_code=None, passing=True),
        stores.verifications.cancel(verification.id),
    ):
        with pytest.raises(UnknownVerification):
            await step
    assert sorted(stores.admin.scan_iter()) == before


async def test_a_number_can_be_erased_without_the_keys_that_sealed_it(stores):
    """A retired secret key is not needed to find and erase a number; only showing it needs the key, and says so."""
    verification = await stores.sent("111111")
    rotated = stores.under(Keyring([NEW_SECRET], b"i" * 32))
    with pytest.raises(StoreUnavailable, match="OTP_SECRET_KEYS"):
        await rotated.numbers.held(NUMBER)
    assert (await rotated.numbers.erase(NUMBER)).verifications == 1
    with pytest.raises(UnknownVerification):
        await stores.read(verification)


async def test_a_scan_of_many_pages_finds_all(stores):
    """With thousands of verifications of others in the partition, those of the number are found, each once."""
    verifications = [await stores.sent("111111") for _ in range(7)]
    partition = verifications[0].id[3]
    with stores.admin.pipeline(transaction=False) as pipeline:
        for other in range(3000):
            key = f"{redis_keys.verification_prefix(partition)}ve_{partition}{other:031x}"
            pipeline.hset(key, field_of("number_tag"), "somebody-else")
            pipeline.pexpire(key, CODE_TTL_MS)
        pipeline.execute()
    assert (await stores.numbers.erase(NUMBER)).verifications == 7
    assert len(list(stores.admin.scan_iter("*:v:*"))) == 3000
