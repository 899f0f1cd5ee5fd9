"""Tells how much has arrived on a connection that the event loop has not read yet."""

import asyncio
import fcntl
import sys
import termios


def unread_bytes(transport: asyncio.Transport) -> int:
    """Return the number of bytes that the kernel holds for this connection."""
    count = fcntl.ioctl(transport.get_extra_info("socket").fileno(), termios.FIONREAD, bytes(4))
    return int.from_bytes(count, sys.byteorder)
