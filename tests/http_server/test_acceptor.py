"""The promises of `http_server.acceptor`: many connections in one turn, none lost when descriptors run out."""

import asyncio
import resource
import socket

import pytest

from service.http_server.acceptor import Acceptor
from service.http_server.connections import Connections


class Recorded(asyncio.Protocol):
    """The server's end of a connection, recorded when it is made."""

    def __init__(self, made):
        self.made = made

    def connection_made(self, transport):
        self.made.append(transport)


@pytest.fixture
def made():
    """Collect the connections that the server has accepted."""
    made = []
    yield made
    for transport in made:
        transport.abort()


@pytest.fixture
def accept(made):
    """Return a function that accepts on a new socket, given the number of open connections and their limit."""
    acceptors = []

    def start(*, are_open=0, most=None):
        listener = socket.create_server(("127.0.0.1", 0))
        bound = None if most is None else Connections(most)
        acceptors.append(Acceptor(listener, 100, lambda: Recorded(made), range(are_open), bound))
        return acceptors[-1], listener

    yield start
    for acceptor in acceptors:
        acceptor.close()


@pytest.mark.parametrize(
    ("are_open", "most", "in_one_turn"),
    [(0, None, 1), (7, 800, 1), (80, None, 11), (400, 800, 32), (792, 800, 4), (800, 800, 4), (40, 40, 4)],
)
async def test_the_number_accepted_in_one_turn_grows_with_open_connections(
    accept, made, eventually, *, are_open, most, in_one_turn
):
    """One where turns are short; an eighth of the open connections, 32 at most; few near the limit."""
    acceptor, listener = accept(are_open=are_open, most=most)
    clients = [socket.create_connection(listener.getsockname()) for _ in range(60)]
    acceptor._accept()
    in_this_turn = len(acceptor._connecting)
    are_all_accepted = await eventually(lambda: len(made) == len(clients))
    for client in clients:
        client.close()
    assert (in_this_turn, are_all_accepted) == (in_one_turn, True)


async def test_without_descriptors_accepting_pauses_and_resumes(accept, made, eventually):
    """A connection that cannot be accepted waits without using CPU, and is accepted when a descriptor is free."""
    _, listener = accept()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    loop, turns = asyncio.get_running_loop(), 0
    with socket.socket() as client:
        client.setblocking(False)
        resource.setrlimit(resource.RLIMIT_NOFILE, (client.fileno(), hard))
        try:
            await loop.sock_connect(client, listener.getsockname())
            ended = loop.time() + 0.3
            while loop.time() < ended:
                await asyncio.sleep(0.02)
                turns += 1
            assert (made, turns > 5) == ([], True)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert await eventually(lambda: made)


async def test_closing_keeps_accepted_connections(accept, made):
    """Accepted connections keep their protocol, new ones are refused; a second close has no effect."""
    acceptor, listener = accept()
    address = listener.getsockname()
    with socket.create_connection(address):
        acceptor._accept()
        acceptor.close()
        acceptor.close()
        await acceptor.wait_closed()
        assert len(made) == 1
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(*address)
