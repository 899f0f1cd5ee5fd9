"""The small stores in Redis, on every engine: shared limits, Idempotency-Keys, API keys, counters."""

import asyncio
import itertools
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.core.idempotency import Abandoned, Begun, OtherBody
from service.core.limits import UNLIMITED, Limits, Unit
from service.core.store_health import StoreUnavailable
from service.core.verification_store import WrittenSend
from service.store import keys as redis_keys
from service.store.scripts import load_scripts
from tests.store.engines import MINUTE_MS

LEASE_MS = 30_000
OVERDUE_MS = 10_000
UNSENT = WrittenSend("ve_first", "tag", b"a digest of \0 16", after=2)
NEVER_MS = 1_700_000_000_000
_numbers = itertools.count()


class VirtualLimit:
    """`limit.lua` with its one reading of the clock replaced by an argument, so that instants are exact."""

    def __init__(self, stores):
        self._admin = stores.admin
        clock = "redis.call('TIME')"
        text = stores.scripts._scripts["limit"].text
        assert text.count(clock) == 1
        self._text = text.replace(clock, "{ARGV[4], ARGV[5]}")

    def reserve(self, key, limits, at_ms, amount=1):
        """Reserve at an instant; return the wait."""
        return self._run(key, limits, "", at_ms, amount)

    def give_back(self, key, limits, reserved_at_ms, at_ms, amount=1):
        """Return, at one instant, a unit that was reserved at another."""
        self._run(key, limits, NEVER_MS + reserved_at_ms, at_ms, amount)

    def counts(self, key):
        """Return the count in each slice."""
        return {field: int(count) for field, count in self._admin.hgetall(key).items() if int(count)}

    def _run(self, key, limits, reserved_at_ms, at_ms, amount):
        seconds, ms = divmod(NEVER_MS + at_ms, 1000)
        args = (limits.policy, reserved_at_ms, amount, seconds, ms * 1000)
        [[wait_ms, now_ms]] = self._admin.eval(self._text, 1, key, *args)
        assert now_ms == NEVER_MS + at_ms
        return wait_ms


windows = st.lists(st.tuples(st.integers(1, 6), st.integers(60_000, 700_000)), min_size=1, max_size=3)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], print_blob=True)
@given(windows=windows, pauses=st.lists(st.integers(0, 90_000), min_size=5, max_size=60), patient=st.booleans())
def test_no_window_of_any_position_holds_more_than_the_limit(stores, windows, pauses, patient):
    """No window at any position holds more grants than its limit, and waiting for the returned time is enough."""
    limit, limits = VirtualLimit(stores), Limits(tuple(windows))
    key, now_ms, granted = f"otp:limit:test:{next(_numbers)}", 0, []
    for pause_ms in pauses:
        now_ms += pause_ms
        wait_ms = limit.reserve(key, limits, now_ms)
        if wait_ms and patient:
            assert limit.reserve(key, limits, now_ms + wait_ms - 1) > 0, "the wait is no longer than needed"
            now_ms += wait_ms
            wait_ms = limit.reserve(key, limits, now_ms)
            assert wait_ms == 0, "the wait is enough"
        if wait_ms == 0:
            granted.append(now_ms)
    for most, window_ms in windows:
        spans = [later - earlier for earlier, later in zip(granted, granted[most:], strict=False)]
        assert all(span >= window_ms for span in spans)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], print_blob=True)
@given(
    windows=st.lists(st.tuples(st.integers(1, 6), st.integers(60_000, 400_000)), min_size=1, max_size=3, unique=True),
    steps=st.lists(st.tuples(st.integers(0, 30_000), st.none() | st.integers(0, 9)), min_size=5, max_size=50),
)
def test_returned_units_never_counted(stores, windows, steps):
    """After any reservations and returns, a limit counts as if the returned ones had never been made."""
    limit, limits = VirtualLimit(stores), Limits(tuple(windows))
    key, twin, now_ms, granted = f"otp:limit:test:{next(_numbers)}", f"otp:limit:test:{next(_numbers)}", 0, []
    for pause_ms, returned in steps:
        now_ms += pause_ms
        if returned is not None and granted:
            limit.give_back(key, limits, granted.pop(returned % len(granted)), now_ms)
        elif limit.reserve(key, limits, now_ms) == 0:
            granted.append(now_ms)
    for instant in granted:
        assert limit.reserve(twin, limits, instant) == 0
    later_ms = now_ms + 1
    waits = [limit.reserve(each, limits, later_ms) for each in (key, twin)]
    assert waits[0] == waits[1]
    now_slices = {field: count for field, count in limit.counts(key).items() if _is_recent(field, later_ms)}
    assert now_slices == {field: count for field, count in limit.counts(twin).items() if _is_recent(field, later_ms)}


amounts = st.integers(1, 10**12)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], print_blob=True)
@given(
    most=st.integers(10**11, 10**14),
    steps=st.lists(st.tuples(st.integers(0, 20_000), amounts, st.none() | st.integers(0, 9)), min_size=5, max_size=60),
)
def test_no_window_holds_more_money_than_the_budget(stores, most, steps):
    """Whatever is reserved and given back, no window holds more than the budget; counts are exact to the unit."""
    limit, window_ms = VirtualLimit(stores), 100_000
    limits = Limits(((most, window_ms),))
    key, now_ms, held = f"otp:limit:test:{next(_numbers)}", 0, []
    for pause_ms, amount, returned in steps:
        now_ms += pause_ms
        if returned is not None and held:
            at_ms, given_back = held.pop(returned % len(held))
            limit.give_back(key, limits, at_ms, now_ms, given_back)
        elif limit.reserve(key, limits, now_ms, amount) == 0:
            held.append((now_ms, amount))
        for until_ms, _ in held:
            assert sum(spent for at_ms, spent in held if until_ms - window_ms < at_ms <= until_ms) <= most
    if held:
        recent = {field: count for field, count in limit.counts(key).items() if field.startswith(b"100000:")}
        newest = (NEVER_MS + held[-1][0]) // 5_000
        spent = sum(amount for at_ms, amount in held if (NEVER_MS + at_ms) // 5_000 == newest)
        assert recent[f"100000:{newest}".encode()] == spent


def test_a_price_above_the_whole_budget_is_never_granted(stores):
    """A send that alone costs more than the budget waits, also when nothing else was spent."""
    limit, limits = VirtualLimit(stores), Limits(((100, 100_000),))
    assert limit.reserve("otp:limit:test:x", limits, 1, 101) > 0
    assert limit.counts("otp:limit:test:x") == {}
    assert limit.reserve("otp:limit:test:x", limits, 2, 100) == 0


def test_money_that_was_counted_before_the_clock_stepped_back_stays_whole(stores):
    """Large amounts in the future are counted as now to the unit, not rounded."""
    limit, limits = VirtualLimit(stores), Limits(((10**15, 100_000),))
    for at_ms in (900_000, 950_000):
        assert limit.reserve("otp:limit:test:x", limits, at_ms, 123_456_789_012_345) == 0
    assert limit.reserve("otp:limit:test:x", limits, 1, 1) == 0
    assert list(limit.counts("otp:limit:test:x").values()) == [2 * 123_456_789_012_345 + 1]


def test_a_unit_is_returned_to_its_own_slice(stores):
    """A unit is removed from its own slice of each window, however long ago it was reserved."""
    limit, limits = VirtualLimit(stores), Limits(((2, 100_000), (2, 400_000)))
    for at_ms in (1, 45_000):
        assert limit.reserve("otp:limit:test:x", limits, at_ms) == 0
    assert limit.reserve("otp:limit:test:y", limits, 45_000) == 0
    limit.give_back("otp:limit:test:x", limits, 1, 50_000)
    assert limit.counts("otp:limit:test:x") == limit.counts("otp:limit:test:y")


def test_a_unit_is_returned_to_a_longer_window_when_a_shorter_one_has_ended(stores):
    """A unit whose slice of the first window was deleted meanwhile is still removed from its slice of the second."""
    limit, limits = VirtualLimit(stores), Limits(((2, 100_000), (2, 400_000)))
    for at_ms in (1, 205_000):
        assert limit.reserve("otp:limit:test:x", limits, at_ms) == 0
    assert limit.reserve("otp:limit:test:y", limits, 205_000) == 0
    limit.give_back("otp:limit:test:x", limits, 1, 206_000)
    assert limit.counts("otp:limit:test:x") == limit.counts("otp:limit:test:y")


def _is_recent(field, at_ms):
    window_ms, slice_number = map(int, field.split(b":"))
    return slice_number >= (NEVER_MS + at_ms - window_ms) // -(-window_ms // 20)


def test_a_limit_keeps_only_the_slices_of_its_window(stores):
    """A limit lives as long as its longest window, and slices outside every window are deleted."""
    limit, limits = VirtualLimit(stores), Limits(((1000, 100_000),))
    for at_ms in range(0, 1_000_000, 5_000):
        assert limit.reserve("otp:limit:test:x", limits, at_ms) == 0
    assert stores.admin.hlen("otp:limit:test:x") <= 22
    assert stores.admin.pttl("otp:limit:test:x") > 100_000


def test_a_used_up_limit_frees_a_slot_at_most_a_twentieth_late(stores):
    """The slices delay a free slot by at most a twentieth of the window."""
    limit, limits = VirtualLimit(stores), Limits(((3, 100_000),))
    for at_ms in (1, 2, 3):
        assert limit.reserve("otp:limit:test:x", limits, at_ms) == 0
    assert limit.reserve("otp:limit:test:x", limits, 99_999) > 0
    assert limit.reserve("otp:limit:test:x", limits, 105_000) == 0


async def test_a_limit_holds_in_real_time(stores):
    """Of thirty simultaneous reservations the limit is granted; after the returned wait the next one is granted."""
    limits = Limits(((4, 1_000), (8, 60_000)))
    waits = await asyncio.gather(*(_wait_ms(stores, "ip", "t1", limits) for _ in range(30)))
    assert waits.count(0) == 4
    longest = max(waits)
    assert 0 < longest <= 1_050  # the window and the slice in which it ends
    await asyncio.sleep(longest / 1000)
    assert await _wait_ms(stores, "ip", "t1", limits) == 0


async def test_limits_are_independent(stores):
    """Each kind and tag has its own count, and an empty policy counts nothing."""
    once = Limits(((1, 60_000),))
    for kind, tag in (("ip", "t1"), ("ip", "t2"), ("peer", "t1")):
        assert await _wait_ms(stores, kind, tag, once) == 0
        assert await _wait_ms(stores, kind, tag, once) > 0
    keys = set(stores.admin.scan_iter())
    assert await _wait_ms(stores, "day", "all", UNLIMITED) == 0
    assert set(stores.admin.scan_iter()) == keys


async def test_several_units_are_asked_and_returned_independently(stores):
    """Several limits reply in order, and one that refuses stops no other."""
    units = [Unit("day", str(place), Limits(((most, 60_000),))) for place, most in enumerate((1, 3))]
    first = await stores.limits.reserve(units)
    again = await stores.limits.reserve(units)
    assert [[answer.wait_ms > 0 for answer in answers] for answers in (first, again)] == [[False] * 2, [True, False]]
    await stores.limits.give_back([(unit, answer.at_ms) for unit, answer in zip(units, first, strict=True)])
    assert [answer.wait_ms for answer in await stores.limits.reserve(units)] == [0, 0]


@pytest.mark.parametrize("broken", [0, 1])
async def test_a_limit_that_cannot_be_read_stops_no_other(stores, broken):
    """Whatever is stored in place of one limit, the others are asked, counted and returned as usual."""
    units = [Unit("day", str(place), Limits(((1, 60_000),))) for place in range(2)]
    key, whole = f"otp:limit:day:{broken}", units[1 - broken]
    [reserved] = await stores.limits.reserve([units[broken]])
    [counted] = stores.admin.hkeys(key)
    for damage in ({"no window": 1}, {counted: "no count"}, None):
        stores.admin.delete(key)
        if damage:
            stores.admin.hset(key, mapping=damage)
        else:
            stores.admin.set(key, "no hash")
        stores.admin.expire(key, 60)
        answers = await stores.limits.reserve(units)
        assert isinstance(answers[broken], StoreUnavailable)
        assert answers[1 - broken].wait_ms == 0
        assert await _wait_ms(stores, whole.kind, whole.tag, whole.limits) > 0
        await stores.limits.give_back([(units[broken], reserved.at_ms), (whole, answers[1 - broken].at_ms)])
        assert await _wait_ms(stores, whole.kind, whole.tag, whole.limits) == 0
        stores.admin.delete(f"otp:limit:day:{whole.tag}")


async def test_several_units_are_returned_to_their_own_slices(stores):
    """Two units that were counted in different slices are removed from both."""
    units = [Unit("day", str(place), Limits(((1, 1_000),))) for place in range(2)]
    [first] = await stores.limits.reserve(units[:1])
    await asyncio.sleep(0.06)  # a slice has 50 ms
    [second] = await stores.limits.reserve(units[1:])
    await stores.limits.give_back([(units[0], first.at_ms), (units[1], second.at_ms)])
    assert [answer.wait_ms for answer in await stores.limits.reserve(units)] == [0, 0]


async def test_a_window_that_refuses_counts_in_no_window(stores):
    """A reservation that one window refuses is counted in none."""
    limits = Limits(((1, 60_000), (5, 3_600_000)))
    for _ in range(10):
        await _reserve(stores, "prefix", "t1", limits)
    (key,) = stores.admin.scan_iter()
    assert set(stores.admin.hvals(key)) == {b"1"}


async def test_a_unit_can_be_returned(stores):
    """A returned unit is free at once, in every window; returning too much frees nothing more."""
    limits = Limits(((2, 60_000), (2, 3_600_000)))
    reserved = [await _reserve(stores, "day", "all", limits) for _ in range(2)]
    assert await _wait_ms(stores, "day", "all", limits) > 0
    await stores.limits.give_back([(Unit("day", "all", limits), reserved[0].at_ms)])
    assert await _wait_ms(stores, "day", "all", limits) == 0
    assert await _wait_ms(stores, "day", "all", limits) > 0
    for _ in range(5):
        await stores.limits.give_back([(Unit("day", "all", limits), reserved[0].at_ms)])
    granted = [await _wait_ms(stores, "day", "all", limits) for _ in range(5)]
    assert granted.count(0) <= 2


async def test_a_limit_that_counts_nothing_takes_no_memory(stores):
    """When all reservations are returned the key is deleted; while one is left only that one is counted."""
    limits = Limits(((5, 60_000), (5, 3_600_000)))
    reserved = [await _reserve(stores, "day", "all", limits) for _ in range(3)]
    for number, unit in enumerate(reserved, 1):
        await stores.limits.give_back([(Unit("day", "all", limits), unit.at_ms)])
        counts = [int(count) for key in stores.admin.scan_iter() for count in stores.admin.hvals(key)]
        assert 0 not in counts
        assert sum(counts) == 2 * (3 - number)
    assert list(stores.admin.scan_iter()) == []


async def test_returning_a_unit_recreates_no_limit(stores):
    """Returning a unit of an expired limit writes nothing."""
    limits = Limits(((1, 60_000),))
    reserved = await _reserve(stores, "day", "all", limits)
    stores.time_passes(3_600_000)
    await stores.limits.give_back([(Unit("day", "all", limits), reserved.at_ms)])
    assert list(stores.admin.scan_iter()) == []


async def _reserve(stores, kind, tag, limits):
    [reserved] = await stores.limits.reserve([Unit(kind, tag, limits)])
    return reserved


async def _wait_ms(stores, kind, tag, limits):
    return (await _reserve(stores, kind, tag, limits)).wait_ms


async def _begin(stores, fence="f1", *, fingerprint="ab", verification_id="ve_1"):
    return await stores.idempotency.begin(
        "k1", fence=fence, fingerprint=fingerprint, verification_id=verification_id, lease_ms=LEASE_MS
    )


async def _finish(stores, fence="f1", *, answer=b"first"):
    await stores.idempotency.finish("k1", fence=fence, answer=answer)


async def _release(stores, fence="f1"):
    await stores.idempotency.release("k1", fence=fence)


async def _withdraw(stores, fence="f1"):
    await stores.idempotency.withdraw("k1", fence=fence)


async def _overdue(stores):
    """Let the lease of the claim end, and the time for which a repetition then waits."""
    stores.time_passes(LEASE_MS)
    assert (await _begin(stores, "waits")).is_overdue
    stores.time_passes(OVERDUE_MS)


async def _abandon(stores, fence="f1", *, unsent=UNSENT):
    await stores.idempotency.abandon("k1", fence=fence, unsent=unsent)


async def test_of_equal_requests_one_is_fresh(stores):
    """Of fifty claims of one Idempotency-Key one is fresh, and the others get the remaining lease."""
    claims = await asyncio.gather(*(_begin(stores, f"f{place}") for place in range(50)))
    assert claims.count(Begun()) == 1
    waits = [claim.running_ms for claim in claims if claim != Begun()]
    assert len(waits) == 49
    assert all(LEASE_MS - 5000 < wait_ms <= LEASE_MS for wait_ms in waits)


async def test_a_repeated_request_gets_the_remaining_lease(stores):
    """A repeated request gets the remaining time of the lease."""
    await _begin(stores)
    stores.time_passes(LEASE_MS - 7000)
    assert 2000 < (await _begin(stores, "f2")).running_ms <= 7000


async def test_the_first_response_is_kept(stores):
    """A finished key returns its first response for a day, byte for byte; later calls change nothing."""
    await _begin(stores)
    answer = bytes(range(256))
    await _finish(stores, answer=answer)
    await _finish(stores, answer=b"another")
    await _release(stores)
    await _withdraw(stores)
    await _abandon(stores)
    assert (await _begin(stores, "f2")).answer == answer
    stores.time_passes(24 * 60 * MINUTE_MS - MINUTE_MS)
    assert (await _begin(stores, "f2")).answer == answer
    stores.time_passes(MINUTE_MS)
    assert await _begin(stores, "f2") == Begun()


@pytest.mark.parametrize("finished", [True, False])
async def test_a_key_is_bound_to_one_body(stores, finished):
    """The same key with another body is refused, and cannot end the first request."""
    await _begin(stores)
    if finished:
        await _finish(stores)
    with pytest.raises(OtherBody):
        await _begin(stores, "f2", fingerprint="cd")
    await _finish(stores, "f2", answer=b"second")
    await _release(stores, "f2")
    await _withdraw(stores, "f2")
    begun = await _begin(stores, "f3")
    assert begun.answer == b"first" if finished else begun.running_ms


@pytest.mark.parametrize("give_back", [_release, _withdraw])
async def test_a_released_key_is_fresh_again(stores, give_back):
    """A request that failed releases its key completely, and the next one may have another body."""
    await _begin(stores)
    await give_back(stores)
    assert list(stores.admin.scan_iter()) == []
    assert await _begin(stores, "f2", fingerprint="cd") == Begun()


async def test_an_abandoned_request_is_taken_over_by_one(stores):
    """When the first request died, one repetition gets its verification, and the others wait for that one."""
    await _begin(stores, verification_id="ve_first")
    await _overdue(stores)
    claims = await asyncio.gather(*(_begin(stores, f"g{place}", verification_id="ve_later") for place in range(10)))
    assert Counter((claim.abandoned, claim.running_ms is not None) for claim in claims) == {
        (Abandoned("ve_first"), False): 1,
        (None, True): 9,
    }


@pytest.mark.parametrize("step", [_release, _withdraw, _abandon, _finish])
async def test_a_request_that_was_taken_over_ends_nothing(stores, step):
    """A request that outlived its lease cannot change the claim that replaced it, whether open or finished."""
    await _begin(stores, verification_id="ve_first")
    await _overdue(stores)
    assert (await _begin(stores, "f2")).abandoned == Abandoned("ve_first")
    [key] = stores.admin.scan_iter()
    before = stores.admin.hgetall(key)
    await step(stores)
    assert stores.admin.hgetall(key) == before
    assert (await _begin(stores, "f3")).running_ms
    await _finish(stores, "f2", answer=b"of the second")
    await step(stores)
    assert (await _begin(stores, "f3")).answer == b"of the second"


async def test_a_claim_is_taken_over_when_its_process_has_had_time_to_end_it(stores):
    """The lease may have ended while Redis was away: from the first look after it on, repetitions wait ten seconds."""
    await _begin(stores, verification_id="ve_first")
    assert not (await _begin(stores, "f2")).is_overdue
    for holder, next_one in (("f1", "f3"), ("f3", "f4")):
        stores.time_passes(10 * LEASE_MS)
        assert await _begin(stores, "f2") == Begun(running_ms=OVERDUE_MS, is_overdue=True)
        stores.time_passes(OVERDUE_MS - 2000)
        begun = await _begin(stores, "f2")
        assert 0 < begun.running_ms <= 2000
        assert begun.is_overdue
        stores.time_passes(2000)
        assert (await _begin(stores, next_one)).abandoned == Abandoned("ve_first")
        begun = await _begin(stores, "f2")
        assert begun.running_ms > OVERDUE_MS
        assert not begun.is_overdue
        await _release(stores, holder)
    stores.time_passes(LEASE_MS)
    assert (await _begin(stores, "f2")).is_overdue
    await _release(stores, "f4")
    assert await _begin(stores, "f2") == Begun()


async def test_a_late_request_that_was_not_taken_over_ends_its_claim(stores):
    """A request that outlived its lease, with no repetition meanwhile, stores its response."""
    await _begin(stores)
    stores.time_passes(LEASE_MS)
    await _finish(stores)
    assert (await _begin(stores, "f2")).answer == b"first"


async def test_a_claim_that_was_taken_over_is_withdrawn_as_it_was_found(stores):
    """A withdrawn takeover restores the abandoned claim with its id; another body is still refused."""
    await _begin(stores, verification_id="ve_first")
    await _overdue(stores)
    for fence in ("f2", "f3"):
        assert (await _begin(stores, fence, verification_id="ve_later")).abandoned == Abandoned("ve_first")
        await _withdraw(stores, fence)
    with pytest.raises(OtherBody):
        await _begin(stores, "f4", fingerprint="cd")
    assert (await _begin(stores, "f4")).abandoned == Abandoned("ve_first")
    await _release(stores, "f4")
    assert await _begin(stores, "f5") == Begun()


async def test_an_abandoned_claim_is_taken_over_at_once_by_one(stores):
    """One repetition gets it, with what was never sent; so does the next one, until the key is released."""
    await _begin(stores, verification_id="ve_first")
    await _abandon(stores)
    with pytest.raises(OtherBody):
        await _begin(stores, "f2", fingerprint="cd")
    claims = await asyncio.gather(*(_begin(stores, f"g{place}", verification_id="ve_later") for place in range(10)))
    assert [claim.abandoned for claim in claims if claim.running_ms is None] == [Abandoned("ve_first", UNSENT)]
    fence = next(f"g{place}" for place, claim in enumerate(claims) if claim.abandoned)
    await _withdraw(stores, fence)
    assert (await _begin(stores, "f3")).abandoned == Abandoned("ve_first", UNSENT)
    later = UNSENT._replace(digest=b"of another code ")
    await _abandon(stores, "f3", unsent=later)
    assert (await _begin(stores, "f4")).abandoned == Abandoned("ve_first", later)
    await _release(stores, "f4")
    assert await _begin(stores, "f5") == Begun()


async def test_an_expired_key_is_not_recreated(stores):
    """Finishing, releasing or withdrawing an expired key writes nothing."""
    await _begin(stores)
    stores.time_passes(24 * 3_600_000)
    for step in (_finish, _release, _withdraw, _abandon):
        await step(stores)
    assert list(stores.admin.scan_iter()) == []


async def test_api_keys_stay_until_they_are_revoked(stores):
    """API keys are stored by digest, without a TTL, and are gone at once when revoked."""
    assert await stores.api_keys.api_keys() == {}
    await stores.api_keys.add("d1", {"name": "shop", "scopes": ["verifications"]})
    await stores.api_keys.add("d2", {"name": "other"})
    stores.time_passes(366 * 86_400_000)
    assert await stores.api_keys.api_keys() == {
        "d1": b'{"name":"shop","scopes":["verifications"]}',
        "d2": b'{"name":"other"}',
    }
    assert [await stores.api_keys.revoke("d1") for _ in range(2)] == [True, False]
    assert set(await stores.api_keys.api_keys()) == {"d2"}


async def test_counters_are_summed_over_the_partitions(stores):
    """The totals add the counts of all partitions, which are kept for 35 days."""
    partitions = {stores.keyring.partition(f"+1202555{line:04}"): f"+1202555{line:04}" for line in range(100, 140)}
    assert len(partitions) > 8
    for number in partitions.values():
        await stores.issue(to=number)
    assert await stores.stats.totals() == {"issued:US:sms": len(partitions)}
    for partition in partitions:
        assert 34 * 86400 < stores.admin.ttl(redis_keys.stats(partition)) <= 35 * 86400


def test_every_script_reads_the_clock_at_most_once():
    """Two readings of TIME in one script may differ, so no script reads it twice (promise 11)."""
    for name, script in load_scripts().items():
        assert script.text.count("redis.call('TIME')") <= 1, name


async def test_what_is_kept_of_a_key_changes_only_as_it_was_read(stores):
    """A key that was changed or revoked since it was read is not written again: it would work once more."""
    await stores.api_keys.add("digest", {"name": "shop"})
    read = (await stores.api_keys.api_keys())["digest"]
    assert await stores.api_keys.replace("digest", read, {"name": "shop", "brand": "Hen"})
    assert not await stores.api_keys.replace("digest", read, {"name": "shop", "brand": "Late"})
    changed = (await stores.api_keys.api_keys())["digest"]
    assert changed == b'{"name":"shop","brand":"Hen"}'
    assert await stores.api_keys.revoke("digest")
    assert not await stores.api_keys.replace("digest", changed, {"name": "shop"})
    assert await stores.api_keys.api_keys() == {}
