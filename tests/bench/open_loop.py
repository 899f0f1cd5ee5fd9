"""Open-loop load: requests are sent at their instants, whether earlier ones have a response or not, as people do.

    answered = uvloop.run(arrive(port, requests, per_second=2000))
    answered.milliseconds(99)

The instants are drawn in advance (a Poisson process), and a latency is measured from the instant at which its request
was due: requests that waited while a target stalled count, too; a closed loop would not have sent them ("coordinated
omission"). The lateness of the generator itself is reported as well: no latency below it is meaningful.
"""

import asyncio
import ctypes
import gc
import os
import random
import time
from collections import Counter, deque
from dataclasses import dataclass

from load import status_of

CONNECTIONS = 96
LEAD_SECONDS = 0.1
_TIMEOUT_SECONDS = 20


@dataclass(frozen=True)
class Answered:
    """The results of all requests; seconds, sorted."""

    latencies: list[float]
    lateness: list[float]  # of the generator: from due to written, if a connection was free
    statuses: Counter
    per_second: float  # as offered

    def milliseconds(self, percentile):
        """Return a percentile of the latencies."""
        return _percentile(self.latencies, percentile) * 1000

    def late_milliseconds(self, percentile):
        """Return a percentile of the generator's own lateness."""
        return _percentile(self.lateness, percentile) * 1000


async def arrive(port, requests, *, per_second, connections=CONNECTIONS, seed=1):
    """Send each request at its instant over the first free connection; wait for the last response."""
    loop = asyncio.get_running_loop()
    arrivals = _Arrivals(requests, _instants(len(requests), per_second, seed))
    for _ in range(connections):
        await loop.create_connection(lambda: _Connection(arrivals), "127.0.0.1", port)
    gc.collect()
    gc.freeze()  # a collection would appear as a latency of the target
    gc.disable()
    try:
        with _Timer(loop, arrivals.send_due) as timer:
            arrivals.begin(timer)
            async with asyncio.timeout(len(requests) / per_second + _TIMEOUT_SECONDS):
                await arrivals.done
    finally:
        gc.enable()
        gc.unfreeze()
        arrivals.close()
    return Answered(sorted(arrivals.latencies), sorted(arrivals.lateness), arrivals.statuses, per_second)


class _Arrivals:
    """The requests that are not due yet, those that wait for a connection, and the results of the others."""

    def __init__(self, requests, instants):
        self._requests, self._instants = requests, instants
        self._next = 0
        self._waiting = deque()
        self.idle = deque()  # the longest idle first: servers close connections that are idle for seconds
        self.latencies, self.lateness, self.statuses = [], [], Counter()
        self.done = asyncio.get_running_loop().create_future()

    def begin(self, timer):
        self._timer = timer
        started = time.perf_counter() + LEAD_SECONDS
        self._instants = [started + instant for instant in self._instants]
        timer.set(self._instants[0])

    def send_due(self):
        """Send all requests that are due, and set the timer for the next."""
        while self._next < len(self._instants) and self._instants[self._next] <= time.perf_counter():
            request, due = self._requests[self._next], self._instants[self._next]
            self._next += 1
            if self.idle:
                self.idle.popleft().ask(request, due)
                self.lateness.append(time.perf_counter() - due)
            else:
                self._waiting.append((request, due))
        if self._next < len(self._instants):
            self._timer.set(self._instants[self._next])

    def answered(self, connection, status, seconds):
        self.latencies.append(seconds)
        self.statuses[status] += 1
        if self._waiting:
            connection.ask(*self._waiting.popleft())
            return
        self.idle.append(connection)
        if len(self.latencies) == len(self._requests):
            self.done.set_result(None)

    def failed(self, failure):
        if not self.done.done():
            self.done.set_exception(failure or ConnectionError("the target closed a connection"))

    def close(self):
        for connection in self.idle:
            connection.close()


class _Connection(asyncio.Protocol):
    """One keep-alive connection: a request, its response, then free again."""

    def __init__(self, arrivals):
        self._arrivals = arrivals
        self._received = b""
        self._is_closing = False

    def connection_made(self, transport):
        self._transport = transport
        self._arrivals.idle.append(self)

    def connection_lost(self, failure):
        if not self._is_closing:
            self._arrivals.failed(failure)

    def ask(self, request, due):
        self._due = due
        self._transport.write(request)

    def data_received(self, data):
        self._received += data
        status = status_of(self._received)
        if status is not None:
            self._received = b""
            self._arrivals.answered(self, status, time.perf_counter() - self._due)

    def close(self):
        self._is_closing = True
        self._transport.close()


class _Timer:
    """Calls a function at an instant of `time.perf_counter` (Linux's timerfd: the loop's timers have milliseconds)."""

    def __init__(self, loop, callback):
        self._loop, self._callback = loop, callback
        self._libc = ctypes.CDLL(None, use_errno=True)

    def __enter__(self):
        self._fd = self._libc.timerfd_create(time.CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self._loop.add_reader(self._fd, self._fired)
        return self

    def __exit__(self, *_):
        self._loop.remove_reader(self._fd)
        os.close(self._fd)

    def set(self, instant):
        """Call the function once at an instant, or at once if it has passed."""
        seconds, nanoseconds = divmod(int(instant * 1e9), 1_000_000_000)
        once = (ctypes.c_long * 4)(0, 0, seconds, nanoseconds)
        self._libc.timerfd_settime(self._fd, 1, ctypes.byref(once), None)  # 1: the instant is absolute

    def _fired(self):
        try:
            os.read(self._fd, 8)
        except BlockingIOError:
            return  # it was set again meanwhile
        self._callback()


def _instants(count, per_second, seed):
    """Draw the instants of the requests, in seconds from the start; the same seed gives the same for every target."""
    drawn, instant, draw = [], 0.0, random.Random(seed)
    for _ in range(count):
        instant += draw.expovariate(per_second)
        drawn.append(instant)
    return drawn


def _percentile(values, percentile):
    return values[min(len(values) - 1, int(len(values) * percentile / 100))]
