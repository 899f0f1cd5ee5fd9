"""Issues and checks of many numbers, timed, and the comparison of their times before a fault and during it.

`run` starts each request at its own moment, whether or not earlier ones have ended: one pair after another, then
several at once. So a request that waits delays no other request of the clients.
"""

import asyncio
import statistics
import time
from itertools import groupby
from typing import NamedTuple

ROUNDS = 3  # of all numbers
CLIENT_IP = "192.0.2.1"
AT_ONCE = (1, 8)
SECONDS_PER_PAIR = 0.03
TIMEOUT_SECONDS = 1.0  # of a command on a frozen node
QUICK_MS = 30
MOST_RATIO = 5  # of the medians: a busy machine may take twice as long, and a time-out is more than ten times as long


class Request(NamedTuple):
    """An issue or a check, and how many pairs of them started together."""

    number: str
    operation: str
    at_once: int
    is_served: bool
    seconds: float

    @property
    def kind(self):
        """What it is compared with."""
        return self.at_once, self.operation


class Load:
    """The clients of a service, each with a number and a verification of it that is pending."""

    def __init__(self, service, pending):
        self._service = service
        self._pending = pending  # by number: id and code

    async def run(self):
        """Issue a code for each number and check it, several times; return all requests."""
        pairs = []
        numbers = list(self._pending) * ROUNDS
        for at_once in AT_ONCE:
            for first in range(0, len(numbers), at_once):
                together = numbers[first : first + at_once]
                pairs += [asyncio.create_task(self._pair(number, at_once)) for number in together]
                await asyncio.sleep(SECONDS_PER_PAIR * at_once)
        return [request for pair in await asyncio.gather(*pairs) for request in pair]

    async def issue_all(self):
        """Issue a code for each number, all at once."""
        await asyncio.gather(*(self._issue(number, len(self._pending)) for number in self._pending))

    async def _pair(self, number, at_once):
        issue, body = await self._issue(number, at_once)
        verification_id, code = self._pending[number]
        if issue.is_served:
            verification_id, code = body["id"], self._service.codes(number)[-1]
        check, _ = await self._timed(number, "check", at_once, f"/{verification_id}/verify", {"code": code})
        return issue, check

    async def _issue(self, number, at_once):
        return await self._timed(number, "issue", at_once, "", {"to": number, "client_ip": CLIENT_IP})

    async def _timed(self, number, operation, at_once, path, body):
        began = time.monotonic()
        status, response, _ = await self._service.call("POST", f"/v1/verifications{path}", body)
        seconds = time.monotonic() - began
        assert status in {200, 201, 503}, response
        return Request(number, operation, at_once, status < 300, seconds), response


def compare(before, during):
    """Return the figures of each kind; fail if most requests take longer than before, or one in ten waits."""
    lines = []
    for kind, milliseconds in _by_kind(before).items():
        usual, now = _figures(milliseconds), _figures(_by_kind(during)[kind])
        ratio = now.median / usual.median
        lines.append(
            f"{kind[1]}, {kind[0]} at once: median {usual.median:.1f} ms before, {now.median:.1f} ms during, "
            f"ratio {ratio:.2f}; p90 {usual.p90:.1f} and {now.p90:.1f} ms; {now.count} requests during"
        )
        assert now.median < max(MOST_RATIO * usual.median, QUICK_MS), f"most are slower than before: {lines[-1]}"
        assert now.p90 - usual.p90 < TIMEOUT_SECONDS * 1000 / 2, f"one in ten waits: {lines[-1]}"
    return lines


class _Figures(NamedTuple):
    median: float  # ms
    p90: float
    count: int


def _by_kind(requests):
    kinds = groupby(sorted(requests, key=lambda each: each.kind), key=lambda each: each.kind)
    return {kind: [each.seconds * 1000 for each in group] for kind, group in kinds}


def _figures(milliseconds):
    return _Figures(
        statistics.median(milliseconds), sorted(milliseconds)[len(milliseconds) * 9 // 10], len(milliseconds)
    )
