"""The promises of `http_server.connections`: which connection is closed for a new one, and how the protocol does it."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from service.core.addresses import network_of
from service.http_server.connections import Connections
from service.sandbox import FaultPlan
from tests.serving.callers import connection, exchange


class Client:
    """A connection with the attributes that `Connections` uses."""

    def __init__(self, connections, address="192.0.2.1", *, waiting_since=None):
        self.connections, self.waiting_since, self.is_open = connections, waiting_since, True
        self.was_taken_in = connections.opened(self, address)

    def request(self, *, waiting_since=None):
        """Complete a request; then the server waits for the client since a time, or the client for the server."""
        self.connections.asked(self)
        self.waiting_since = waiting_since
        return self

    def make_room(self):
        self.is_open = False
        self.connections.closed(self)  # a little later, as the protocol does


@pytest.fixture
def logged():
    """Collect the log lines."""
    return []


@pytest.fixture
def connections(logged):
    """Set a limit of four connections, three of one peer, and a clock that does not advance."""
    return Connections(4, 3, peer_of=network_of, on_limit=lambda *limit: logged.append(limit), clock=lambda: 100.0)


def test_the_oldest_connection_without_a_request_is_replaced(connections):
    """At the limit a new connection replaces the oldest one without a request, of any peer."""
    asked = Client(connections, "192.0.2.1").request(waiting_since=1.0)
    silent = [Client(connections, f"192.0.2.{number}") for number in (2, 3, 4)]
    newcomer = Client(connections, "192.0.2.9")
    assert newcomer.was_taken_in
    assert [one.is_open for one in (asked, *silent)] == [True, False, True, True]
    assert len(connections) == 4


def test_a_peer_at_its_limit_replaces_its_own_connections(connections):
    """A peer at its limit loses one of its own connections, even if another peer's is older; an IPv6 /64 is a peer."""
    other = Client(connections, "2001:db8:0:2::1")
    own = [Client(connections, f"2001:db8:0:1::{number}") for number in (1, 2, 3)]
    assert Client(connections, "2001:db8:0:1::4").was_taken_in
    assert [one.is_open for one in (other, *own)] == [True, False, True, True]


def test_then_the_longest_idle_connection_is_replaced(connections):
    """If all have had requests, the connection whose client has been silent longest is replaced."""
    addresses = iter(("192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"))
    at_work = Client(connections, next(addresses)).request()
    idle = [Client(connections, next(addresses)).request(waiting_since=since) for since in (3.0, 1.0, 2.0)]
    assert Client(connections, "192.0.2.9").request().was_taken_in
    assert [one.is_open for one in (at_work, *idle)] == [True, True, False, True]


def test_when_all_clients_wait_for_responses_a_new_one_is_refused(connections):
    """A client that waits for a response keeps its connection; a connection that ends frees a place."""
    at_work = [Client(connections, f"192.0.2.{number}").request() for number in range(4)]
    refused = Client(connections, "192.0.2.9")
    assert not refused.was_taken_in
    assert all(one.is_open for one in at_work)
    connections.closed(refused)  # the protocol reports the end of every connection
    connections.closed(at_work[0])
    assert Client(connections, "192.0.2.9").was_taken_in
    assert len(connections) == 4


def test_a_reached_limit_is_logged_once_a_minute(connections, logged):
    """A flood causes one log line for each limit, with its value and without an address."""
    for _ in range(50):
        Client(connections)
    for number in range(50):
        Client(connections, f"198.51.100.{number}")
    assert logged == [("connections_per_peer", 3), ("connections", 4)]


def test_nothing_is_kept_of_connections_that_have_ended(connections):
    """After ten thousand connections of as many peers no state remains."""
    for number in range(10_000):
        connections.closed(Client(connections, f"10.0.{number >> 8}.{number & 255}"))
    assert (len(connections), connections._peers, connections._all.members) == (0, {}, {})


async def test_at_the_limit_idle_connections_are_closed_for_new_callers(start):
    """Over real sockets: silent and idle connections are closed for new callers; if all are active, a 503."""
    service = await start(otp_max_connections=8)
    port = int(service.url.rsplit(":", 1)[1])
    async with AsyncExitStack() as stack:
        silent = [await stack.enter_async_context(connection(port)) for _ in range(20)]
        for _ in range(8):
            streams = await stack.enter_async_context(connection(port))
            assert (await exchange(*streams))[0] == 200
        async with asyncio.timeout(5):
            assert [await reader.read() for reader, _ in silent] == [b""] * 20
        assert (await exchange(*await stack.enter_async_context(connection(port))))[0] == 200


async def test_when_all_connections_are_active_the_response_is_503(start, eventually):
    """A connection over the limit gets a 503 with Retry-After at once and is closed."""
    service = await start(otp_max_connections=8, otp_max_connections_per_peer=4)
    port = int(service.url.rsplit(":", 1)[1])
    service.sandbox.faults.plan(FaultPlan(endpoint="messages", kind="slow", seconds=30, count=4))
    numbers = [f"+1415555010{number}" for number in range(4)]
    issues = [asyncio.create_task(service.call("POST", "/v1/verifications", {"to": number})) for number in numbers]
    assert await eventually(lambda: not service.sandbox.faults.planned())
    async with connection(port) as (reader, _), asyncio.timeout(5):
        told = await reader.read()
    assert told.startswith(b"HTTP/1.1 503 ")
    assert b"retry-after: 1\r\n" in told
    service.sandbox.faults.end()
    assert {status for status, _, _ in await asyncio.gather(*issues)} == {201}
