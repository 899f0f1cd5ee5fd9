"""One Redis node: a queue of commands, and one connection at a time that is replaced when it is lost.

Promises: a command is written at most once and waits no longer than its timeout (and one turn of the event loop, in
which replies are read that have arrived in time); the next command replaces a lost
connection, by one attempt however many commands wait; while the server is down each command fails fast; memory stays
bounded. `connection` matches the replies, `connecting` and `sentinel` establish connections.

A lost connection:

    A written, B unwritten  the server closes the socket, or sends nothing for twice the timeout
    A                       fails with ConnectionError: Redis may have run it, so it is not repeated
    B                       waits for the new connection and is written there, within its own timeout
"""

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from service.redis_client.connection import Command, Connection
from service.redis_client.errors import TooManyCommands, is_late, timed_out

Connect = Callable[[], Awaitable[asyncio.StreamWriter]]

MAX_COMMANDS_IN_FLIGHT = 10_000
# This many commands are written before the current iteration of the event loop ends: Redis, on another core, starts on
# them while the iteration continues. With one write per iteration, client and Redis would take turns and wait for each
# other; with smaller writes the system calls would cost more than that saves.
COMMANDS_PER_WRITE = 16
_FIRST_PAUSE_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 0.5
_KEEP_REFUSING_SECONDS = 0.5
_ONE_TURN_SECONDS = 0.001  # a timer this far away fires after the event loop has read its sockets


class Node:
    """Sends commands to one node over one connection at a time."""

    def __init__(self, connect: Connect, *, timeout_seconds: float) -> None:
        self._connect = connect
        self._timeout_seconds = timeout_seconds
        self._loop = asyncio.get_running_loop()
        self._unwritten: deque[Command] = deque()
        self._connection: Connection | None = None
        self._connections: set[Connection] = set()  # the current one, and retired ones that still await replies
        self._flush_scheduled = False
        self._deadline_timer: asyncio.TimerHandle | None = None
        self._deadlines_due = 0.0  # when that timer fires, unless the event loop is late
        self._was_late_at = float("-inf")
        self._has_read_again = False
        self._connecting: asyncio.Task[None] | None = None
        self._failures = 0
        self._failure: RedisError | None = None
        self._next_attempt_at = 0.0
        self._closed = False

    def send(self, packed: bytes) -> asyncio.Future[Any]:
        """Send one packed command and return the future of its reply.

        The future ends within the timeout: with the reply, the server's error, TimeoutError or ConnectionError. Raise
        ConnectionError at once if the client is closed, or if too many commands are in flight (otherwise a frozen
        server would exhaust the memory).
        """
        if self._closed:
            raise RedisConnectionError("the Redis client is closed")
        loop, unwritten, connection = self._loop, self._unwritten, self._connection
        in_flight = len(unwritten) + (len(connection.awaiting_reply) if connection is not None else 0)
        if in_flight >= MAX_COMMANDS_IN_FLIGHT:
            raise TooManyCommands("too many commands in flight")
        reply: asyncio.Future[Any] = loop.create_future()
        unwritten.append((reply, loop.time() + self._timeout_seconds, packed))
        if connection is not None and len(unwritten) >= COMMANDS_PER_WRITE:
            self._flush()
        elif not self._flush_scheduled:
            self._schedule_flush()
        if self._deadline_timer is None:
            self._schedule_deadlines(self._timeout_seconds / 20)
        return reply

    def renew_connection(self) -> None:
        """Open a new connection for the next command; written commands still get their replies on the old one."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            connection.retire()

    async def drain(self) -> None:
        """Wait until every command has ended, then close."""
        replies = [reply for queue in self._queues() for reply, _, _ in queue]
        if replies:
            await asyncio.wait(replies)
        await self.close()

    async def close(self) -> None:
        """Fail all commands with ConnectionError and close the sockets; idempotent."""
        self._closed = True
        if self._deadline_timer is not None:
            self._deadline_timer.cancel()
        self._fail_unwritten(RedisConnectionError("the Redis client was closed"))
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.wait([self._connecting])
        connections = list(self._connections)
        for connection in connections:
            connection.close("the Redis client was closed")
        for connection in connections:
            await connection.socket_closed.wait()

    def _schedule_flush(self) -> None:
        # At the end of an iteration of the event loop: its commands leave in one write, or in a few full ones.
        self._flush_scheduled = True
        self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flush_scheduled = False
        if not self._unwritten:
            return
        connection = self._connection
        if connection is None:
            self._start_connecting()
        elif not connection.awaiting_reply and connection.has_unread_input():
            # Redis sends nothing unasked, so it has closed the connection: let the event loop deliver that first.
            self._schedule_flush()
        elif connection.is_writable():
            connection.write(self._unwritten)

    def _start_connecting(self) -> None:
        if self._connecting is not None:
            return
        if self._failure is not None and self._loop.time() < self._next_attempt_at:
            self._fail_unwritten(self._failure)
            return
        self._connecting = self._loop.create_task(self._open_connection())

    async def _open_connection(self) -> None:
        try:
            writer = await self._connect()
        except RedisError as error:
            # One attempt for all commands, then a pause in which each command fails at once.
            pause = min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2 ** min(self._failures, 10))
            self._failures += 1
            self._failure = error
            self._next_attempt_at = self._loop.time() + pause * random.uniform(0.5, 1.0)  # noqa: S311 (jitter)
            self._fail_unwritten(error)
        else:
            self._failures = 0
            self._failure = None
            self._connection = Connection(
                writer, on_writable=self._on_writable, on_refused=self._on_refused, on_closed=self._on_closed
            )
            self._connections.add(self._connection)
            self._flush()
        finally:
            self._connecting = None

    def _on_writable(self) -> None:
        if self._unwritten and not self._flush_scheduled:
            self._schedule_flush()

    def _on_refused(self, connection: Connection) -> None:
        # The node takes no writes, as a replica does: the next command connects again, because Sentinel, DNS or a proxy
        # may name the new primary. A new connection is kept, or a permanent replica would get one for each command.
        if connection is self._connection and self._loop.time() - connection.opened_at > _KEEP_REFUSING_SECONDS:
            self.renew_connection()

    def _on_closed(self, connection: Connection) -> None:
        self._connections.discard(connection)
        if connection is self._connection:
            self._connection = None
            self._on_writable()

    def _fail_unwritten(self, error: RedisError) -> None:
        while self._unwritten:
            reply, _, _ = self._unwritten.popleft()
            if not reply.done():
                own = type(error)(*error.args)  # one per command: a raised exception collects its own traceback
                own.__cause__ = error
                reply.set_exception(own)

    def _schedule_deadlines(self, seconds: float) -> None:
        self._deadlines_due = self._loop.time() + seconds
        self._deadline_timer = self._loop.call_at(self._deadlines_due, self._check_deadlines)

    def _check_deadlines(self) -> None:
        """Fail the commands whose timeout has expired, and close a connection without input."""
        # Commands are queued in the order of their deadlines, so one timer looks only at the oldest of them.
        self._deadline_timer = None
        now = self._loop.time()
        if is_late(now - self._deadlines_due, self._timeout_seconds):
            self._was_late_at = now
        oldest = [queue[0] for queue in self._queues() if queue]
        if not self._has_read_again and any(deadline <= now for _, deadline, _ in oldest):
            # Their replies may have arrived in time, if only the event loop is late: let it read them first.
            self._has_read_again = True
            self._schedule_deadlines(_ONE_TURN_SECONDS)
            return
        self._has_read_again = False
        self._expire(self._unwritten, now)
        for connection in list(self._connections):
            self._expire(connection.awaiting_reply, now)
            connection.check_silence(now, self._timeout_seconds)
        if any(self._queues()):
            self._schedule_deadlines(self._timeout_seconds / 20)

    def _expire(self, commands: deque[Command], now: float) -> None:
        for reply, deadline, _ in commands:
            if deadline > now:
                break
            if not reply.done():
                was_late = self._was_late_at > deadline - self._timeout_seconds
                reply.set_exception(timed_out(was_late=was_late))

    def _queues(self) -> list[deque[Command]]:
        return [self._unwritten, *(connection.awaiting_reply for connection in self._connections)]
