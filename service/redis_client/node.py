"""The way to one Redis node: one connection at a time, for any number of concurrent calls.

Promises: a command is written at most once; no call waits longer than its time; a lost connection is replaced on the
next call, by one attempt however many calls wait; a server that is away costs each call nothing but an error; memory
stays bounded. Matching replies is the wire's part, how to reach the node (TLS, AUTH, Sentinel) the dial's.

A connection that drops:

    A written, B unwritten  the server closes the socket, or is silent for twice the time of a call
    A                       fails with ConnectionError: nobody knows whether Redis ran it, so it is not repeated
    B                       waits for the one new connection and goes out there, within its own time
"""

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from service.redis_client.connection import Call, Wire
from service.redis_client.errors import TooManyCalls

Dial = Callable[[], Awaitable[asyncio.StreamWriter]]

MOST_CALLS_IN_FLIGHT = 10_000
# So many leave before the turn of the loop ends: Redis, on a core of its own, begins with them while the turn goes on.
# With all of a turn in one write each would wait for the other; with fewer in one the system calls would outweigh it.
FULL_WRITE = 16
_FIRST_PAUSE_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 0.5
_YOUNG_SECONDS = 0.5


class Lane:
    """Carry calls to one node over one connection at a time."""

    def __init__(self, dial: Dial, *, timeout_seconds: float) -> None:
        self._dial = dial
        self._timeout_seconds = timeout_seconds
        self._loop = asyncio.get_running_loop()
        self._unwritten: deque[Call] = deque()
        self._wire: Wire | None = None
        self._wires: set[Wire] = set()  # the one in use, and retired ones that still enqueue replies
        self._flush_due = False
        self._sweep_timer: asyncio.TimerHandle | None = None
        self._dialing: asyncio.Task[None] | None = None
        self._failures = 0
        self._failure: RedisError | None = None
        self._next_dial_at = 0.0
        self._closed = False

    def call(self, packed: bytes) -> asyncio.Future[Any]:
        """Send one packed command and return the future of its reply.

        It ends within the lane's time with the reply, the server's error, TimeoutError or ConnectionError. Raise
        ConnectionError at once when closed or when too many calls are in flight (a frozen server must not eat memory).
        """
        if self._closed:
            raise RedisConnectionError("the multiplexer is closed")
        loop, unwritten, wire = self._loop, self._unwritten, self._wire
        if len(unwritten) + (len(wire.pending) if wire is not None else 0) >= MOST_CALLS_IN_FLIGHT:
            raise TooManyCalls("too many calls in flight")
        future: asyncio.Future[Any] = loop.create_future()
        unwritten.append(Call(future, loop.time() + self._timeout_seconds, packed))
        if wire is not None and len(unwritten) >= FULL_WRITE:
            self._flush()
        elif not self._flush_due:
            self._flush_soon()
        if self._sweep_timer is None:
            self._sweep_later()
        return future

    def renew(self) -> None:
        """Use a new connection from the next call on; calls that were written still get their replies."""
        if self._wire is not None:
            wire, self._wire = self._wire, None
            wire.retire()

    async def drain(self) -> None:
        """Close when every call that is on its way has ended."""
        waiting = [call.future for calls in self._queues() for call in calls]
        if waiting:
            await asyncio.wait(waiting)
        await self.close()

    async def close(self) -> None:
        """Fail what is pending with ConnectionError and close the sockets; idempotent."""
        self._closed = True
        if self._sweep_timer is not None:
            self._sweep_timer.cancel()
        self._fail_unwritten(RedisConnectionError("the multiplexer was closed"))
        if self._dialing is not None:
            self._dialing.cancel()
            await asyncio.wait([self._dialing])
        wires = list(self._wires)
        for wire in wires:
            wire.drop("the multiplexer was closed")
        for wire in wires:
            await wire.gone.wait()

    def _flush_soon(self) -> None:
        # At the end of a turn of the event loop: its calls leave in one write, or in a few full ones.
        self._flush_due = True
        self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flush_due = False
        if not self._unwritten:
            return
        wire = self._wire
        if wire is None:
            self._reconnect()
        elif not wire.pending and wire.has_news():
            # Bytes nobody asked for are the server's good-bye: let the loop deliver it before anything is written.
            self._flush_soon()
        elif wire.accepts():
            wire.write(self._unwritten)

    def _reconnect(self) -> None:
        if self._dialing is not None:
            return
        if self._failure is not None and self._loop.time() < self._next_dial_at:
            self._fail_unwritten(self._failure)
            return
        self._dialing = self._loop.create_task(self._connect())

    async def _connect(self) -> None:
        try:
            writer = await self._dial()
        except RedisError as error:
            # A server that is away costs each call nothing but this: one attempt for all of them, then a pause.
            pause = min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2 ** min(self._failures, 10))
            self._failures += 1
            self._failure = error
            self._next_dial_at = self._loop.time() + pause * random.uniform(0.5, 1.0)  # noqa: S311 (jitter, no secret)
            self._fail_unwritten(error)
        else:
            self._failures = 0
            self._failure = None
            self._wire = Wire(writer, on_room=self._on_room, on_demoted=self._on_demoted, on_lost=self._on_lost)
            self._wires.add(self._wire)
            self._flush()
        finally:
            self._dialing = None

    def _on_room(self) -> None:
        if self._unwritten and not self._flush_due:
            self._flush_soon()

    def _on_demoted(self, wire: Wire) -> None:
        # A replica answers where a primary stood: the next call dials anew (Sentinel and DNS then know better). A young
        # connection stays, or a node that is a replica for good would be dialed for every single call.
        if wire is self._wire and self._loop.time() - wire.made_at > _YOUNG_SECONDS:
            self.renew()

    def _on_lost(self, wire: Wire) -> None:
        self._wires.discard(wire)
        if wire is self._wire:
            self._wire = None
            self._on_room()

    def _fail_unwritten(self, error: RedisError) -> None:
        while self._unwritten:
            future = self._unwritten.popleft().future
            if not future.done():
                own = type(error)(*error.args)  # one each: a raised exception gathers its own trace
                own.__cause__ = error
                future.set_exception(own)

    def _sweep_later(self) -> None:
        self._sweep_timer = self._loop.call_later(self._timeout_seconds / 20, self._sweep)

    def _sweep(self) -> None:
        """End the calls whose time has run out, and give up a connection that says nothing."""
        # Calls stand in the order of their deadlines, so that one timer serves all and looks at the oldest only.
        self._sweep_timer = None
        now = self._loop.time()
        _expire(self._unwritten, now)
        for wire in list(self._wires):
            _expire(wire.pending, now)
            wire.watch(now, self._timeout_seconds)
        if any(self._queues()):
            self._sweep_later()

    def _queues(self) -> list[deque[Call]]:
        return [self._unwritten, *(wire.pending for wire in self._wires)]


def _expire(calls: deque[Call], now: float) -> None:
    for call in calls:
        if call.deadline > now:
            break
        if not call.future.done():
            call.future.set_exception(RedisTimeoutError("Redis did not answer in time"))
