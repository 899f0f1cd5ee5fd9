"""The promises of `service.core.limiter`: which limits it asks, for which values, and how it combines the results."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pytest
from hypothesis import strategies as st

from service.core.breaker import SendingHalted
from service.core.channels import Channel
from service.core.keyring import Keyring
from service.core.limiter import Limiter, LimitPolicy
from service.core.limits import Limited, Limits, Reserved, Unit
from service.core.payment import Payment
from service.core.phone import CountryNotAllowed
from service.core.prices import Budget, Prices
from service.core.profiles import Issued
from service.core.reservation import Reservation
from service.core.store_health import StoreUnavailable
from service.core.verification import VerificationRequest

NUMBER = "+14155552671"
ADDRESS = "192.0.2.1"
KINDS = ("prefix", "country", "day", "api_key", "client_ip")
PREFIX, COUNTRY, DAY, KEY, IP, PEER = (Limits(((most, 60_000),)) for most in range(1, 7))
ALLOWED = dict(zip(KINDS, (PREFIX, COUNTRY, DAY, KEY, IP), strict=True))
FULL = LimitPolicy(client_ip=IP, api_key=KEY, prefix=PREFIX, country=COUNTRY, day=DAY, peer=PEER)
KEYRING = Keyring([b"newest" * 6], b"index" * 7)
ports = st.integers(0, 65_535)


class Send(NamedTuple):
    """What a send is counted by."""

    id: str = "ve_7" + 31 * "0"
    to: str = NUMBER
    request: VerificationRequest = VerificationRequest("US")
    client_tag: str | None = None
    payment: Payment | None = None
    key_tag: str | None = None
    owner: str | None = None


@dataclass
class Recorder:
    """A counting store: it grants everything except what `waits` names, and fails where a test says so."""

    has_shards = False
    waits: Mapping[str, int] = field(default_factory=dict)
    away: frozenset[str] = frozenset()
    away_for_returns: frozenset[str] = frozenset()
    asked: list[tuple[str, str, Limits]] = field(default_factory=list)
    returned: list[tuple[str, str, Limits, int]] = field(default_factory=list)
    granted: dict[tuple[str, str, Limits, int], None] = field(default_factory=dict)
    amounts: dict[str, int] = field(default_factory=dict)
    trips: int = 0

    async def reserve(self, units: Sequence[Unit]) -> list[Reserved | StoreUnavailable]:
        self.trips += 1
        self.amounts |= {unit.kind: unit.amount for unit in units}
        return [await self.reserve_one(*unit[:3]) for unit in units]

    async def reserve_one(self, kind: str, tag: str, limits: Limits) -> Reserved | StoreUnavailable:
        self.asked.append((kind, tag, limits))
        await asyncio.sleep(0)
        if kind in self.away:
            return StoreUnavailable()
        at_ms = 1_000 + len(self.asked)
        if not self.waits.get(kind):
            self.granted[kind, tag, limits, at_ms] = None
        return Reserved(self.waits.get(kind, 0), at_ms)

    async def give_back(self, reserved: Sequence[tuple[Unit, int]]) -> None:
        self.trips += 1
        await asyncio.sleep(0)
        self.returned += [(*unit[:3], at_ms) for unit, at_ms in reserved if unit.kind not in self.away_for_returns]

    @property
    def counted(self) -> set[str]:
        """The kinds with a unit still counted; returning a unit that was never granted is an error."""
        assert not Counter(self.returned) - Counter(self.granted.keys())
        return {kind for kind, *_ in self.granted.keys() - set(self.returned)}


def reservation(
    store: object, policy: LimitPolicy = FULL, *, to: str = NUMBER, client_ip: str | None = ADDRESS
) -> Reservation:
    """Prepare the limits of one send of one caller."""
    limiter = Limiter(store, KEYRING, policy)
    send = Send(to=to, client_tag=limiter.client_tag(client_ip))
    return limiter.reservation(send, Channel.SMS, key_tag=limiter.key_tag("shop"))


async def test_a_send_asks_every_limit_for_its_own_value() -> None:
    """A send reserves prefix, country, day, API key and client address, each once and with its own policy."""
    store = Recorder()
    assert await reservation(store).ask() is None
    tag = KEYRING.limit_tag
    assert sorted(store.asked, key=lambda asked: asked[0]) == [
        ("api_key", tag("api_key", "shop"), KEY),
        ("client_ip", tag("client_ip", ADDRESS), IP),
        ("country", tag("country", "US"), COUNTRY),
        ("day", tag("day", "all"), DAY),
        ("prefix", tag("prefix", "+1415555"), PREFIX),
    ]


async def test_a_prepared_reservation_does_not_use_the_store() -> None:
    """Preparing a reservation does not use the store, and leaves nothing to return."""
    store = Recorder()
    await reservation(store).give_back()
    assert (store.asked, store.returned) == ([], [])


async def test_the_store_gets_no_number_and_no_address() -> None:
    """The names of the limits reveal neither the number's prefix, nor the caller, nor the address."""
    store = Recorder()
    await reservation(store).ask()
    await Limiter(store, KEYRING, FULL).admit_peer(ADDRESS)
    tags = [tag for _, tag, _ in store.asked]
    assert len(set(tags)) == len(tags) == len(KINDS) + 1, "the address as client and as peer are two limits"
    assert not [secret for secret in ("1415555", ADDRESS, "shop", "US", "all") if secret in tags]
    assert {len(tag) for tag in tags} == {22}


async def test_a_prefix_is_the_number_without_its_last_four_digits() -> None:
    """Ten thousand neighbouring numbers share one prefix; the next block does not (A8)."""
    store = Recorder()
    for number in ("+14155550000", "+14155559999", "+14155560000"):
        await reservation(store, LimitPolicy(prefix=PREFIX), to=number).ask()
    first, neighbour, other = (tag for _, tag, _ in store.asked)
    assert first == neighbour != other


async def test_without_a_client_address_its_limit_is_not_asked() -> None:
    """A request without a client address does not count against any address."""
    store = Recorder()
    await reservation(store, client_ip=None).ask()
    assert {kind for kind, _, _ in store.asked} == {"prefix", "country", "day", "api_key"}


async def test_a_send_without_an_api_key_is_counted() -> None:
    """Sends of verifications without a known API key share one budget, separate from that of every key."""
    limiter = Limiter(Recorder(), KEYRING, FULL)
    unnamed = {limiter.key_tag(None), limiter.key_tag("")}
    assert len(unnamed) == 1
    assert not unnamed & {limiter.key_tag("shop"), limiter.key_tag("app")}


async def test_callers_have_limits_of_their_own() -> None:
    """Two API keys never share a limit; all sends of one key share theirs."""
    store = Recorder()
    limiter = Limiter(store, KEYRING, LimitPolicy(api_key=KEY))
    for caller in ("shop", "shop", "app"):
        await limiter.reservation(Send(), Channel.SMS, key_tag=limiter.key_tag(caller)).ask()
    first, again, other = (tag for _, tag, _ in store.asked)
    assert first == again != other


async def test_a_resend_counts_under_the_stored_tag() -> None:
    """The tag stored with a verification belongs to the client address, so that resends count where issues do."""
    store = Recorder()
    limiter = Limiter(store, KEYRING, LimitPolicy(client_ip=IP))
    kept = limiter.client_tag("2001:db8::1")
    send = Send(client_tag=kept)
    await limiter.reservation(send, Channel.SMS, key_tag=limiter.key_tag("shop")).ask()
    await reservation(store, LimitPolicy(client_ip=IP), client_ip="2001:db8::2").ask()
    assert len(set(store.asked)) == 1
    assert limiter.client_tag(None) is None


async def test_a_limit_that_is_off_does_not_use_the_store() -> None:
    """Limits that are switched off are granted without using the store."""
    store = Recorder(waits=dict.fromkeys((*KINDS, "peer"), 9))
    assert await reservation(store, LimitPolicy()).ask() is None
    await Limiter(store, KEYRING, LimitPolicy()).admit_peer(ADDRESS)
    assert store.asked == []


@pytest.mark.parametrize("kind", KINDS)
async def test_one_refusing_limit_returns_the_units_of_the_others(kind: str) -> None:
    """One used-up limit makes a send wait, and then no limit counts anything: all or none."""
    store = Recorder(waits={kind: 1_234})
    refusal = await reservation(store).ask()
    assert (refusal.retry_after_ms, refusal.limit, refusal.limits) == (1_234, kind, ALLOWED[kind])
    assert store.counted == set()
    assert {given[0] for given in store.returned} == set(KINDS) - {kind}


async def test_the_longest_wait_counts_and_all_are_asked() -> None:
    """Of several refusals the longest wait is reported, with its limit."""
    store = Recorder(waits={"prefix": 30, "country": 7_000, "client_ip": 500})
    refusal = await reservation(store).ask()
    assert (refusal.retry_after_ms, refusal.limit) == (7_000, "country")
    assert len(store.asked) == len(KINDS)


async def test_limits_are_asked_in_one_round_trip() -> None:
    """All limits are asked in one round trip, and returned in one."""
    store = Recorder()
    asked = reservation(store)
    assert await asked.ask() is None
    assert (store.trips, len(store.asked)) == (1, len(KINDS))
    await asked.give_back()
    assert (store.trips, len(store.returned)) == (2, len(KINDS))


@pytest.mark.parametrize("kind", [*KINDS, "peer"])
async def test_an_unavailable_store_refuses(kind: str) -> None:
    """An unreadable limit never counts as granted (R9), and the limits that did grant get their units back."""
    store = Recorder(away=frozenset({kind}))
    asked = Limiter(store, KEYRING, FULL).admit_peer(ADDRESS) if kind == "peer" else reservation(store).ask()
    with pytest.raises(StoreUnavailable):
        await asked
    assert store.counted == set()


async def test_an_unavailable_store_takes_precedence_over_a_wait() -> None:
    """If one limit says wait and another cannot be read, the store is unavailable: 503, not 429."""
    store = Recorder(waits={"prefix": 30}, away=frozenset({"day"}))
    with pytest.raises(StoreUnavailable):
        await reservation(store).ask()
    assert store.counted == set()


async def test_granted_units_are_returned_exactly_once() -> None:
    """A send that never went out returns each unit at the instant of its count; a second return does nothing."""
    store = Recorder()
    asked = reservation(store)
    assert await asked.ask() is None
    assert store.counted == set(KINDS)
    await asyncio.gather(asked.give_back(), asked.give_back())
    await asked.give_back()
    assert Counter(store.returned) == Counter(store.granted.keys())


async def test_a_refused_reservation_has_nothing_to_return() -> None:
    """Returning a refused reservation takes no unit from another one."""
    store = Recorder(waits={"day": 5})
    asked = reservation(store)
    await asked.ask()
    before = list(store.returned)
    await asked.give_back()
    assert store.returned == before


@pytest.mark.parametrize("kind", KINDS)
async def test_a_unit_that_cannot_be_returned_stays_counted(eventually: Callable[..., Any], kind: str) -> None:
    """If the store fails at the return, nothing is raised, that unit stays counted, and the others are returned."""
    store = Recorder(away_for_returns=frozenset({kind}))
    asked = reservation(store)
    await asked.ask()
    await asked.give_back()
    assert await eventually(lambda: len(store.returned) == len(KINDS) - 1)
    assert store.counted == {kind}


async def test_a_failed_return_does_not_hide_the_refusal() -> None:
    """A wait is reported even if the store fails while the other units are returned."""
    store = Recorder(waits={"day": 77}, away_for_returns=frozenset(KINDS))
    assert (await reservation(store).ask()).retry_after_ms == 77


async def test_simultaneous_reservations_are_each_all_or_none() -> None:
    """Of 40 simultaneous reservations with a daily limit of 7, seven hold all their units and the others none."""

    class Counting(Recorder):
        async def reserve_one(self, kind: str, tag: str, limits: Limits) -> Reserved | StoreUnavailable:
            full = kind == "day" and sum(1 for held in self.granted if held[0] == "day") >= 7
            at_ms = 1_000 + len(self.asked)
            self.asked.append((kind, tag, limits))
            if not full:
                self.granted[kind, tag, limits, at_ms] = None
            await asyncio.sleep(0)
            return Reserved(9 if full else 0, at_ms)

    store = Counting()
    refusals = await asyncio.gather(*(reservation(store).ask() for _ in range(40)))
    assert Counter(refusal and refusal.limit for refusal in refusals) == {None: 7, "day": 33}
    held = Counter(kind for kind, *_ in store.granted.keys() - set(store.returned))
    assert held == dict.fromkeys(KINDS, 7)


async def test_a_peer_is_limited_by_its_network_alone() -> None:
    """A request with a client token asks the limit of its network, and no limit of sends."""
    store = Recorder(waits={"peer": 42, "client_ip": 99})
    with pytest.raises(Limited) as limited:
        await Limiter(store, KEYRING, FULL).admit_peer("2001:db8:1:2:3:4:5:6")
    assert (limited.value.retry_after_ms, limited.value.limit) == (42, "peer")
    assert store.asked == [("peer", KEYRING.limit_tag("peer", "2001:db8:1:2::/64"), PEER)]


async def test_an_admitted_peer_stays_counted() -> None:
    """The unit of an admitted request with a client token is not returned."""
    store = Recorder()
    await Limiter(store, KEYRING, FULL).admit_peer(ADDRESS)
    assert store.counted == {"peer"}


async def test_a_client_address_is_limited_by_its_network() -> None:
    """A client that rotates through its /64 is one client."""
    store = Recorder()
    for address in ("2001:db8::1", "2001:DB8:0:0:ffff::", "2001:db8::1%eth0", "[2001:db8::1]:443"):
        await reservation(store, LimitPolicy(client_ip=IP), client_ip=address).ask()
    assert {tag for _, tag, _ in store.asked} == {KEYRING.limit_tag("client_ip", "2001:db8::/64")}


@pytest.mark.parametrize("required", [True, False])
def test_the_limiter_says_whether_an_address_is_required(required: bool) -> None:  # noqa: FBT001 - parametrized
    """The limiter says whether a client address is required."""
    policy = LimitPolicy(require_client_ip=required)
    assert Limiter(Recorder(), KEYRING, policy).requires_client_ip is required


class Halt:
    """A breaker that refuses, or makes the next send the probe."""

    def __init__(self, *, refuses: bool) -> None:
        self.refuses = refuses
        self.given_back = 0

    def admit(self) -> float:
        if self.refuses:
            raise SendingHalted(3)
        return 7.0

    def give_back(self, probe: float) -> None:
        assert probe == 7.0
        self.given_back += 1


def halted_reservation(store: Recorder, halt: Halt) -> Reservation:
    """Prepare the limits of one send behind a breaker."""
    limiter = Limiter(store, KEYRING, FULL, breakers={Channel.SMS: halt})
    return limiter.reservation(Send(), Channel.SMS, key_tag="shop")


async def test_no_limit_is_asked_while_sending_is_halted() -> None:
    """While sending is halted a send is refused before anything is counted; client-token requests are not."""
    store, halt = Recorder(), Halt(refuses=True)
    with pytest.raises(SendingHalted):
        await halted_reservation(store, halt).ask()
    assert store.asked == []
    await Limiter(store, KEYRING, FULL, breakers={Channel.SMS: halt}).admit_peer(ADDRESS)
    assert store.counted == {"peer"}


async def test_a_limited_or_released_probe_is_returned_once() -> None:
    """The probe is released with the limits or at the end of its send, and only once."""
    halt = Halt(refuses=False)
    limited = halted_reservation(Recorder(waits={"day": 5}), halt)
    await limited.ask()
    await limited.give_back()
    assert halt.given_back == 1
    sent = halted_reservation(Recorder(), halt)
    assert await sent.ask() is None
    assert halt.given_back == 1
    sent.end_probe()
    assert halt.given_back == 2
    await asyncio.gather(sent.give_back(), sent.give_back())
    assert halt.given_back == 2


PRICES = Prices("USD", {("US", "sms"): 8_300, ("*", "*"): 100_000})
BUDGET = Budget(1_000_000, PRICES)


def priced(store: Recorder, send: Send, segments: int = 1, **more: Any) -> Reservation:
    """Prepare a send of so many segments under a budget alone."""

    async def measure(measured: Issued) -> int:
        assert measured is send
        return segments

    limiter = Limiter(store, KEYRING, LimitPolicy(budget=BUDGET), segments=measure)
    return limiter.reservation(send, Channel.SMS, key_tag="shop", **more)


async def test_each_segment_of_an_sms_is_paid() -> None:
    """An SMS reserves its price to the country for each of its segments."""
    store = Recorder()
    assert await priced(store, Send(), 3).ask() is None
    assert store.amounts == {"budget": 3 * 8_300}
    assert await priced(store, Send(request=VerificationRequest("DE"))).ask() is None
    assert store.amounts == {"budget": 100_000}


async def test_nothing_is_paid_for_a_test_number() -> None:
    """Nothing is sent to a test number, so it costs nothing."""
    store = Recorder()
    assert await priced(store, Send(), is_test=True).ask() is None
    assert store.asked == []


async def test_an_unknown_price_exceeds_every_budget() -> None:
    """A send whose price nobody has named asks for more than the whole budget, so it is refused."""
    budget = Budget(500, Prices("USD", {("US", "sms"): 1}))
    assert budget.cost("DE", Channel.SMS, 1) == 501


async def test_a_used_up_budget_does_not_tell_how_large_it_is() -> None:
    """The refusal names the limit `budget` and when to try again, but neither its amount nor its window."""
    refusal = await priced(Recorder(waits={"budget": 9_000}), Send()).ask()
    assert (refusal.limit, refusal.retry_after_ms, bool(refusal.limits)) == ("budget", 9_000, False)


async def test_what_was_not_sent_can_give_back_its_price_alone() -> None:
    """A try that sent nothing stays counted, but gives its money back, once."""
    store = Recorder()
    policy = LimitPolicy(day=DAY, budget=BUDGET)
    asked = Limiter(store, KEYRING, policy).reservation(Send(), Channel.SMS, key_tag="shop")
    assert await asked.ask() is None
    await asked.give_back_money()
    await asked.give_back_money()
    assert store.counted == {"day"}
    await asked.give_back()
    assert store.counted == set()


async def test_a_channel_has_a_limit_of_its_own() -> None:
    """A send counts under the limit of its channel, and under that of no other channel."""
    policy = LimitPolicy(channels={"sms": DAY, "voice": KEY})
    refused, granted = Recorder(waits={"sms": 7}), Recorder(waits={"voice": 7})
    asked = [
        Limiter(store, KEYRING, policy).reservation(Send(), Channel.SMS, key_tag="shop").ask()
        for store in (refused, granted)
    ]
    refusal, granting = await asyncio.gather(*asked)
    assert (refusal.limit, refusal.limits, granting) == ("sms", DAY, None)
    assert granted.asked == [("sms", KEYRING.limit_tag("sms", "all"), DAY)]


@pytest.mark.parametrize(("countries", "is_refused"), [({"DE"}, True), ({"DE", "US"}, False), (set(), False)])
async def test_a_channel_has_countries_of_its_own(countries: set[str], is_refused: bool) -> None:  # noqa: FBT001
    """A send by a channel to a country that is not one of its own is refused before anything is counted."""
    store = Recorder()
    limiter = Limiter(store, KEYRING, LimitPolicy(day=DAY, countries={"sms": frozenset(countries)}))
    refusal = await limiter.reservation(Send(), Channel.SMS, key_tag="shop").ask()
    assert isinstance(refusal, CountryNotAllowed) is is_refused
    assert store.counted == (set() if is_refused else {"day"})
