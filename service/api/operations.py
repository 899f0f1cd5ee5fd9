"""The operators' doors: alive, ready, metrics.

`/livez` depends on nothing: a process whose Redis is away must not be restarted for it. `/readyz`
asks Redis, at most once a second, and tells beside it what an operator should know. `/metrics` is
the same whichever worker answers, because its counters live in Redis.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from pydantic_core import to_json
from starlette.responses import PlainTextResponse
from starlette.routing import BaseRoute

from service.api.auth import Access
from service.api.call import Call
from service.api.problems import ProblemAnswer
from service.api.route import LeanRoute, Reply, problem_reply
from service.core.ports import StoreUnavailable

_READY_FOR_SECONDS = 1.0
_TEXT = "text/plain; version=0.0.4; charset=utf-8"


class QueueState(Protocol):
    """The confirmations at a glance."""

    @property
    def owed(self) -> int:
        """How many are owed."""

    @property
    def dead(self) -> int:
        """How many were given up."""

    @property
    def oldest_seconds(self) -> float:
        """How long the oldest one has been owed."""

    @property
    def halted(self) -> str | None:
        """Why posting has stopped."""

    @property
    def is_worked(self) -> bool:
        """Whether some worker is alive."""


@dataclass(frozen=True, slots=True)
class OperationsView:
    """What the operators' doors may ask."""

    ping: Callable[[], Awaitable[None]]
    queue: Callable[[], Awaitable[QueueState]]
    totals: Callable[[], Awaitable[Counter[str]]]
    metrics_text: Callable[[Counter[str], Mapping[str, float]], bytes]


class OperationsDoors:
    """Answers probes and scrapes."""

    def __init__(self, view: OperationsView, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._view = view
        self._clock = clock
        self._ready: Reply | None = None
        self._ready_until = 0.0
        self._asking = asyncio.Lock()

    def routes(self, metrics_access: Access | None) -> list[BaseRoute]:
        """List the routes; `metrics_access` None leaves the numbers open to whoever reaches the port."""
        return [
            LeanRoute("/livez", self.livez, access=None, tags=["operations"], summary="Alive?"),
            LeanRoute("/readyz", self.readyz, access=None, tags=["operations"], summary="Ready?"),
            LeanRoute(
                "/metrics",
                self.metrics,
                access=metrics_access,
                response_class=PlainTextResponse,
                tags=["operations"],
                summary="Prometheus metrics",
            ),
        ]

    async def livez(self, call: Call) -> Reply:  # noqa: ARG002 - every endpoint takes the call
        """Say that the process answers."""
        return Reply(200, b'{"status":"alive"}')

    async def readyz(self, call: Call) -> Reply:  # noqa: ARG002
        """Say whether Redis answers, and what is wrong beside."""
        async with self._asking:
            if self._ready is None or self._clock() >= self._ready_until:
                self._ready = await self._ask()
                self._ready_until = self._clock() + _READY_FOR_SECONDS
        return self._ready

    async def metrics(self, call: Call) -> Reply:  # noqa: ARG002
        """Show counters and queue in the Prometheus text format."""
        queue, totals = await asyncio.gather(self._view.queue(), self._view.totals())
        gauges = {
            "otp_owed": queue.owed,
            "otp_owed_oldest_seconds": queue.oldest_seconds,
            "otp_dead": queue.dead,
            "otp_confirming_halted": 0 if queue.halted is None else 1,
            "otp_confirming_worked": int(queue.is_worked),
        }
        return Reply(200, self._view.metrics_text(totals, gauges), media_type=_TEXT)

    async def _ask(self) -> Reply:
        try:
            await self._view.ping()
        except StoreUnavailable:
            return problem_reply(ProblemAnswer("store_unavailable", retry_after_seconds=_READY_FOR_SECONDS))
        return Reply(200, to_json({"status": "ready", "store": "ok", **await self._queue()}))

    async def _queue(self) -> dict[str, object]:
        """Tell how confirming goes; a part of the queue that does not answer keeps nobody from verifying."""
        try:
            queue = await self._view.queue()
        except StoreUnavailable:
            return {"confirming": "unknown: part of the queue does not answer"}
        confirming = "ok" if queue.is_worked else "no worker is alive"
        if queue.halted is not None:
            confirming = f"halted: {queue.halted}"
        return {"confirming": confirming, "owed": queue.owed, "dead": queue.dead}
