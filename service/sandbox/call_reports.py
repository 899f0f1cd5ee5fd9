"""Reports the status of calls by the account to their StatusCallback.

https://www.twilio.com/docs/voice/api/call-resource#statuscallbackevent. The events are `initiated`, `ringing`,
`answered` (status `in-progress`), and `completed`, which stands for every end. Only those in StatusCallbackEvent are
posted, `completed` alone by default. Without a fault they are posted in order, each after the response to the previous
one. `faults` describes the faults of the endpoint `callbacks`; each call takes at most one.
"""

import asyncio
import math
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

from service.sandbox.call_fields import call_fields
from service.sandbox.faults import FaultPlan, Faults
from service.sandbox.ledger import Ledger
from service.sandbox.records import Call, CallbackPost
from service.sandbox.settings import SandboxSettings
from service.sandbox.webhooks import WebhookResponse, Webhooks

_EVENTS = {"queued": "", "initiated": "initiated", "ringing": "ringing", "in-progress": "answered"}
_SIP_CODES = {"completed": 200, "busy": 486, "no-answer": 487, "canceled": 487, "failed": 404}


@dataclass(slots=True)
class _Reporting:
    """The reports of one call: how many, the newest, the one that waits for the end, and the fault."""

    fault: FaultPlan | None
    count: int = 0
    newest: "asyncio.Task[None] | None" = None
    held: tuple[Call, Mapping[str, str]] | None = None

    @property
    def kind(self) -> str | None:
        """The kind of the fault."""
        return self.fault.kind if self.fault else None


class CallReports:
    """The status callbacks of the calls of one sandbox."""

    def __init__(self, settings: SandboxSettings, ledger: Ledger, faults: Faults, webhooks: Webhooks) -> None:
        self._account_sid = settings.account_sid
        self._ledger = ledger
        self._faults = faults
        self._webhooks = webhooks
        self._calls: dict[str, _Reporting] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def open(self, call: Call, fault: FaultPlan | None) -> None:
        """Begin to report a call."""
        self._calls[call.sid] = _Reporting(fault)

    def report(self, call: Call) -> None:
        """Report the new status of a call, if its events ask for it."""
        state = self._calls.get(call.sid)
        event = _EVENTS.get(call.status, "completed")
        if state is None:
            return
        if event == "completed":
            del self._calls[call.sid]
        if not call.status_callback or event not in call.status_events or state.kind == "drop":
            return
        form = self._form(call, event, state.count)
        state.count += 1
        if state.kind == "out_of_order" and state.count == 1 and event != "completed":
            state.held = call, form
            return
        self._start(state, self._post(call, form, state, state.newest))
        if event == "completed" and state.held is not None:
            self._start(state, self._post(*state.held, state, state.newest))

    async def sent(self, sid: str) -> None:
        """Wait until the reports so far have been posted."""
        state = self._calls.get(sid)
        if state is not None and state.newest is not None:
            await state.newest

    def stop(self) -> None:
        """Stop reporting."""
        self._calls.clear()
        for task in self._tasks:
            task.cancel()

    async def aclose(self) -> None:
        """Stop, and wait until every task has ended."""
        self.stop()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _form(self, call: Call, event: str, number: int) -> dict[str, str]:
        form = {
            **call_fields(call, self._account_sid),
            "CallbackSource": "call-progress-events",
            "SequenceNumber": str(number),
            "Timestamp": format_datetime(call.updated_at),
        }
        if event == "completed":
            seconds = call_seconds(call)
            form["CallDuration"] = str(seconds)
            form["Duration"] = str(math.ceil(seconds / 60))
            form["SipResponseCode"] = str(_SIP_CODES[call.status])
        return form

    async def _post(
        self, call: Call, form: Mapping[str, str], state: _Reporting, after: "asyncio.Task[None] | None"
    ) -> None:
        if state.fault is not None and state.kind == "late":
            await self._faults.wait(state.fault)
        if after is not None:
            await asyncio.wait({after})

        def record(url: str, response: WebhookResponse) -> None:
            post = CallbackPost(
                sid=call.sid, message_status=call.status, url=url, result=response.result, at=datetime.now(UTC)
            )
            self._ledger.add_callback(post)

        for _ in range(2 if state.kind == "double" else 1):
            await self._webhooks.post(call.status_callback or "", form, record, method=call.status_callback_method)

    def _start(self, state: _Reporting, work: Coroutine[Any, Any, None]) -> None:
        state.newest = task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def call_seconds(call: Call) -> int:
    """Return how long a call has lasted since it was answered; 0 if it was not."""
    if call.answered_at is None:
        return 0
    return math.ceil(((call.ended_at or call.updated_at) - call.answered_at).total_seconds())
