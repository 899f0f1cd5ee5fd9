"""The planned faults: for which requests, and in which order.

A plan names one endpoint and one kind. It applies to the next `count` requests, or without `count` to every request
until the plans are ended; plans for the same endpoint queue in the order in which they were made. `twilio_endpoint`
(HTTP), `carrier` and `call_reports` (callbacks) and `outbound` (phone) simulate the faults.

HTTP endpoints (`messages`: POST Messages.json, `feedback`, `reads`: every GET, `account`: POSTs for numbers, Messaging
Services and templates, `calls`: POSTs for calls):
    429 (with Retry-After: `seconds`), 500, 503, unauthorized (401), forbidden (403), not_found (404), redirect (302 to
    another host), refuse (`code`): an ordinary response, request not processed
    reset, hang (for `seconds`, then closed): no response, request not processed
    lost_response (closed), garbage (2xx that is not JSON), slow (after `seconds`): request processed
Callbacks (`callbacks`; a plan is taken once per message or call by the account, when it is created):
    late (by `seconds`), double, out_of_order, before (the first is sent before the response to create), drop (none
    is sent), fail (a message ends undelivered, with `code`; a call fails)
The person's phone (`phone`; a plan is taken once per call by the account):
    busy, failed and canceled (before it rings), no_answer, voicemail (a machine answers, which presses no keys)
A plan for `messages` or `callbacks` with a `channel` applies only to that channel (`sms`, `whatsapp`, `voice`).
"""

import asyncio
from collections import deque
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from service.sandbox.addresses import Channel
from service.sandbox.records import SimulatedFault

Endpoint = Literal["messages", "feedback", "reads", "account", "calls", "callbacks", "phone"]
Kind = Literal[
    "429", "500", "503", "unauthorized", "forbidden", "not_found", "redirect", "refuse",
    "reset", "hang", "lost_response", "garbage", "slow",
    "late", "double", "out_of_order", "before", "drop", "fail",
    "busy", "no_answer", "voicemail", "failed", "canceled",
]  # fmt: skip
_OWN_KINDS = {  # all others are for HTTP
    "callbacks": frozenset({"late", "double", "out_of_order", "before", "drop", "fail"}),
    "phone": frozenset({"busy", "no_answer", "voicemail", "failed", "canceled"}),
}
_HANG_SECONDS = 30.0


class FaultPlan(BaseModel):
    """One kind of fault for the next `count` calls of one endpoint; `count` None means until ended.

    `seconds` defaults to 1, for `hang` to 30. `code` is Twilio's: required for `refuse`, by default 30003 for `fail`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    endpoint: Endpoint
    kind: Kind
    count: int | None = Field(default=None, ge=1, le=1_000_000, strict=True)
    seconds: float | None = Field(default=None, ge=0, le=3600)
    code: int | None = Field(default=None, ge=10_000, le=99_999, strict=True)
    channel: Channel | None = None

    @field_validator("kind", mode="before")
    @classmethod
    def _accept_numbers(cls, kind: Any) -> Any:
        return str(kind) if isinstance(kind, int) else kind

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        home = next((endpoint for endpoint, kinds in _OWN_KINDS.items() if self.kind in kinds), None)
        if home != (self.endpoint if self.endpoint in _OWN_KINDS else None):
            raise ValueError(f"the kind {self.kind} does not exist for the endpoint {self.endpoint}")
        if self.kind == "refuse" and self.code is None:
            raise ValueError("refuse needs the code of a Twilio error, for example 21610")
        if self.code is not None and self.kind not in {"refuse", "fail"}:
            raise ValueError(f"a code has no meaning for the kind {self.kind}")
        if self.channel is not None and self.endpoint not in {"messages", "callbacks"}:
            raise ValueError(f"a channel has no meaning for the endpoint {self.endpoint}")
        return self

    @property
    def wait_seconds(self) -> float:
        """The duration of this fault in seconds."""
        if self.seconds is not None:
            return self.seconds
        return _HANG_SECONDS if self.kind == "hang" else 1.0

    def simulated(self, *, to: str | None, sid: str | None, status_callback: str | None) -> SimulatedFault:
        """Tell that this fault is simulated now, of a message or a call."""
        return SimulatedFault(
            endpoint=self.endpoint,
            kind=self.kind,
            seconds=self.wait_seconds,
            code=self.code,
            to=to,
            sid=sid,
            status_callback=status_callback,
            at=datetime.now(UTC),
        )


class Faults:
    """The queue of plans. Ending them also ends the waits that they have caused."""

    def __init__(self) -> None:
        self._plans: deque[FaultPlan] = deque()
        self._ended = asyncio.Event()

    def plan(self, plan: FaultPlan) -> None:
        """Queue a plan after the existing ones."""
        self._plans.append(plan)

    def planned(self) -> list[FaultPlan]:
        """Return the remaining plans, oldest first, each with its remaining count."""
        return list(self._plans)

    def take(self, endpoint: Endpoint, channel: Channel | None = None) -> FaultPlan | None:
        """Return the plan that applies to this call and count it down, or None. `channel` is that of its message."""
        for place, plan in enumerate(self._plans):
            if plan.endpoint == endpoint and plan.channel in (None, channel):
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
        """Sleep for the plan's seconds, or until the plans are ended."""
        # not wait_for: it swallows a cancellation that comes together with the end of the plans
        with suppress(TimeoutError):
            async with asyncio.timeout(plan.wait_seconds):
                await self._ended.wait()
