"""One established connection to Redis: calls go out in one write, replies come back in the same order.

Promises: a reply goes to the call it belongs to or to nobody; a call is written at most once; when the connection
ends, every call that was written and not answered fails. Which calls to write and when to connect is the lane's part.

A call that its caller cancels, or whose time runs out:

    call A, call B          both stand in the lane's queue, unwritten
    A cancelled             here: A is skipped by the write and never reaches Redis
    write                   A and B leave together and stand in `pending`
    A cancelled             here: A keeps its place, Redis runs it
    reply a, reply b        a finds A done and is thrown away, b goes to B
"""

import asyncio
import select
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ReadOnlyError, RedisError

from service.redis_client.resp import Parser, ProtocolError


class Call(NamedTuple):
    """One command on its way: who waits, until when (event loop clock, seconds), and its bytes."""

    future: asyncio.Future[Any]
    deadline: float
    packed: bytes


class Wire(asyncio.Protocol):
    """One established connection: give replies to the calls written on it, in their order."""

    def __init__(
        self,
        writer: asyncio.StreamWriter,
        *,
        on_room: Callable[[], None],
        on_demoted: Callable[["Wire"], None],
        on_lost: Callable[["Wire"], None],
    ) -> None:
        self.pending: deque[Call] = deque()
        self.gone = asyncio.Event()
        self._writer = writer  # kept: it closes the transport when it is collected
        self._transport = writer.transport
        self._on_room, self._on_demoted, self._on_lost = on_room, on_demoted, on_lost
        self._loop = asyncio.get_running_loop()
        self.made_at = self._heard_at = self._loop.time()
        self._parser = Parser()
        self._silent = self._full = self._retired = self._dropped = False
        self._poll = select.poll()
        self._poll.register(self._transport.get_extra_info("socket").fileno(), select.POLLIN)
        # From here on bytes come straight to data_received, without a stream and a task between.
        self._transport.set_protocol(self)

    def has_news(self) -> bool:
        """Tell whether the socket holds bytes, or an end, that the event loop has not delivered yet."""
        return not self._dropped and bool(self._poll.poll(0))

    def accepts(self) -> bool:
        """Tell whether to write now; when not, `on_room` or `on_lost` follows."""
        if self._transport.is_closing():
            self.drop("the connection to Redis was lost")
            return False
        return not (self._silent or self._full)

    def write(self, calls: deque[Call]) -> None:
        """Take over all calls and write those that somebody still waits for, at once."""
        if not self.pending:
            self._heard_at = self._loop.time()
        chunks = []
        while calls:
            call = calls.popleft()
            if not call.future.done():
                self.pending.append(call)
                chunks.append(call.packed)
        if chunks:
            self._transport.write(b"".join(chunks))

    def watch(self, now: float, timeout_seconds: float) -> None:
        """Stop writing after one time of silence, so that nothing more is run late; give up after two."""
        silence = now - self._heard_at if self.pending else 0.0
        self._silent = silence >= timeout_seconds
        if silence >= 2 * timeout_seconds:
            self.drop("Redis does not answer")

    def retire(self) -> None:
        """Take no more calls and close when the last reply has come."""
        self._retired = True
        if not self.pending:
            self.drop("the connection is no longer used")

    def drop(self, reason: str, cause: Exception | None = None) -> None:
        """Close at once; what was written and not answered fails, for nobody knows whether Redis ran it."""
        if self._dropped:
            return
        self._dropped = True
        self._transport.abort()
        for call in self.pending:
            if not call.future.done():
                error = RedisConnectionError(reason)
                error.__cause__ = cause
                call.future.set_exception(error)
        self.pending.clear()
        self._on_lost(self)

    def data_received(self, data: bytes) -> None:
        """Match replies to calls."""
        if self._dropped:
            return
        self._heard_at = self._loop.time()
        try:
            replies = self._parser.feed(data)
        except ProtocolError as error:
            self.drop(str(error), error)
            return
        for reply in replies:
            if not self.pending:
                self.drop("Redis answered a question nobody asked")
                return
            future = self.pending.popleft().future
            if isinstance(reply, RedisError):
                self._answer_error(future, reply)
            elif not future.done():
                future.set_result(reply)
        if self._silent:
            self._silent = False
            self._on_room()
        if self._retired and not self.pending:
            self.drop("the connection is no longer used")

    def eof_received(self) -> None:
        """Notice the server's good-bye as soon as the loop sees it, also between two calls."""
        self.drop("Redis closed the connection")

    def connection_lost(self, exc: Exception | None) -> None:
        """End what is left; the socket is closed now."""
        self.drop(f"the connection to Redis was lost: {exc}" if exc else "the connection to Redis was lost")
        self.gone.set()

    def pause_writing(self) -> None:
        """Hold calls back while the kernel takes no more bytes: unwritten calls can still be given up."""
        self._full = True

    def resume_writing(self) -> None:
        """Go on."""
        self._full = False
        self._on_room()

    def _answer_error(self, future: asyncio.Future[Any], error: RedisError) -> None:
        if not future.done():
            future.set_exception(error)
        if isinstance(error, ReadOnlyError):
            self._on_demoted(self)
