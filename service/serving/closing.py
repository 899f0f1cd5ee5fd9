"""Closes a listening socket without resetting connections.

Closing a listening socket resets the connections that are not accepted yet. Accepting all of them first is not enough,
because new ones may arrive before the close. So a socket filter drops the packets that open a connection (Linux only):
clients retry a second later, and are refused or reach the next process. Handshakes in progress are completed, and their
connections are accepted.
"""

import asyncio
import ctypes
import socket
import struct
from collections.abc import Iterator, Sequence
from contextlib import suppress

_SO_ATTACH_FILTER = 26  # asm-generic/socket.h; Python has no name for it
_HANDSHAKE_SECONDS = 0.1
# A classic BPF program; it sees a packet from its TCP header on: (code, jump if true, jump if false, value).
_DROP_SYN = (
    (0x30, 0, 0, 13),  # load the byte with the flags
    (0x54, 0, 0, 0x12),  # keep SYN and ACK
    (0x15, 0, 1, 0x02),  # SYN alone?
    (0x06, 0, 0, 0),  # drop it
    (0x06, 0, 0, 0xFFFFFFFF),  # accept all others
)


async def accept_the_last(listeners: Sequence[socket.socket]) -> list[socket.socket]:
    """Block new connections and return those that wait to be accepted. The caller must close the listeners next."""
    for listener in listeners:
        _block_new_connections(listener)
    await asyncio.sleep(_HANDSHAKE_SECONDS)
    return [connection for listener in listeners for connection in _accepted(listener)]


def _block_new_connections(listener: socket.socket) -> None:
    program = b"".join(struct.pack("HBBI", *step) for step in _DROP_SYN)
    buffer = ctypes.create_string_buffer(program, len(program))
    with suppress(OSError):  # not Linux, or closed already
        listener.setsockopt(
            socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HP", len(_DROP_SYN), ctypes.addressof(buffer))
        )


def _accepted(listener: socket.socket) -> Iterator[socket.socket]:
    with suppress(OSError):  # no connection waits, or the listener is closed already
        while True:
            yield listener.accept()[0]
