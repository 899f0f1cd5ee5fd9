"""The end of an idle connection: a request that meets it is answered or reads the end, and never a reset."""

import asyncio
import socket

import pytest

from service.http_server import HttpProtocol
from tests.http_server.conftest import SECONDS, Seen, over_asgi, serving

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Kept(HttpProtocol):
    """A protocol whose connections the test can reach."""

    made: list

    def connection_made(self, transport):
        """Keep it."""
        super().connection_made(transport)
        self.made.append(self)


@pytest.fixture
async def idle():
    """Give an idle connection that was used once: the client's socket, and the server's protocol."""
    Kept.made = []
    async with serving(Kept, over_asgi(Seen())) as port:
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.settimeout(SECONDS)
            client.sendall(REQUEST)
            while b"]" not in await asyncio.to_thread(client.recv, 65536):  # the end of the body
                pass
            [protocol] = Kept.made
            yield client, protocol


WAYS = {
    "the server ends": lambda protocol: protocol.shutdown(),
    "time is over": lambda protocol: protocol._clock._on_idle(),
}
ways = pytest.mark.parametrize("end", WAYS.values(), ids=list(WAYS))


@ways
async def test_a_request_that_has_arrived_is_answered(idle, end):
    """Bytes that wait in the kernel when the connection ends are read first, and answered."""
    client, protocol = idle
    client.sendall(REQUEST)  # no turn of the event loop between this and the end
    end(protocol)
    assert (await asyncio.to_thread(client.recv, 65536)).startswith(b"HTTP/1.1 200 ")


@ways
async def test_a_request_that_comes_later_reads_the_end(idle, end):
    """A client that sends after the end reads the end, for a while: a reset would hide it."""
    client, protocol = idle
    end(protocol)
    assert await asyncio.to_thread(client.recv, 65536) == b""
    client.sendall(REQUEST)
    await asyncio.sleep(0.1)  # a reset would have come by then
    assert await asyncio.to_thread(client.recv, 65536) == b""
    assert not protocol.transport.is_closing()


async def test_the_end_does_not_wait_for_the_client(idle, eventually):
    """A client that keeps its half open holds the server's end up for a second."""
    client, protocol = idle
    protocol.shutdown()
    assert await eventually(protocol.transport.is_closing, seconds=3)
    assert await asyncio.to_thread(client.recv, 65536) == b""
