"""Writes whole lines to standard output and error, which processes share; blocking, without setting O_NONBLOCK.

That flag would apply to the other processes too. Lines of several processes are never mixed or cut, even if a process
dies while the reader is stopped, because the kernel writes each piece atomically.
"""

import os
import select
import stat

_LARGE_BYTES = 64 * 1024


def write_all(descriptor: int, content: bytes) -> None:
    """Write all of `content`, however long that takes, even if another process made the descriptor non-blocking.

    Raises `OSError`, with the number of bytes written as `written`, if the reader is gone or the disk is full.
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
            failure.written = len(content) - len(rest)  # type: ignore[attr-defined] # for the caller
            raise


def piece_bytes(descriptor: int) -> int:
    """Return how many bytes a write to the descriptor keeps together when other processes write too.

    Files keep any write together; pipes, sockets and terminals only small ones.
    """
    return _LARGE_BYTES if stat.S_ISREG(os.fstat(descriptor).st_mode) else select.PIPE_BUF


def occupy_closed_descriptors() -> None:
    """Open /dev/null for each closed standard stream. Otherwise a connection could get its number, and the output."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
