"""One established connection to Redis: it writes commands and matches the replies to them, in order.

Promises: a reply goes to its own command or to none; a command is written at most once; when the connection ends, each
command that was written and has no reply fails. The node decides which commands to write and when to connect.

A command whose caller cancels it, or whose timeout expires:

    commands A, B           both are in the node's queue, unwritten
    A cancelled             in this case the write skips A, and Redis never receives it
    write                   A and B leave together and wait in `awaiting_reply`
    A cancelled             in this case A keeps its place, and Redis runs it
    reply a, reply b        a finds A cancelled and is discarded, b goes to B
"""

import asyncio
import select
from collections import deque
from collections.abc import Callable
from typing import Any, TypeAlias

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import MasterDownError, ReadOnlyError, RedisError

from service.redis_client.resp import Parser, ProtocolError

# A command on its way: the future of its reply, its deadline (event loop clock, seconds), and its bytes. A plain tuple,
# because to make a named one and to read its fields takes several times as long.
Command: TypeAlias = tuple[asyncio.Future[Any], float, bytes]

# A primary that was cut off from its replicas, or cannot write to its disk; a replica behind a proxy (`-ERR READONLY`).
_WRITES_REFUSED = ("NOREPLICAS ", "MISCONF ", "READONLY ")


class Connection(asyncio.Protocol):
    """Writes commands to one connection and resolves their futures with the replies."""

    def __init__(
        self,
        writer: asyncio.StreamWriter,
        *,
        on_writable: Callable[[], None],
        on_refused: Callable[["Connection"], None],
        on_closed: Callable[["Connection"], None],
    ) -> None:
        self.awaiting_reply: deque[Command] = deque()
        self.socket_closed = asyncio.Event()
        self._writer = writer  # kept because it closes the transport when it is garbage collected
        self._transport = writer.transport
        self._on_writable, self._on_refused, self._on_closed = on_writable, on_refused, on_closed
        self._loop = asyncio.get_running_loop()
        self.opened_at = self._last_input_at = self._loop.time()
        self._parser = Parser()
        self._is_silent = self._is_full = self._is_retired = self._is_closed = False
        self._poll = select.poll()
        self._poll.register(self._transport.get_extra_info("socket").fileno(), select.POLLIN)
        # From now on bytes go straight to data_received, without a stream reader and its task.
        self._transport.set_protocol(self)

    def has_unread_input(self) -> bool:
        """Tell whether the socket holds bytes, or an end, that the event loop has not delivered yet."""
        return not self._is_closed and bool(self._poll.poll(0))

    def is_writable(self) -> bool:
        """Tell whether to write now; if not, `on_writable` or `on_closed` follows."""
        if self._transport.is_closing():
            self.close("the connection to Redis was lost")
            return False
        return not (self._is_silent or self._is_full)

    def write(self, commands: deque[Command]) -> None:
        """Empty the queue and write, at once, the commands that a caller still waits for."""
        if not self.awaiting_reply:
            self._last_input_at = self._loop.time()
        chunks = []
        while commands:
            command = commands.popleft()
            reply, _, packed = command
            if not reply.done():
                self.awaiting_reply.append(command)
                chunks.append(packed)
        if chunks:
            self._transport.write(b"".join(chunks))

    def check_silence(self, now: float, timeout_seconds: float) -> None:
        """Stop writing after one timeout without input, so that Redis runs nothing late; close after two."""
        silence = now - self._last_input_at if self.awaiting_reply else 0.0
        self._is_silent = silence >= timeout_seconds
        if silence >= 2 * timeout_seconds:
            self.close("Redis does not answer")

    def retire(self) -> None:
        """Close when the last reply has arrived; nothing is written any more."""
        self._is_retired = True
        if not self.awaiting_reply:
            self.close("the connection is no longer used")

    def close(self, reason: str, cause: Exception | None = None) -> None:
        """Close at once; fail the commands without a reply, because Redis may or may not have run them."""
        if self._is_closed:
            return
        self._is_closed = True
        self._transport.abort()
        for reply, _, _ in self.awaiting_reply:
            if not reply.done():
                error = RedisConnectionError(reason)
                error.__cause__ = cause
                reply.set_exception(error)
        self.awaiting_reply.clear()
        self._on_closed(self)

    def data_received(self, data: bytes) -> None:
        """Match replies to commands."""
        if self._is_closed:
            return
        self._last_input_at = self._loop.time()
        try:
            replies = self._parser.feed(data)
        except ProtocolError as error:
            self.close(str(error), error)
            return
        for reply in replies:
            if not self.awaiting_reply:
                self.close("Redis sent a reply to no command")
                return
            future, _, _ = self.awaiting_reply.popleft()
            if isinstance(reply, RedisError):
                self._fail(future, reply)
            elif not future.done():
                future.set_result(reply)
        if self._is_silent:
            self._is_silent = False
            self._on_writable()
        if self._is_retired and not self.awaiting_reply:
            self.close("the connection is no longer used")

    def eof_received(self) -> None:
        """Close as soon as the server has closed its side, also between two commands."""
        self.close("Redis closed the connection")

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail what still waits; the socket is closed now."""
        self.close(f"the connection to Redis was lost: {exc}" if exc else "the connection to Redis was lost")
        self.socket_closed.set()

    def pause_writing(self) -> None:
        """Hold commands back while the kernel accepts no more bytes: unwritten commands can still be cancelled."""
        self._is_full = True

    def resume_writing(self) -> None:
        """Write again."""
        self._is_full = False
        self._on_writable()

    def _fail(self, future: asyncio.Future[Any], error: RedisError) -> None:
        if not future.done():
            future.set_exception(error)
        if isinstance(error, ReadOnlyError | MasterDownError) or str(error).startswith(_WRITES_REFUSED):
            self._on_refused(self)
