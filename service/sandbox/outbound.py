"""Calls by the account: the phone rings until a person answers or declines, or until the time is over.

A planned fault of the endpoint `phone` decides instead of the person: the line is busy, nobody answers, a voicemail
answers, the call fails, or it is canceled (see `faults`). What is said then is `calls`' matter.
"""

import asyncio

from service.sandbox.call_reports import CallReports
from service.sandbox.calls import Calls
from service.sandbox.conversation import Conversation, Step
from service.sandbox.faults import Faults
from service.sandbox.ledger import Ledger
from service.sandbox.records import Call
from service.sandbox.settings import SandboxSettings

_BEFORE_RINGING = frozenset({"busy", "failed", "canceled"})


class OutboundCalls:
    """The calls that the account of one sandbox makes."""

    def __init__(
        self, settings: SandboxSettings, ledger: Ledger, faults: Faults, calls: Calls, reports: CallReports
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._faults = faults
        self._calls = calls
        self._reports = reports

    async def place(self, call: Call, start: Step | str) -> None:
        """Start the call and return at once; under the fault `before`, after the first report was posted."""
        reporting, phone = self._faults.take("callbacks", "voice"), self._faults.take("phone")
        self._ledger.set_call(call)
        for fault in filter(None, (reporting, phone)):
            self._ledger.open_fault(fault.simulated(to=call.to, sid=call.sid, status_callback=call.status_callback))
        self._reports.open(call, reporting)
        conversation = Conversation(call, self._ledger, self._settings.speech_seconds_per_word, self._reports.report)
        fate = "failed" if reporting is not None and reporting.kind == "fail" else phone.kind if phone else None
        if reporting is not None and reporting.kind == "before":
            conversation.move("initiated")
            await self._reports.sent(call.sid)
        self._calls.begin(conversation, self._connect(conversation, fate, start))

    async def end(self, call: Call, *, is_forced: bool) -> None:
        """End a call that has not been answered, or if forced any; raise ValueError if it has ended."""
        if call.answered_at is None:
            await self._calls.hang_up(call.sid, status="canceled")
        elif is_forced or call.ended_at is not None:
            await self._calls.hang_up(call.sid)

    async def _connect(self, conversation: Conversation, fate: str | None, start: Step | str) -> None:
        conversation.move("initiated")
        await asyncio.sleep(self._settings.delivery_seconds)
        if fate in _BEFORE_RINGING:
            return conversation.end(fate)
        if fate is None:
            if not await conversation.ring(conversation.call.timeout_seconds):
                return conversation.end("no-answer")
        else:
            conversation.move("ringing")
            await asyncio.sleep(self._settings.delivery_seconds)
            if fate == "no_answer":
                return conversation.end("no-answer")
        conversation.pick_up(by_voicemail=fate == "voicemail")
        return await self._calls.talk(conversation, start)
