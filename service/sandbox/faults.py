"""The planned faults: for which requests, and in which order.

A plan names one endpoint and one kind. It applies to the next `count` requests, or without `count` to every request
until the plans are ended; plans for the same endpoint queue in the order in which they were made. `twilio_endpoint`
(HTTP) and `carrier` (callbacks) simulate the faults.

HTTP endpoints (`messages`: POST Messages.json, `feedback`, `reads`: the two GETs, `calls`: accepted, no endpoint yet):
    429 (with Retry-After: `seconds`), 500, 503, unauthorized (401), forbidden (403), not_found (404), redirect (302 to
    another host), refuse (`code`): a plain answer, nothing processed
    reset, hang (for `seconds`, then closed): no answer, nothing processed
    lost_answer (closed), garbage (2xx that is not JSON), slow (after `seconds`): processed
Callbacks (`callbacks`; a plan is taken once per message, when it is created):
    late (by `seconds`), double, out_of_order, before (the first comes before create answers), drop (none comes),
    fail (ends undelivered, with `code`)
"""

import asyncio
from collections import deque
from contextlib import suppress
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Endpoint = Literal["messages", "feedback", "reads", "calls", "callbacks"]
Kind = Literal[
    "429", "500", "503", "unauthorized", "forbidden", "not_found", "redirect", "refuse",
    "reset", "hang", "lost_answer", "garbage", "slow",
    "late", "double", "out_of_order", "before", "drop", "fail",
]  # fmt: skip
_CALLBACK_KINDS = frozenset({"late", "double", "out_of_order", "before", "drop", "fail"})
_HANG_SECONDS = 30.0


class FaultPlan(BaseModel):
    """One kind of fault for the next `count` calls of one endpoint; `count` None means until ended.

    `seconds` defaults to 1, for `hang` to 30. `code` is Twilio's: `refuse` requires it, `fail` has 30003.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    endpoint: Endpoint
    kind: Kind
    count: int | None = Field(default=None, ge=1, le=1_000_000, strict=True)
    seconds: float | None = Field(default=None, ge=0, le=3600)
    code: int | None = Field(default=None, ge=10_000, le=99_999, strict=True)

    @field_validator("kind", mode="before")
    @classmethod
    def _accept_numbers(cls, kind: Any) -> Any:
        return str(kind) if isinstance(kind, int) else kind

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if (self.kind in _CALLBACK_KINDS) != (self.endpoint == "callbacks"):
            raise ValueError(f"the kind {self.kind} does not exist for the endpoint {self.endpoint}")
        if self.kind == "refuse" and self.code is None:
            raise ValueError("refuse needs the code of a Twilio error, for example 21610")
        if self.code is not None and self.kind not in {"refuse", "fail"}:
            raise ValueError(f"a code means nothing to the kind {self.kind}")
        return self

    @property
    def wait_seconds(self) -> float:
        """How long this fault lasts or delays."""
        if self.seconds is not None:
            return self.seconds
        return _HANG_SECONDS if self.kind == "hang" else 1.0


class Faults:
    """The queue of plans. Ending them also ends the waits that they have caused so far."""

    def __init__(self) -> None:
        self._plans: deque[FaultPlan] = deque()
        self._ended = asyncio.Event()

    def plan(self, plan: FaultPlan) -> None:
        """Queue a plan behind those made before it."""
        self._plans.append(plan)

    def planned(self) -> list[FaultPlan]:
        """Return what is still to come, oldest first, each with the count that is left."""
        return list(self._plans)

    def take(self, endpoint: Endpoint) -> FaultPlan | None:
        """Return the plan that strikes this call, counted down, or None."""
        for place, plan in enumerate(self._plans):
            if plan.endpoint == endpoint:
                if plan.count == 1:
                    del self._plans[place]
                elif plan.count is not None:
                    self._plans[place] = plan.model_copy(update={"count": plan.count - 1})
                return plan
        return None

    def end(self) -> None:
        """Delete all plans, and end the waits that they have caused."""
        self._plans.clear()
        self._ended.set()
        self._ended = asyncio.Event()

    async def wait(self, plan: FaultPlan) -> None:
        """Sleep for the plan's seconds, or until plans are ended."""
        # not wait_for: it swallows a cancellation that comes together with the end of the plans
        with suppress(TimeoutError):
            async with asyncio.timeout(plan.wait_seconds):
                await self._ended.wait()
