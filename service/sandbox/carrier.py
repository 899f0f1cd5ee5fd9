"""Carries each message from queued over sent to its end, and reports each step to its StatusCallback.

Without a fault the reports come in order, the second after the first was answered; there is none for the initial
status, as at Twilio. A message's status moves on time even when its reports are late or lost. Faults of the endpoint
`callbacks` change what is described in `faults`; each message takes at most one.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any

from service.sandbox.callbacks import Callbacks
from service.sandbox.faults import FaultPlan, Faults
from service.sandbox.ledger import Ledger, Message
from service.sandbox.settings import SandboxSettings

_UNREACHABLE = 30003  # handset off, unreachable or landline


class Carrier:
    """The tasks of all messages under way. Forgetting messages stops their tasks."""

    def __init__(self, settings: SandboxSettings, ledger: Ledger, faults: Faults, callbacks: Callbacks) -> None:
        self._settings = settings
        self._ledger = ledger
        self._faults = faults
        self._callbacks = callbacks
        self._tasks: set[asyncio.Task[None]] = set()

    async def accept(self, message: Message) -> None:
        """Start carrying; return at once, but under the fault `before` only when the first report was posted."""
        fault = self._faults.take("callbacks")
        early = fault is not None and fault.kind == "before"
        if early:
            await self._report(self._send(message.sid), fault)
        self._start(self._carry(message.sid, fault, sent=early))

    def stop(self) -> None:
        """Drop every message under way where it is."""
        for task in self._tasks:
            task.cancel()

    async def aclose(self) -> None:
        """Stop, and wait until every task has ended."""
        self.stop()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _carry(self, sid: str, fault: FaultPlan | None, *, sent: bool) -> None:
        """Move the message to its end and start a report of each step; the second in line waits for the first."""
        kind = fault.kind if fault else None
        first: asyncio.Task[None] | None = None
        message = None
        if not sent:
            await asyncio.sleep(self._settings.delivery_seconds)
            message = self._send(sid)
            if kind != "out_of_order":
                first = self._start(self._report(message, fault))
        await asyncio.sleep(self._settings.delivery_seconds)
        code = (fault.code or _UNREACHABLE) if fault and kind == "fail" else None
        end = self._ledger.move(sid, status="undelivered" if code else "delivered", error_code=code)
        last = self._start(self._report(end, fault, after=first))
        if kind == "out_of_order":
            self._start(self._report(message, fault, after=last))

    def _send(self, sid: str) -> Message | None:
        return self._ledger.move(sid, status="sent", sender=self._settings.pool_number)

    async def _report(
        self, message: Message | None, fault: FaultPlan | None, after: asyncio.Task[None] | None = None
    ) -> None:
        kind = fault.kind if fault else None
        if message is None or kind == "drop":
            return
        if fault is not None and kind == "late":
            await self._faults.wait(fault)
        if after is not None:
            await after
        for _ in range(2 if kind == "double" else 1):
            await self._callbacks.post(message)

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
