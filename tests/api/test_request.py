"""The promises of `service.http.request`: a request read from its scope, and the address of its sender."""

import pytest

from service.http.request import Caller, request_of


def call(*headers, client=("192.0.2.1", 4711)):
    """Return a request with the given headers."""
    return request_of(
        {
            "type": "http", "method": "GET", "path": "/a b", "raw_path": b"/a%20b", "query_string": b"q=1",
            "client": client, "headers": list(headers),
        },
        None,
    )  # fmt: skip


FORWARDED = (b"x-forwarded-for", b"203.0.113.9, 198.51.100.7")


def test_without_trusted_proxies_forwarded_headers_are_ignored():
    """Without a proxy, the address is that of the connection, whatever the headers say."""
    assert call(FORWARDED).peer(trusted_proxies=0) == "192.0.2.1"


@pytest.mark.parametrize(("proxies", "peer"), [(1, "198.51.100.7"), (2, "203.0.113.9"), (3, "192.0.2.1")])
def test_each_trusted_proxy_counts_from_the_right(proxies, peer):
    """The address is the nth from the right for n proxies; a shorter list is ignored."""
    assert call(FORWARDED).peer(trusted_proxies=proxies) == peer


def test_a_forged_first_header_changes_nothing():
    """Two X-Forwarded-For headers form one list in order, so what the caller wrote stays on the left."""
    forged = call((b"x-forwarded-for", b"10.0.0.1"), (b"x-forwarded-for", b"198.51.100.7"))
    assert forged.peer(trusted_proxies=1) == "198.51.100.7"


def test_an_empty_entry_is_not_an_address():
    """If the proxy's entry is empty, the connection's address is used."""
    assert call((b"x-forwarded-for", b"10.0.0.1, ")).peer(trusted_proxies=1) == "192.0.2.1"


def test_a_connection_without_an_address_is_unknown():
    """A Unix socket has no peer address; all its callers share one limit."""
    assert call(client=None).peer(trusted_proxies=0) == "unknown"


def test_headers_are_read():
    """A missing header is None, an empty one is empty, and non-ASCII bytes are no error."""
    got = call((b"a", b""), (b"b", b"\xff"))
    assert (got.header(b"a"), got.header(b"b"), got.header(b"c")) == ("", "ÿ", None)


def test_only_a_client_token_makes_a_front_end():
    """A request counts as a front end's only after a client token was accepted."""
    got = call()
    assert got.is_front_end is False
    got.caller = Caller("digest", "shop")
    assert got.is_front_end is False
    got.caller = Caller("ve_1", "client token", is_front_end=True)
    assert got.is_front_end is True
