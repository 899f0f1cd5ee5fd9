"""Accepts the connections of one listening socket, several in one turn of the event loop.

uvloop accepts one connection per turn. If many connections make each turn long, a new
connection would wait one turn for each that was opened before it. So the more connections are open, the more are
accepted in one turn, up to a limit that keeps the turn short. With few open it is one, as turns are short then, and
processes that share the socket get equal parts.

A connection that is about to be closed in favour of a new one keeps its descriptor for a few turns. So few are accepted
in one turn when nearly all that may be open are. Without free descriptors, accepting pauses.
"""

import asyncio
import errno
import socket
from collections.abc import Callable, Collection
from contextlib import suppress

from service.http_server.connections import Connections

_PAUSE_SECONDS = 0.1
_PART = 8  # of those that are open, so many are accepted in one turn
_MOST = 32  # accepted in one turn; each costs it a tenth of a millisecond
_TURNS = 4  # at most, from accepting a connection to closing another one for it
_FEW = 4  # what is accepted in one turn when nearly all that may be open are
_NO_RESOURCES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Acceptor:
    """Accepts until it is closed. `open_ones` are the connections of this process, `limits` bound them."""

    def __init__(
        self,
        listener: socket.socket,
        backlog: int,
        new_protocol: Callable[[], asyncio.Protocol],
        open_ones: Collection[object],
        limits: Connections | None,
    ) -> None:
        self._listener, self._new_protocol = listener, new_protocol
        self._open_ones, self._limits = open_ones, limits
        self._loop = asyncio.get_running_loop()
        self._connecting: set[asyncio.Task[None]] = set()
        self._pause: asyncio.TimerHandle | None = None
        listener.setblocking(False)
        listener.listen(backlog)
        self._resume()

    def close(self) -> None:
        """Accept no more, and close the socket. Accepted connections stay open."""
        if self._pause is not None:
            self._pause.cancel()
        if self._listener.fileno() >= 0:
            self._loop.remove_reader(self._listener)
            self._listener.close()

    async def wait_closed(self) -> None:
        """Wait until every accepted connection has its protocol."""
        if self._connecting:
            await asyncio.wait(self._connecting)

    def connect(self, accepted: socket.socket) -> None:
        """Hand an accepted connection to a protocol."""
        accepted.setblocking(False)
        task = self._loop.create_task(self._connect(accepted))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _connect(self, accepted: socket.socket) -> None:
        with suppress(OSError):  # the client has disconnected
            await self._loop.connect_accepted_socket(self._new_protocol, accepted)

    def _resume(self) -> None:
        self._pause = None
        self._loop.add_reader(self._listener, self._accept)

    def _accept(self) -> None:
        for _ in range(self._most_now()):
            try:
                accepted, _ = self._listener.accept()
            except OSError as fault:  # usually no connection waits, or another process was faster
                if fault.errno in _NO_RESOURCES:
                    self._loop.remove_reader(self._listener)
                    self._pause = self._loop.call_later(_PAUSE_SECONDS, self._resume)
                return
            self.connect(accepted)

    def _most_now(self) -> int:
        """Return how many to accept in this turn."""
        most = min(1 + len(self._open_ones) // _PART, _MOST)
        if self._limits is None:
            return most
        return min(most, max(_FEW, (self._limits.most - len(self._open_ones)) // _TURNS))
