"""The endpoints for operators: liveness, readiness, metrics.

`/livez` depends on nothing: restarting a process does not bring Redis back. `/readyz` tests at most once a second
whether verifications can be issued and checked, and shows the state of sending and confirming. `/metrics` is read and
rendered at most once a second, because anyone may request it unless `OTP_METRICS_KEY` is set. It is the same
from every worker, because the counters are in Redis; its docstring names the exceptions. If a part of Redis is
unavailable, it leaves out the counters, since a sum over some of the partitions would look like a counter that was
reset.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Generic, Literal, TypeVar

from pydantic import BaseModel
from starlette.responses import PlainTextResponse
from starlette.routing import BaseRoute

from service.api.readiness import (
    LATE_SECONDS,
    RETRY_AFTER_SECONDS,
    QueueState,
    ReadinessResponse,
    WaitState,
    draining,
    not_ready,
    readiness_response,
)
from service.core.prices import MILLIONTHS, BudgetUse
from service.core.store_health import StoreHealth, StoreUnavailable
from service.http.authentication import Access
from service.http.request import Request
from service.http.response import Response, problem_response
from service.http.route import DirectRoute

_T = TypeVar("_T")
_TEXT = "text/plain; version=0.0.4; charset=utf-8"


class LivenessResponse(BaseModel):
    """The process responds."""

    status: Literal["alive"] = "alive"


@dataclass(frozen=True, slots=True)
class OperationsView:
    """What the endpoints for operators can read."""

    health: Callable[[], Awaitable[StoreHealth]]
    queue: Callable[[], Awaitable[QueueState]]
    awaiting_sid: Callable[[], Awaitable[int]]
    budget: Callable[[], Awaitable[BudgetUse | None]]
    totals: Callable[[], Awaitable[Counter[str]]]
    sending_halted: Callable[[], str | None]
    retries_waiting: Callable[[], Mapping[str, int]]
    errors_unwritten: Callable[[], Mapping[str, int]]
    is_draining: Callable[[], bool]
    event_loop_lag: Callable[[], float]
    metrics_text: Callable[[Counter[str] | None, Mapping[str, float]], bytes]
    waits: WaitState | None = None


class OperationsEndpoints:
    """Responds to probes and scrapes."""

    def __init__(self, view: OperationsView, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._view = view
        self._health = _Cached(view.health, clock)
        self._queue = _Cached(partial(_known, view.queue), clock)
        self._metrics = _Cached(self._metrics_text, clock)

    def routes(self, metrics_access: Access | None) -> list[BaseRoute]:
        """List the routes. `metrics_access` None: anyone who reaches the port can read the metrics."""
        return [
            DirectRoute(
                "/livez",
                self.livez,
                in_flight_share=None,
                operation_id="readLiveness",
                access=None,
                response_model=LivenessResponse,
                response_description="The process responds.",
                tags=["operations"],
                summary="Alive?",
            ),
            DirectRoute(
                "/readyz",
                self.readyz,
                in_flight_share=None,
                operation_id="readReadiness",
                access=None,
                response_model=ReadinessResponse,
                response_description="Verifications can be issued and checked.",
                problems=(not_ready(), draining()),
                tags=["operations"],
                summary="Ready?",
            ),
            DirectRoute(
                "/metrics",
                self.metrics,
                in_flight_share=None,
                operation_id="readMetrics",
                access=metrics_access,
                response_class=PlainTextResponse,
                response_description="Counters of the whole deployment, in the Prometheus text format.",
                tags=["operations"],
                summary="Prometheus metrics",
            ),
        ]

    async def livez(self, request: Request) -> LivenessResponse:  # noqa: ARG002 - every endpoint gets the request
        """Tell that the process responds. Nothing else is tested, since a restart would not fix Redis."""
        return LivenessResponse()

    async def readyz(self, request: Request) -> Response:  # noqa: ARG002
        """Tell which partitions can issue and check verifications, and the state of sending and confirming.

        A small script tests each of the 16 partitions, at most once a second. The response is 503 if none of them
        works, and while the process drains.
        """
        if self._view.is_draining():
            return problem_response(draining())
        health, queue = await asyncio.gather(self._health(), self._queue())
        if not health.is_ready:
            return problem_response(not_ready(health))
        answer = readiness_response(
            health, queue, sending=self._sending(), process=self._process(), waits=self._view.waits
        )
        return Response(200, answer.model_dump_json(exclude_none=True).encode())

    async def metrics(self, request: Request) -> Response:  # noqa: ARG002
        """Show counters and queue in the Prometheus text format.

        They are kept in Redis and are the same from every process, except `otp_sending_halted`, `otp_retries_waiting`,
        `otp_partitions_unavailable`, `otp_store_errors_unwritten`, `otp_event_loop_lag_seconds` and
        `otp_replication_wait_seconds`. What cannot be read from Redis is left out. The text is at most one second old.
        """
        return Response(200, await self._metrics(), media_type=_TEXT)

    async def _metrics_text(self) -> bytes:
        health, queue, awaiting_sid, budget, totals = await asyncio.gather(
            self._health(),
            _known(self._view.queue),
            _known(self._view.awaiting_sid),
            _known(self._view.budget),
            _known(self._view.totals),
        )
        gauges: dict[str, float] = {
            "otp_sending_halted": 0 if self._view.sending_halted() is None else 1,
            "otp_event_loop_lag_seconds": self._view.event_loop_lag(),
        }
        if self._view.waits is not None:
            gauges["otp_replication_wait_seconds"] = self._view.waits.longest_seconds
        if queue is not None:
            gauges |= {
                "otp_outbox_pending": queue.pending,
                "otp_outbox_oldest_seconds": queue.oldest_seconds,
                "otp_outbox_failed": queue.failed,
                "otp_confirming_halted": 0 if queue.halted is None else 1,
                "otp_confirming_worked": int(queue.is_worked),
            }
        if awaiting_sid is not None:
            gauges["otp_awaiting_sid"] = awaiting_sid
        if budget is not None:
            gauges[f"otp_budget:{budget.currency}"] = budget.most / MILLIONTHS
            gauges[f"otp_budget_used:{budget.currency}"] = budget.used / MILLIONTHS
        unavailable = Counter(fault.cause.value for fault in health.faults.values())
        for name, by_label in {
            "otp_retries_waiting": self._view.retries_waiting(),
            "otp_partitions_unavailable": unavailable,
            "otp_store_errors_unwritten": self._view.errors_unwritten(),
        }.items():
            gauges |= {f"{name}:{label}": reading for label, reading in by_label.items()}
        return self._view.metrics_text(totals, gauges)

    def _sending(self) -> str:
        halted = self._view.sending_halted()
        return "ok" if halted is None else f"halted: {halted}"

    def _process(self) -> str:
        lag = self._view.event_loop_lag()
        return "ok" if lag < LATE_SECONDS else f"overloaded: up to {lag:.1f} s late within the last minute"


class _Cached(Generic[_T]):
    """Caches the result of a call for a second. Concurrent callers share one call."""

    def __init__(self, read: Callable[[], Awaitable[_T]], clock: Callable[[], float]) -> None:
        self._read = read
        self._clock = clock
        self._calling = asyncio.Lock()
        self._value: list[_T] = []
        self._fresh_until = 0.0

    async def __call__(self) -> _T:
        if not self._is_fresh():
            async with self._calling:
                if not self._is_fresh():
                    self._value = [await self._read()]
                    self._fresh_until = self._clock() + RETRY_AFTER_SECONDS
        return self._value[0]

    def _is_fresh(self) -> bool:
        return bool(self._value) and self._clock() < self._fresh_until


async def _known(read: Callable[[], Awaitable[_T]]) -> _T | None:
    """Read a value; None if Redis is unavailable."""
    try:
        return await read()
    except StoreUnavailable:
        return None
