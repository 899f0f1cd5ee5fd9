"""Writes whole lines to standard output and error, which a process shares with others; blocking, never O_NONBLOCK.

That flag would apply to the other processes too. Lines of several processes are never mixed or cut, even if a process
dies while nobody reads, because the kernel keeps each write in one piece.
"""

import os
import select
import stat

_LARGE_BYTES = 64 * 1024


def write_all(descriptor: int, content: bytes) -> None:
    """Write all of it, however long that takes, also where another process made the descriptor non-blocking.

    Raises `OSError` with `written` when the rest cannot be written: the reader is gone, the disk is full.
    """
    rest = memoryview(content)
    while rest:
        try:
            rest = rest[os.write(descriptor, rest) :]
        except BlockingIOError:
            writable = select.poll()
            writable.register(descriptor, select.POLLOUT)
            writable.poll()
        except OSError as failure:
            failure.written = len(content) - len(rest)  # type: ignore[attr-defined] # for whoever must know
            raise


def piece_bytes(descriptor: int) -> int:
    """Say how much lands there in one piece, apart from what other processes write at the same moment.

    A file takes each write whole; pipes, sockets and terminals only small ones.
    """
    return _LARGE_BYTES if stat.S_ISREG(os.fstat(descriptor).st_mode) else select.PIPE_BUF


def occupy_closed_descriptors() -> None:
    """Open nothing in the place of a closed standard stream: a connection there would get what is written to it."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
