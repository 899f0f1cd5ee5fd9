"""The waits of one node: one more connection to it, on which scripts and commands run, and WAIT follows.

WAIT counts only the writes of its own connection, and blocks it. So it needs a connection that nothing else uses, and
what precedes it must write. The replicas receive all writes of a node in order: when they have this one, they have
everything that the node held before it.

Scripts and commands that arrive while a round runs share the next one, and so do those that follow from its end. A
command that several of them give is written once:

    A                    SET marker, WAIT        a round of up to `wait_ms`
    B, C, D meanwhile    queued
    A's round ends       SET marker (of B and C), EVALSHA d, EVALSHA a, WAIT

Of a caller that has gone nothing runs, unless its round was written before.

A round is written at once, on one connection. If that closes, nothing of the round counts as replicated: a reply of
WAIT is never taken for that of another connection, or of another node.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError

from service.redis_client.connection import Command, Connection
from service.redis_client.errors import TooManyCommands, timed_out
from service.redis_client.resp import pack

MAX_WAITING = 10_000
_ASKING = pack((b"ASKING",))


class WaitPolicy(NamedTuple):
    """How many replicas must have a write, and for how long to wait for them."""

    replicas: int
    wait_ms: int


class Written(NamedTuple):
    """The result of a script or a command, and whether enough replicas have what it wrote."""

    result: Any
    is_replicated: bool


# A packed script or command, whether ASKING precedes it, whether equal ones are written once, and its result.
_Waiting = tuple[bytes, bool, bool, asyncio.Future[Written]]
_Replies = list[asyncio.Future[Any]]


class WaitingNode:
    """Runs scripts and commands on one node, in rounds that end with WAIT."""

    def __init__(
        self, connect: Callable[[], Awaitable[asyncio.StreamWriter]], policy: WaitPolicy, *, timeout_seconds: float
    ) -> None:
        self._connect = connect
        self._policy = policy
        self._wait = pack((b"WAIT", policy.replicas, policy.wait_ms))
        self._timeout_seconds = timeout_seconds + policy.wait_ms / 1000
        self._loop = asyncio.get_running_loop()
        self._queue: list[_Waiting] = []
        self._connection: Connection | None = None
        self._running: asyncio.Task[None] | None = None
        self._closed = False
        self._replicated_at = float("-inf")  # event loop clock

    async def run(self, packed: bytes, *, is_asking: bool = False, is_shared: bool = False) -> Written:
        """Run a packed script or command in the next round; what is shared runs once for all that give it.

        Raise the server's error, also that of WAIT, or ConnectionError or TimeoutError: the script may have run then.
        """
        if self._closed:
            raise RedisConnectionError("the Redis client is closed")
        if len(self._queue) >= MAX_WAITING:
            raise TooManyCommands("too many scripts wait for replicas")
        written: asyncio.Future[Written] = self._loop.create_future()
        self._queue.append((packed, is_asking, is_shared, written))
        if self._running is None:
            self._running = self._loop.create_task(self._rounds())
        return await written

    def replicated_within(self, seconds: float) -> bool:
        """Tell whether the last round ended within so many seconds, and enough replicas had it."""
        return self._loop.time() - self._replicated_at < seconds

    def renew_connection(self) -> None:
        """Use a new connection from the next round on."""
        self._replicated_at = float("-inf")
        if self._connection is not None:
            self._connection.retire()
            self._connection = None

    async def drain(self) -> None:
        """Wait until nothing waits any more, then close."""
        if self._running is not None:
            await asyncio.wait([self._running])
        await self.close()

    async def close(self) -> None:
        """Fail what waits, and close the socket; idempotent."""
        self._closed = True
        connection, self._connection = self._connection, None
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])
        if connection is not None:
            connection.close("the Redis client was closed")
            await connection.socket_closed.wait()

    async def _rounds(self) -> None:
        waiting: list[_Waiting] = []
        try:
            while self._queue:
                waiting, self._queue = [each for each in self._queue if not each[-1].done()], []
                if not waiting:  # each caller has gone: nothing runs of which nobody learns
                    continue
                try:
                    async with asyncio.timeout(self._timeout_seconds):
                        await self._round(waiting)
                except TimeoutError:
                    self._end_connection()
                    _fail(waiting, timed_out(was_late=False))
                except RedisError as error:
                    _fail(waiting, error)
                await asyncio.sleep(0)  # those whose round has ended go on, and may share the next one
        finally:
            self._running = None
            _fail([*waiting, *self._queue], RedisConnectionError("the Redis client was closed"))

    async def _round(self, waiting: list[_Waiting]) -> None:
        """Run one round, and give each its result. A round that fails shows nothing of the replicas."""
        connection = await self._open()
        commands: deque[Command] = deque()
        replies = self._replies(commands, waiting)
        count = self._add(commands, self._wait)
        every = [reply for reply, _, _ in commands]
        connection.write(commands)
        refusal: ResponseError | None = None
        try:
            replicas = await count  # the last reply: all others are here too, or the connection has closed
        except ResponseError as error:  # else the connection has closed
            self._end_connection()
            replicas = -1
            if "UNBLOCKED" not in f"{error.status_code} {error}":  # it means that the node has become a replica
                refusal = error
        except asyncio.CancelledError:
            connection.close("Redis does not answer")
            raise
        finally:
            failures = {reply: reply.exception() for reply in every if not reply.cancelled()}  # else asyncio logs them
        is_replicated = replicas >= self._policy.replicas
        has_written = not any(failures.values())  # what has failed wrote nothing, so WAIT has waited for nothing
        self._replicated_at = self._loop.time() if is_replicated and has_written else float("-inf")
        for (*_, written), reply in zip(waiting, replies, strict=True):
            if written.done():
                continue
            # The script's own error comes first: a replica refuses WAIT, and says MOVED or READONLY to the script.
            if failure := failures[reply] or (refusal and _own(refusal)):
                written.set_exception(failure)
            else:
                written.set_result(Written(reply.result(), is_replicated))

    def _replies(self, commands: deque[Command], waiting: list[_Waiting]) -> _Replies:
        """Add the commands of a round; return the reply of each that waits."""
        shared: dict[tuple[bytes, bool], asyncio.Future[Any]] = {}
        replies = []
        for packed, is_asking, is_shared, _ in waiting:
            reply = shared.get((packed, is_asking)) if is_shared else None
            if reply is None:
                if is_asking:
                    self._add(commands, _ASKING)
                reply = self._add(commands, packed)
                if is_shared:
                    shared[packed, is_asking] = reply
            replies.append(reply)
        return replies

    def _add(self, commands: deque[Command], packed: bytes) -> asyncio.Future[Any]:
        reply: asyncio.Future[Any] = self._loop.create_future()
        commands.append((reply, float("inf"), packed))
        return reply

    async def _open(self) -> Connection:
        if self._connection is None or not self._connection.is_writable():
            writer = await self._connect()
            self._connection = Connection(
                writer, on_writable=lambda: None, on_refused=self._on_closed, on_closed=self._on_closed
            )
        return self._connection

    def _on_closed(self, connection: Connection) -> None:
        # Also when the node refuses writes: it may be a replica now, and Sentinel or DNS may name the new primary.
        if connection is self._connection:
            self._connection = None
            connection.retire()

    def _end_connection(self) -> None:
        if self._connection is not None:
            self._connection.close("Redis does not answer")


def _fail(waiting: list[_Waiting], error: RedisError) -> None:
    for *_, written in waiting:
        if not written.done():
            written.set_exception(_own(error))


def _own(error: RedisError) -> RedisError:
    """Return the error of one of several callers: a raised exception collects its own traceback."""
    own = type(error)(*error.args)
    own.__cause__ = error
    return own
