"""Moves each message from queued through sent to its final status, and reports each step to its StatusCallback.

Without a fault, reports are sent in order, each after the response to the previous one. As at Twilio, the initial
status is not reported, so `queued` is reported only with a Messaging Service. The status changes on time even if
reports are late or lost. `faults` describes the faults of the endpoint `callbacks`; each message takes at most one.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any

from service.sandbox.addresses import WHATSAPP, channel_of
from service.sandbox.callbacks import Callbacks
from service.sandbox.faults import FaultPlan, Faults
from service.sandbox.ledger import Ledger
from service.sandbox.records import Message
from service.sandbox.settings import SandboxSettings

_UNREACHABLE = 30003  # handset off, unreachable or landline


class Carrier:
    """The tasks of all messages in transit. Stopping cancels them."""

    def __init__(self, settings: SandboxSettings, ledger: Ledger, faults: Faults, callbacks: Callbacks) -> None:
        self._settings = settings
        self._ledger = ledger
        self._faults = faults
        self._callbacks = callbacks
        self._tasks: set[asyncio.Task[None]] = set()

    async def accept(self, message: Message) -> None:
        """Start delivery and return at once; under the fault `before`, return after the first report was posted."""
        fault = self._faults.take("callbacks", channel_of(message.to))
        if fault is not None:
            self._ledger.open_fault(
                fault.simulated(to=message.to, sid=message.sid, status_callback=message.status_callback)
            )
        steps = ["queued", "sent"] if message.status == "accepted" else ["sent"]
        if fault is not None and fault.kind == "before":
            await self._report(self._move(message.sid, steps.pop(0)), fault)
        self._start(self._deliver(message.sid, fault, steps))

    def stop(self) -> None:
        """Stop every message in transit at its current status."""
        for task in self._tasks:
            task.cancel()

    async def aclose(self) -> None:
        """Stop, and wait until every task has ended."""
        self.stop()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _deliver(self, sid: str, fault: FaultPlan | None, steps: list[str]) -> None:
        """Move the message through these steps to its end; start a report of each, which waits for the previous one."""
        kind = fault.kind if fault else None
        last: asyncio.Task[None] | None = None
        held = None
        for status in steps:
            if status == "sent":
                await asyncio.sleep(self._settings.delivery_seconds)
            message = self._move(sid, status)
            if status == "sent" and kind == "out_of_order":
                held = message
            else:
                last = self._start(self._report(message, fault, after=last))
        await asyncio.sleep(self._settings.delivery_seconds)
        refused = self._ledger.message(sid)
        code = refused.channel_error if refused else None
        if fault and kind == "fail":
            code = fault.code or _UNREACHABLE
        end = self._ledger.move(sid, status="undelivered" if code else "delivered", error_code=code)
        last = self._start(self._report(end, fault, after=last))
        if held is not None:
            self._start(self._report(held, fault, after=last))

    async def read(self, sid: str) -> Message | None:
        """Report that the person has read a delivered message; None if its channel does not tell, as SMS."""
        message = self._ledger.message(sid)
        if message is None or message.status != "delivered" or ":" not in (message.sender or ""):
            return None
        message = self._ledger.move(sid, status="read")
        self._start(self._report(message, None))
        return message

    def _move(self, sid: str, status: str) -> Message | None:
        message = self._ledger.message(sid)
        return self._ledger.move(sid, status=status, sender=self._picked(message)) if message else None

    def _picked(self, message: Message) -> str:
        """Return the sender that a Messaging Service picks."""
        if channel_of(message.to) == "whatsapp":
            return WHATSAPP + self._settings.pool_number
        return f"rcs:{self._settings.rcs_sender}" if self._settings.rcs_sender else self._settings.pool_number

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
