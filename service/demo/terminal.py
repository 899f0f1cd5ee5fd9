"""Prints what happens while the demo serves, one line per event: time, word, text.

The lines come from three sources, none of which needs a browser: the simulator's ledger (messages, their delivery,
what Twilio was told), the service's events (checks, cancellations, refused requests, warnings), and `recoveries` (which
fault was simulated, and how the service survived it). A line shows the text of a message with its secret, so that
somebody without a browser can read it; only the demo may do that, because nobody's phone is behind its numbers.

Printing never blocks: standard output is a queue (`logs.writer`).
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import typer

from service.core.actions import Action
from service.core.event_log import EventLog
from service.core.verification import Verdict
from service.demo.view import action_of, phone_of, send_number_of, view
from service.demo.window import Window
from service.http.problem_catalogue import CATALOGUE
from service.logs.event_log import open_event_log
from service.logs.terminal_text import paint, wrap
from service.logs.tracebacks import kind_and_place
from service.sandbox import Call, Ledger, Message, channel_of, number_of

_CHANNELS = {"sms": "SMS", "whatsapp": "WhatsApp"}
_WORD_WIDTH = len("undelivered")
_TEXT_COLUMN = len("00:00:00  ") + _WORD_WIDTH + len("  ")
# The lines about faults tell these better.
_TOLD_AS_FAULTS = frozenset({"send_unknown", "send_postponed"})
_SECRETS = {
    Action.CODE: "the code is",
    Action.PASSWORD: "the password is",
    Action.LINK: "the two digits on the link's page are",
    Action.REPLY: "the words of the reply are",
    Action.CALL: "the digits of the call are",
}
_ALL_THE_SAME = "; its message is confirmed all the same"
# What a check came to, with {what} of `_SECRETS`.
_VERDICTS = {
    Verdict.APPROVED: ("{what} right", "green"),
    Verdict.WRONG_CODE: ("{what} wrong", "yellow"),
    Verdict.EXPIRED: (f"{{what}} too late{_ALL_THE_SAME}", "yellow"),
    Verdict.SUPERSEDED: (f"{{what}} right, but a newer message was sent{_ALL_THE_SAME}", "yellow"),
    Verdict.USED: ("too late: the verification was approved before", "yellow"),
    Verdict.CANCELED: ("too late: the verification was canceled", "yellow"),
    Verdict.LOCKED: ("not compared: the attempts are used up, or the number is stopped", "red"),
    Verdict.MISMATCH: ("not compared: `to` or `purpose` is not that of the verification", "red"),
}


class EventLines:
    """Prints the lines of one demo. Give `event_log` to the application, and `follow` the rest while it serves."""

    def __init__(self, window: Window, ledger: Ledger) -> None:
        self._window = window
        self._ledger = ledger
        self._is_open = False
        self._said: dict[str, int] = {}  # how many sentences of each call are printed
        self._warn: EventLog = open_event_log("warning", to=self._print_warning)

    @asynccontextmanager
    async def follow(self) -> AsyncIterator[None]:
        """Print every event from now on."""
        self._is_open = True
        tasks = [asyncio.create_task(self._follow_simulator()), asyncio.create_task(self._follow_faults())]
        for task in tasks:
            task.add_done_callback(self._note_failure)
        try:
            yield
        finally:
            self._is_open = False
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def event_log(self, event: str, /, **fields: Any) -> None:
        """Print an event of the service, if a person would want to know of it; warnings and errors always."""
        if event not in _TOLD_AS_FAULTS:
            self._warn(event, **fields)
        if not self._is_open:
            return
        if event == "verification_canceled":
            self._print("canceled", self._name(fields["verification_id"]), "yellow")
        elif event == "request" and "verdict" in fields:
            self._print_check(fields)
        elif event == "request" and "problem" in fields:
            self._print_refusal(fields)

    def _print_check(self, fields: dict[str, Any]) -> None:
        verdict, verification_id = fields["verdict"], fields["verification_id"]
        text, colour = _VERDICTS[verdict]
        text = text.format(what=_SECRETS[action_of(verification_id, self._ledger)])
        again = " (repeated request)" if fields.get("replayed") else ""
        self._print(verdict, f"{self._name(verification_id)}: {text}{again}, {_ms(fields)}", colour)

    def _print_refusal(self, fields: dict[str, Any]) -> None:
        problem, route = fields["problem"], fields.get("route")
        if route is None and fields["status"] == 404:  # noqa: PLR2004 - such as a browser's request for an icon
            return
        limit = f" ({fields['limit']})" if fields.get("limit") else ""
        what = f"{fields['method']} {route}: " if route else ""
        self._print("refused", f"{what}{fields['status']} {problem}{limit}. {CATALOGUE[problem].title}.", "yellow")

    def _print_warning(self, line: bytes, _: bool) -> None:  # noqa: FBT001 - as `open_event_log` calls it
        fields = json.loads(line)
        more = "".join(f", {name} {fields[name]}" for name in fields if name not in {"event", "level", "timestamp"})
        self._print(fields["level"], f"{fields['event']}{more}", "red")

    async def _follow_simulator(self) -> None:
        with self._ledger.subscribe() as changes:
            while (change := await changes.get()) is not None:
                name, entry = change
                if isinstance(entry, Message):
                    self._print_message(name, entry)
                elif isinstance(entry, Call):
                    self._print_call(entry)

    def _print_message(self, change: str, message: Message) -> None:
        number = send_number_of(message)
        to = number_of(message.to) + (f" (message {number})" if number > 1 else "")
        if change == "message":
            self._print(_CHANNELS[channel_of(message.to)], f"to {to}: “{' '.join(message.body.split())}”", "cyan")
        elif change == "inbound":
            self._print("reply", f"from {message.sender}: “{' '.join(message.body.split())}”", "cyan")
        elif change == "outcome" and message.outcome == "confirmed":
            self._print("confirmed", f"Twilio knows that the message to {to} arrived", "green")
        elif change == "scan":
            self._print("scanned", f"A scanner opened the link to {to}: {', '.join(message.scans[-2:])}", "yellow")
        elif change == "status" and message.status == "delivered":
            self._print("delivered", f"to {to}", "green")
        elif change == "status" and message.status == "read":
            self._print("read", f"by {to}", "green")
        elif change == "status" and message.status in {"undelivered", "failed"}:
            code = f": error {message.error_code}" if message.error_code else ""
            self._print(message.status, f"to {to}{code}", "red")

    def _print_call(self, call: Call) -> None:
        is_ours = call.direction == "outbound-api"
        who = f"to {call.to}" if is_ours else f"from {call.sender}"
        if call.status == "ringing":
            self._print("call", f"{who}: answer it on the virtual phone" if is_ours else who, "cyan")
        said = [line.text for line in call.lines if line.by == "voice"] if is_ours else []
        for text in said[self._said.get(call.sid, 0) :]:
            self._print("said", f"{who}: “{text}”", "cyan")
        self._said[call.sid] = len(said)
        if call.ended_at is not None:
            keyed = " and ".join(line.text for line in call.lines if line.by == "person") or "nothing"
            self._print("called", f"{who}: {call.status}, keyed {keyed}", "cyan")
            del self._said[call.sid]

    async def _follow_faults(self) -> None:
        told: dict[tuple[str, int, str], bool] = {}  # whether the line about its end was printed
        async with self._window.changes() as changes:
            # The Redis client may swallow a cancellation that comes together with its reply.
            while self._is_open and (change := await changes.get()) is not None:
                verification_id = change[0]
                shown = view(verification_id, await self._window.record(verification_id), self._ledger)
                for fault in shown["recoveries"]:
                    self._print_fault(told, verification_id, fault)

    def _print_fault(self, told: dict[tuple[str, int, str], bool], verification_id: str, fault: dict[str, Any]) -> None:
        """Print what is new of a fault: that it happened, and that it was survived, which may be known at once."""
        key = verification_id, fault["number"], fault["fault"]
        name = self._name(verification_id) + (f" (message {fault['number']})" if fault["number"] > 1 else "")
        if key not in told:
            answer = "" if fault["is_over"] else f" {fault['answer']}"
            self._print("fault", f"{name}: {fault['trouble']}{answer}", "yellow")
        if fault["is_over"] and not told.get(key):
            self._print("survived", f"{name}: {fault['answer']}", "green")
        told[key] = told.get(key, False) or fault["is_over"]

    def _note_failure(self, task: "asyncio.Task[None]") -> None:
        if not task.cancelled() and (failure := task.exception()) is not None:
            self._warn("uncaught_exception", **kind_and_place(failure))

    def _name(self, verification_id: str | None) -> str:
        """Name a verification by its number, or by its id if the simulator has nothing of it."""
        if verification_id is None:
            return "unknown verification"
        return phone_of(verification_id, self._ledger) or verification_id

    def _print(self, word: str, text: str, colour: str) -> None:
        time = paint(f"{datetime.now().astimezone():%H:%M:%S}", "dim")
        typer.echo(f"{time}  {paint(f'{word:<{_WORD_WIDTH}}', colour)}  {wrap(text, indent=_TEXT_COLUMN)}")


def _ms(fields: dict[str, Any]) -> str:
    return f"{fields['duration_ms']:.0f} ms"
