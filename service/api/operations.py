"""The operators' doors: alive, ready, metrics.

`/livez` depends on nothing: a process whose Redis is away must not be restarted for it. `/readyz`
asks Redis, at most once a second, and tells beside it what an operator should know. `/metrics` is
the same whichever worker answers, because its counters live in Redis; only whether sending is halted
and what waits to be tried again is each process's own knowledge.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from pydantic import BaseModel, Field
from starlette.responses import PlainTextResponse
from starlette.routing import BaseRoute

from service.api.auth import Access
from service.api.call import Call
from service.api.problems import ProblemAnswer
from service.api.reply import Reply, problem_reply
from service.api.route import LeanRoute
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
    def awaiting_sid(self) -> int:
        """How many have no SID yet, so that they cannot be owed."""

    @property
    def oldest_seconds(self) -> float:
        """How long the oldest one has been owed."""

    @property
    def halted(self) -> str | None:
        """Why posting has stopped."""

    @property
    def is_worked(self) -> bool:
        """Whether some worker is alive."""


class AliveAnswer(BaseModel):
    """The process answers."""

    status: Literal["alive"] = "alive"


class ReadyAnswer(BaseModel):
    """Redis answers; and what an operator should know beside."""

    status: Literal["ready"] = "ready"
    store: Literal["ok"] = "ok"
    sending: str = Field(
        description="`ok`, or why this process hands no message to Twilio; verifying goes on all the same.",
        examples=["ok"],
    )
    confirming: str = Field(
        description="`ok`, or why Twilio is not being told; verifying goes on all the same.", examples=["ok"]
    )
    owed: int | None = Field(
        default=None, description="Confirmations that Twilio has not taken yet; absent when unknown."
    )
    dead: int | None = Field(
        default=None, description="Confirmations given up in the last 14 days; absent when unknown."
    )


@dataclass(frozen=True, slots=True)
class OperationsView:
    """What the operators' doors may ask."""

    ping: Callable[[], Awaitable[None]]
    queue: Callable[[], Awaitable[QueueState]]
    totals: Callable[[], Awaitable[Counter[str]]]
    sending_halted: Callable[[], str | None]
    retries_waiting: Callable[[], Mapping[str, int]]
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
            LeanRoute(
                "/livez",
                self.livez,
                room=None,
                operation_id="readLiveness",
                access=None,
                response_model=AliveAnswer,
                response_description="The process answers.",
                tags=["operations"],
                summary="Alive?",
            ),
            LeanRoute(
                "/readyz",
                self.readyz,
                room=None,
                operation_id="readReadiness",
                access=None,
                response_model=ReadyAnswer,
                response_description="Redis answers.",
                problems=("store_unavailable",),
                tags=["operations"],
                summary="Ready?",
            ),
            LeanRoute(
                "/metrics",
                self.metrics,
                room=None,
                operation_id="readMetrics",
                access=metrics_access,
                response_class=PlainTextResponse,
                response_description="Counters of the whole deployment, in the Prometheus text format.",
                problems=("store_unavailable",),
                tags=["operations"],
                summary="Prometheus metrics",
            ),
        ]

    async def livez(self, call: Call) -> AliveAnswer:  # noqa: ARG002 - every endpoint takes the call
        """Say that the process answers. Nothing else is asked: a restart mends no Redis."""
        return AliveAnswer()

    async def readyz(self, call: Call) -> Reply:  # noqa: ARG002
        """Say whether Redis answers, and beside it how sending and confirming go. Asked at most once a second."""
        async with self._asking:
            if self._ready is None or self._clock() >= self._ready_until:
                self._ready = await self._ask()
                self._ready_until = self._clock() + _READY_FOR_SECONDS
        return self._ready

    async def metrics(self, call: Call) -> Reply:  # noqa: ARG002
        """Show counters and queue in the Prometheus text format.

        They are kept in Redis and the same from every process, but for `otp_sending_halted` and `otp_retries_waiting`.
        """
        queue, totals = await asyncio.gather(self._view.queue(), self._view.totals())
        gauges = {
            "otp_owed": queue.owed,
            "otp_awaiting_sid": queue.awaiting_sid,
            "otp_owed_oldest_seconds": queue.oldest_seconds,
            "otp_dead": queue.dead,
            "otp_sending_halted": 0 if self._view.sending_halted() is None else 1,
            "otp_confirming_halted": 0 if queue.halted is None else 1,
            "otp_confirming_worked": int(queue.is_worked),
            **{f"otp_retries_waiting:{step}": waiting for step, waiting in self._view.retries_waiting().items()},
        }
        return Reply(200, self._view.metrics_text(totals, gauges), media_type=_TEXT)

    async def _ask(self) -> Reply:
        try:
            await self._view.ping()
        except StoreUnavailable:
            return problem_reply(ProblemAnswer("store_unavailable", retry_after_seconds=_READY_FOR_SECONDS))
        return Reply(200, (await self._ready_answer()).model_dump_json(exclude_none=True).encode())

    async def _ready_answer(self) -> ReadyAnswer:
        """Tell how sending and confirming go; a part of the queue that does not answer keeps nobody from verifying."""
        halted = self._view.sending_halted()
        sending = "ok" if halted is None else f"halted: {halted}"
        try:
            queue = await self._view.queue()
        except StoreUnavailable:
            return ReadyAnswer(sending=sending, confirming="unknown: part of the queue does not answer")
        confirming = "ok" if queue.is_worked else "no worker is alive"
        if queue.halted is not None:
            confirming = f"halted: {queue.halted}"
        return ReadyAnswer(sending=sending, confirming=confirming, owed=queue.owed, dead=queue.dead)
