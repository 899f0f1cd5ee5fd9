"""Waits until replicas have a write: one more connection for each node, on which scripts run and WAIT follows.

WAIT counts only the writes of its own connection, and blocks it. So it needs a connection that nothing else uses, and
the script before it must write. The replicas receive all writes of a node in order: when they have the script's, they
have everything that the node held before it.

Scripts that arrive while a round runs share the next one:

    A                    EVALSHA a, WAIT         a round of up to `wait_ms`
    B, C meanwhile       queued
    A's round ends       EVALSHA b, EVALSHA c, WAIT

A round is written at once, on one connection. If that closes, nothing of the round counts as replicated: a reply of
WAIT is never taken for that of another connection, or of another node.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

from redis.exceptions import AskError, MovedError, NoScriptError, RedisError, ResponseError, TryAgainError
from redis.exceptions import ConnectionError as RedisConnectionError

from service.redis_client.cluster import Cluster
from service.redis_client.connection import Command, Connection
from service.redis_client.errors import SlotsNotServed, TooManyCommands, timed_out
from service.redis_client.resp import Argument, pack
from service.redis_client.script import Script
from service.redis_client.url import Address

MAX_WAITING = 10_000
_MOST_TRIES = 20
_RETRY_PAUSE_SECONDS = 0.02
_ASKING = pack((b"ASKING",))


class WaitPolicy(NamedTuple):
    """How many replicas must have a write, and for how long to wait for them."""

    replicas: int
    wait_ms: int


class Written(NamedTuple):
    """The result of a script, and whether enough replicas have what it wrote."""

    result: Any
    is_replicated: bool


_Waiting = tuple[bytes, bool, asyncio.Future[Written]]  # a packed script, whether ASKING precedes it, its result


class WaitingNode:
    """Runs scripts on one node, in rounds that end with WAIT."""

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

    async def run(self, packed: bytes, *, is_asking: bool = False) -> Written:
        """Run a packed script in the next round.

        Raise the server's error, also that of WAIT, or ConnectionError or TimeoutError: the script may have run then.
        """
        if self._closed:
            raise RedisConnectionError("the Redis client is closed")
        if len(self._queue) >= MAX_WAITING:
            raise TooManyCommands("too many scripts wait for replicas")
        written: asyncio.Future[Written] = self._loop.create_future()
        self._queue.append((packed, is_asking, written))
        if self._running is None:
            self._running = self._loop.create_task(self._rounds())
        return await written

    def renew_connection(self) -> None:
        """Use a new connection from the next round on."""
        if self._connection is not None:
            self._connection.retire()
            self._connection = None

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
                waiting, self._queue = self._queue, []
                try:
                    async with asyncio.timeout(self._timeout_seconds):
                        await self._round(waiting)
                except TimeoutError:
                    self._end_connection()
                    _fail(waiting, timed_out(was_late=False))
                except RedisError as error:
                    _fail(waiting, error)
        finally:
            self._running = None
            _fail([*waiting, *self._queue], RedisConnectionError("the Redis client was closed"))

    async def _round(self, waiting: list[_Waiting]) -> None:
        connection = await self._open()
        commands: deque[Command] = deque()
        replies = []
        for packed, is_asking, _ in waiting:
            if is_asking:
                self._add(commands, _ASKING)
            replies.append(self._add(commands, packed))
        replicas = self._add(commands, self._wait)
        connection.write(commands)
        # Each reply ends: with the connection at the latest. An error of a script is the result of that script alone.
        *results, count = await asyncio.gather(*replies, replicas, return_exceptions=True)
        if isinstance(count, BaseException):
            self._end_connection()
            if not isinstance(count, ResponseError) or "UNBLOCKED" not in f"{count.status_code} {count}":
                raise count
            count = -1  # the node has become a replica
        is_replicated = count >= self._policy.replicas
        for (_, _, written), result in zip(waiting, results, strict=True):
            if written.done():
                continue
            if isinstance(result, BaseException):
                written.set_exception(result)
            else:
                written.set_result(Written(result, is_replicated))

    def _add(self, commands: deque[Command], packed: bytes) -> asyncio.Future[Any]:
        reply: asyncio.Future[Any] = self._loop.create_future()
        reply.add_done_callback(lambda done: done.cancelled() or done.exception())  # ASKING's is never awaited
        commands.append((reply, float("inf"), packed))
        return reply

    async def _open(self) -> Connection:
        if self._connection is None or not self._connection.is_writable():
            writer = await self._connect()
            self._connection = Connection(
                writer, on_writable=lambda: None, on_read_only=self._on_closed, on_closed=self._on_closed
            )
        return self._connection

    def _on_closed(self, connection: Connection) -> None:
        # Also on READONLY: the node is a replica now, and Sentinel or DNS may name the new primary.
        if connection is self._connection:
            self._connection = None
            connection.retire()

    def _end_connection(self) -> None:
        if self._connection is not None:
            self._connection.close("Redis does not answer")


def _fail(waiting: list[_Waiting], error: RedisError) -> None:
    for _, _, written in waiting:
        if not written.done():
            own = type(error)(*error.args)  # one for each: a raised exception collects its own traceback
            own.__cause__ = error
            written.set_exception(own)


class Waits:
    """Finds the node of a script's first key, follows redirections as the client does, and has one connection each."""

    def __init__(
        self,
        policy: WaitPolicy,
        connect: Callable[[Address | None], Awaitable[asyncio.StreamWriter]],
        *,
        cluster: Cluster | None,
        timeout_seconds: float,
    ) -> None:
        self._policy = policy
        self._connect = connect
        self._cluster = cluster
        self._timeout_seconds = timeout_seconds
        self._nodes: dict[Address | None, WaitingNode] = {}  # None: the only one

    async def run(self, script: Script, keys: Sequence[str], args: Sequence[Argument]) -> Written:
        """Run a script that writes, and wait. Raises as `WaitingNode.run` does."""
        try:
            return await self._send(script.call(keys, args), keys[0])
        except NoScriptError:
            return await self._send(script.call_with_text(keys, args), keys[0])

    def renew_connections(self) -> None:
        """Connect again for the next rounds: another node has become the primary."""
        for node in self._nodes.values():
            node.renew_connection()

    async def close(self) -> None:
        """Close every connection; idempotent."""
        for node in self._nodes.values():
            await node.close()

    async def _send(self, packed: bytes, key: str) -> Written:
        if self._cluster is None:
            return await self._node(None).run(packed)
        cluster, is_asking = self._cluster, False
        address = await cluster.owner_of(key)
        for _ in range(_MOST_TRIES):
            try:
                return await self._node(address).run(packed, is_asking=is_asking)
            except AskError as error:
                address, is_asking = (error.host or address[0], error.port), not isinstance(error, MovedError)
                if not is_asking:
                    cluster.moved(error.slot_id, address)
            except TryAgainError:
                await asyncio.sleep(_RETRY_PAUSE_SECONDS)
                address, is_asking = await cluster.owner_of(key), False
            except RedisError as error:
                cluster.refresh_after(error)
                raise
        raise SlotsNotServed("the slot keeps moving")

    def _node(self, address: Address | None) -> WaitingNode:
        if address not in self._nodes:
            self._nodes[address] = WaitingNode(
                lambda: self._connect(address), self._policy, timeout_seconds=self._timeout_seconds
            )
        return self._nodes[address]
