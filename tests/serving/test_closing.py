"""The promise of `service.serving.closing`: nobody is connected to a socket that is about to be closed."""

import asyncio
import socket

import pytest

from service.serving.closing import accept_the_last


async def test_nobody_connects_between_the_last_one_and_the_close():
    """Who has connected is given; who comes later is not connected, and refused when the socket is closed."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        address = listener.getsockname()
        with socket.create_connection(address) as early:
            early.sendall(b"early")
            [accepted] = await accept_the_last([listener])
            with accepted:
                assert await asyncio.get_running_loop().sock_recv(accepted, 5) == b"early"
                late = asyncio.create_task(asyncio.open_connection(*address))
                await asyncio.sleep(0.2)
                assert not late.done()
                listener.close()
                with pytest.raises(ConnectionRefusedError):
                    await late
                early.sendall(b"later")  # what has begun goes on
                assert await asyncio.get_running_loop().sock_recv(accepted, 5) == b"later"


async def test_a_socket_that_is_closed_already_is_no_fault():
    """There is nobody to accept then."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.close()
    assert await accept_the_last([listener]) == []
