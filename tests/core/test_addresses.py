"""The promises of `service.core.addresses`: one name for each network, and one bucket for texts that are no address."""

import ipaddress

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from service.core.addresses import network_of

addresses6 = st.integers(0, 2**128 - 1).map(ipaddress.IPv6Address)
addresses4 = st.integers(0, 2**32 - 1).map(ipaddress.IPv4Address)
ports = st.integers(0, 65_535)


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
def test_only_the_first_64_bits_distinguish_networks(address: ipaddress.IPv6Address, bit: int) -> None:
    """Flipping any of the first 64 bits changes the network; flipping any other bit does not."""
    flipped = ipaddress.IPv6Address(int(address) ^ 1 << 127 - bit)
    assume(address.ipv4_mapped is None and flipped.ipv4_mapped is None)
    assert (network_of(str(address)) != network_of(str(flipped))) == (bit < 64)


@given(addresses4)
def test_ipv4_mapped_addresses_are_ipv4(address: ipaddress.IPv4Address) -> None:
    """An IPv4 address is a network of its own, also when a dual-stack socket writes it as IPv6."""
    mapped = ipaddress.IPv6Address(0xFFFF << 32 | int(address))
    spellings = [str(address), f"::ffff:{address}", f"::FFFF:{address}", mapped.compressed, mapped.exploded]
    assert {network_of(spelling) for spelling in spellings} == {str(address)}


@given(addresses4, ports)
def test_the_port_of_an_ipv4_address_is_ignored(address: ipaddress.IPv4Address, port: int) -> None:
    """An IPv4 address with a port is the same client without it: rotating ports evades no limit."""
    assert network_of(f"{address}:{port}") == network_of(str(address))


@given(addresses6, ports)
@example(ipaddress.IPv6Address("::ffff:192.0.2.1"), 443)
def test_brackets_and_port_of_an_ipv6_address_are_ignored(address: ipaddress.IPv6Address, port: int) -> None:
    """An IPv6 address in brackets, with or without a port, is the same client."""
    assert network_of(f"[{address}]") == network_of(f"[{address}]:{port}") == network_of(str(address))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "unknown",
        "_hidden",
        "192.0.2",
        "192.0.2.01",
        "192.0.2.1:",
        "192.0.2.1:443:443",
        "192.0.2.1:https",
        "192.0.2.999:80",
        "[]",
        "[]:443",
        "[2001:db8::1",
        "[2001:db8::1]443",
        "[[2001:db8::1]]",
        "[unknown]",
        "2001:db8::1/64",
        " 192.0.2.1",
        "192.0.2.1\n",
        "\u0661\u0669\u0662.0.2.1",
        "192.0.2.\uff11",
        "192.0.2.1:\uff18\uff10",
        "3221225985",
        "/run/peer.sock",
    ],
)
def test_malformed_addresses_share_one_bucket(text: str) -> None:
    """Malformed addresses evade no limit: they all share one bucket, which is no address."""
    assert network_of(text) == "illegible"


@given(st.text(max_size=45) | st.text("0123456789abcdef:.%/[]", max_size=45))
def test_every_text_has_a_network(text: str) -> None:
    """No text raises; the result is a network or the shared bucket, and never contains the text."""
    name = network_of(text)
    assert name == network_of(text)
    assert name == "illegible" or ipaddress.ip_network(name)
