"""The promises of `service.core.guard`: which limits are asked, for which value, and what their answers come to."""

import asyncio
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from service.core.guard import Guard, GuardPolicy, network_of
from service.core.limits import Limits
from service.core.ports import StoreUnavailable

NUMBER = "+14155552671"
PREFIX, COUNTRY, DAY, IP, PEER = (Limits(((most, 60_000),)) for most in range(1, 6))
FULL = GuardPolicy(client_ip=IP, prefix=PREFIX, country=COUNTRY, day=DAY, peer=PEER)
addresses6 = st.integers(0, 2**128 - 1).map(ipaddress.IPv6Address)
addresses4 = st.integers(0, 2**32 - 1).map(ipaddress.IPv4Address)


@dataclass
class Recorder:
    """A store that grants everything but what `waits` names, and remembers what it was asked."""

    waits: Mapping[str, int] = field(default_factory=dict)
    asked: list[tuple[str, str, Limits]] = field(default_factory=list)

    async def reserve(self, kind: str, value: str, limits: Limits) -> int:
        self.asked.append((kind, value, limits))
        return self.waits.get(kind, 0)


async def test_a_send_asks_every_limit_for_its_own_value() -> None:
    """A send reserves prefix, country, day and client address, each once and each with its own policy."""
    store = Recorder()
    assert await Guard(store, FULL).wait_for_send_ms(to=NUMBER, country="US", client_ip="192.0.2.1") == 0
    assert sorted(store.asked, key=lambda asked: asked[0]) == [
        ("country", "US", COUNTRY),
        ("day", "all", DAY),
        ("ip", "192.0.2.1", IP),
        ("prefix", "+1415555", PREFIX),
    ]


async def test_a_prefix_is_the_number_without_its_last_four_digits() -> None:
    """Ten thousand neighbouring numbers share one prefix; the next one over does not (A8)."""
    store = Recorder()
    guard = Guard(store, GuardPolicy(prefix=PREFIX))
    for number in ("+14155550000", "+14155559999", "+14155560000"):
        await guard.wait_for_send_ms(to=number, country="US", client_ip=None)
    assert [value for _, value, _ in store.asked] == ["+1415555", "+1415555", "+1415556"]


async def test_without_a_client_address_its_limit_is_not_asked() -> None:
    """A request that names no client address counts against no address."""
    store = Recorder()
    await Guard(store, FULL).wait_for_send_ms(to=NUMBER, country="US", client_ip=None)
    assert {kind for kind, _, _ in store.asked} == {"prefix", "country", "day"}


async def test_a_limit_that_is_off_is_not_asked() -> None:
    """Limits that the settings switch off cost the store nothing and grant."""
    store = Recorder(waits={"prefix": 9, "country": 9, "day": 9, "ip": 9, "peer": 9})
    guard = Guard(store, GuardPolicy())
    assert await guard.wait_for_send_ms(to=NUMBER, country="US", client_ip="192.0.2.1") == 0
    assert await guard.wait_for_peer_ms("192.0.2.1") == 0
    assert store.asked == []


@pytest.mark.parametrize("kind", ["prefix", "country", "day", "ip"])
async def test_any_limit_alone_refuses(kind: str) -> None:
    """One used-up limit is enough to make a send wait, whatever the others grant."""
    store = Recorder(waits={kind: 1_234})
    assert await Guard(store, FULL).wait_for_send_ms(to=NUMBER, country="US", client_ip="192.0.2.1") == 1_234


async def test_the_longest_wait_counts_and_all_are_asked() -> None:
    """Of several refusals the longest is told, and a refusal spares no other limit its count."""
    store = Recorder(waits={"prefix": 30, "country": 7_000, "ip": 500})
    assert await Guard(store, FULL).wait_for_send_ms(to=NUMBER, country="US", client_ip="192.0.2.1") == 7_000
    assert len(store.asked) == 4


async def test_limits_are_asked_side_by_side() -> None:
    """No limit waits for another's answer: together they take one round trip."""
    everyone = asyncio.Barrier(4)

    class Meeting:
        async def reserve(self, *_: object) -> int:
            await everyone.wait()
            return 0

    async with asyncio.timeout(5):
        assert await Guard(Meeting(), FULL).wait_for_send_ms(to=NUMBER, country="US", client_ip="192.0.2.1") == 0


@pytest.mark.parametrize("kind", ["prefix", "country", "day", "ip", "peer"])
async def test_a_store_that_does_not_answer_refuses(kind: str) -> None:
    """A limit that cannot be read is never taken for granted (R9)."""

    class Gone(Recorder):
        async def reserve(self, kind_: str, value: str, limits: Limits) -> int:
            if kind_ == kind:
                raise StoreUnavailable
            return await super().reserve(kind_, value, limits)

    guard = Guard(Gone(), FULL)
    asked = (
        guard.wait_for_peer_ms("192.0.2.1")
        if kind == "peer"
        else guard.wait_for_send_ms(to=NUMBER, country="US", client_ip="192.0.2.1")
    )
    with pytest.raises(StoreUnavailable):
        await asked


async def test_a_peer_is_limited_by_its_network_alone() -> None:
    """A client-token request asks the peer's limit for its network, and no limit of sends."""
    store = Recorder(waits={"peer": 42, "ip": 99})
    assert await Guard(store, FULL).wait_for_peer_ms("2001:db8:1:2:3:4:5:6") == 42
    assert store.asked == [("peer", "2001:db8:1:2::/64", PEER)]


async def test_a_client_address_is_limited_by_its_network() -> None:
    """A client that rotates through its /64 stays one client."""
    store = Recorder()
    guard = Guard(store, GuardPolicy(client_ip=IP))
    for address in ("2001:db8::1", "2001:DB8:0:0:ffff::", "2001:db8::1%eth0"):
        await guard.wait_for_send_ms(to=NUMBER, country="US", client_ip=address)
    assert {value for _, value, _ in store.asked} == {"2001:db8::/64"}


@pytest.mark.parametrize("required", [True, False])
def test_the_guard_tells_whether_an_address_is_required(required: bool) -> None:  # noqa: FBT001 - parametrized
    """The setting that demands a client address is readable from the guard."""
    assert Guard(Recorder(), GuardPolicy(require_client_ip=required)).requires_client_ip is required


@given(addresses6, st.integers(0, 2**64 - 1))
def test_a_64_is_one_network(address: ipaddress.IPv6Address, host: int) -> None:
    """All 2^64 addresses of a /64 have one name, in every spelling."""
    assume(address.ipv4_mapped is None)
    neighbour = ipaddress.IPv6Address(int(address) >> 64 << 64 | host)
    assume(neighbour.ipv4_mapped is None)
    name = network_of(str(address))
    assert {network_of(text) for text in (neighbour.compressed, neighbour.exploded, str(neighbour).upper())} == {name}
    assert address in ipaddress.IPv6Network(name)


@given(addresses6, addresses6)
def test_other_64s_are_other_networks(one: ipaddress.IPv6Address, other: ipaddress.IPv6Address) -> None:
    """Two addresses share a name only when they share their first 64 bits."""
    assume(one.ipv4_mapped is None and other.ipv4_mapped is None)
    assert (network_of(str(one)) == network_of(str(other))) == (int(one) >> 64 == int(other) >> 64)


@given(addresses6, st.integers(0, 127))
def test_only_the_first_64_bits_tell_networks_apart(address: ipaddress.IPv6Address, bit: int) -> None:
    """Flipping any of the first 64 bits leaves the network, flipping any other stays inside."""
    flipped = ipaddress.IPv6Address(int(address) ^ 1 << 127 - bit)
    assume(address.ipv4_mapped is None and flipped.ipv4_mapped is None)
    assert (network_of(str(address)) != network_of(str(flipped))) == (bit < 64)


@given(addresses4)
def test_ipv4_is_itself_also_in_ipv6_clothes(address: ipaddress.IPv4Address) -> None:
    """An IPv4 address is one network of its own, however a dual-stack socket writes it."""
    mapped = ipaddress.IPv6Address(0xFFFF << 32 | int(address))
    spellings = [str(address), f"::ffff:{address}", f"::FFFF:{address}", mapped.compressed, mapped.exploded]
    assert {network_of(spelling) for spelling in spellings} == {str(address)}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "unknown",
        "192.0.2",
        "192.0.2.01",
        "192.0.2.1:443",
        "[2001:db8::1]",
        "2001:db8::1/64",
        " 192.0.2.1",
        "\u0661\u0669\u0662.0.2.1",
        "192.0.2.\uff11",
        "3221225985",
        "/run/peer.sock",
    ],
)
def test_the_illegible_counts_as_itself(text: str) -> None:
    """What is no address is a network of its own, never an exception and never another's."""
    assert network_of(text) == text


@given(st.text(max_size=45) | st.text("0123456789abcdef:.%/", max_size=45))
def test_every_text_has_a_network(text: str) -> None:
    """No text raises, and a network's name is stable."""
    assert network_of(text) == network_of(text)
    assert isinstance(network_of(text), str)
