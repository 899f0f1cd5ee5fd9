"""The promise of `service.serving.closing`: a socket accepts no connection that its close would reset."""

import asyncio
import socket

import pytest

from service.serving.closing import accept_the_last


async def test_no_connection_is_lost_between_the_last_accept_and_the_close():
    """Established connections are accepted; later ones wait, and are refused when the socket is closed."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        address = listener.getsockname()
        with socket.create_connection(address) as early:
            early.sendall(b"early")
            [accepted] = await accept_the_last([listener])
            accepted.setblocking(False)
            with accepted:
                assert await asyncio.get_running_loop().sock_recv(accepted, 5) == b"early"
                late = asyncio.create_task(asyncio.open_connection(*address))
                await asyncio.sleep(0.2)
                assert not late.done()
                listener.close()
                with pytest.raises(ConnectionRefusedError):
                    await late
                early.sendall(b"later")  # the accepted connection stays open
                assert await asyncio.get_running_loop().sock_recv(accepted, 5) == b"later"


async def test_a_closed_socket_is_ignored():
    """Accepting from a closed socket returns no connections."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.close()
    assert await accept_the_last([listener]) == []
