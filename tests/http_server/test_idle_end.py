"""Closing an idle connection: a request that arrives meanwhile gets a response or EOF, and never a reset."""

import asyncio
import socket

import pytest

from service.http_server import HttpProtocol
from tests.http_server.conftest import SECONDS, Seen, over_asgi, serving

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Kept(HttpProtocol):
    """A protocol that lets the test access its connections."""

    made: list

    def connection_made(self, transport):
        """Keep the connection."""
        super().connection_made(transport)
        self.made.append(self)


@pytest.fixture
async def idle():
    """Return an idle connection that was used once: the client's socket, and the server's protocol."""
    Kept.made = []
    async with serving(Kept, over_asgi(Seen())) as port:
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.settimeout(SECONDS)
            client.sendall(REQUEST)
            while b"]" not in await asyncio.to_thread(client.recv, 65536):  # the end of the body
                pass
            [protocol] = Kept.made
            yield client, protocol
    Kept.made.clear()  # nothing may keep a connection that is closed


WAYS = {
    "the server ends": lambda protocol: protocol.shutdown(),
    "time is over": lambda protocol: protocol._clock._on_idle(),
}
ways = pytest.mark.parametrize("end", WAYS.values(), ids=list(WAYS))


@ways
async def test_a_request_that_has_arrived_gets_its_response(idle, end):
    """Bytes in the kernel's buffer when the connection is closed are read first and get a response."""
    client, protocol = idle
    client.sendall(REQUEST)  # no turn of the event loop between this and the close
    end(protocol)
    assert (await asyncio.to_thread(client.recv, 65536)).startswith(b"HTTP/1.1 200 ")


@ways
async def test_a_later_request_reads_eof(idle, end):
    """A client that sends shortly after the close reads EOF: a reset would hide it."""
    client, protocol = idle
    end(protocol)
    assert await asyncio.to_thread(client.recv, 65536) == b""
    client.sendall(REQUEST)
    await asyncio.sleep(0.1)  # a reset would have arrived by then
    assert await asyncio.to_thread(client.recv, 65536) == b""
    assert not protocol.transport.is_closing()


async def test_closing_does_not_wait_for_the_client(idle, eventually):
    """If the client keeps its half open, the server keeps its end for at most a second."""
    client, protocol = idle
    protocol.shutdown()
    assert await eventually(protocol.transport.is_closing, seconds=3)
    assert await asyncio.to_thread(client.recv, 65536) == b""
