"""The calls in progress: the signed webhooks, what is said, and the digits that are keyed.

https://www.twilio.com/docs/voice/twiml. TwiML says what happens: Say and Pause, Gather, Redirect, Hangup, and Reject,
which as the first verb leaves a person's call unanswered. `conversation` performs the verbs, `outbound` lets phones
ring; here are the calls themselves, and those that people start. Speech is text: nobody hears anything.
"""

import asyncio
import json
import uuid
from collections.abc import Coroutine, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from service.sandbox.account import Account
from service.sandbox.call_fields import call_fields
from service.sandbox.conversation import Conversation, Step
from service.sandbox.instructions import Instructions
from service.sandbox.ledger import Ledger
from service.sandbox.records import Call
from service.sandbox.settings import SandboxSettings
from service.sandbox.twiml import TwimlError, Verb, parse_twiml, read_twiml

_EXTRAS = frozenset({"StirVerstat", "CallToken"})
_KEYS = frozenset("0123456789*#")
_APOLOGY = "We are sorry, an application error has occurred. Goodbye."


class Calls:
    """The calls of one sandbox. Stopping ends those in progress."""

    def __init__(self, settings: SandboxSettings, ledger: Ledger, account: Account, instructions: Instructions) -> None:
        self._settings = settings
        self._ledger = ledger
        self._account = account
        self._instructions = instructions
        self._conversations: dict[str, tuple[Conversation, asyncio.Task[None]]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self, *, caller: str, to: str, stir_verstat: str | None = None) -> Call:
        """Start a call and return it while it rings. Raise ValueError if the account does not have the number."""
        number = self._account.number(to) if to.startswith("+") else None
        if number is None:
            raise ValueError(f"{to} takes no calls: it is no number of the account.")
        now = datetime.now(UTC)
        call = Call(sid=f"CA{uuid.uuid4().hex}", to=to, sender=caller, status="ringing", created_at=now, updated_at=now)
        self._ledger.set_call(call)
        conversation = Conversation(call, self._ledger, self._settings.speech_seconds_per_word)
        extras = _extras(caller, stir_verstat)
        step = Step(number.voice_url, number.voice_method, {"CallToken": _token(call.sid)})
        self.begin(conversation, self.talk(conversation, step, extras))
        return call

    def begin(self, conversation: Conversation, work: Coroutine[Any, Any, None]) -> None:
        """Do the work of a call, during which people can act in it."""
        sid, task = conversation.call.sid, self._run(work)
        self._conversations[sid] = conversation, task
        task.add_done_callback(lambda _: self._conversations.pop(sid, None))

    def answer(self, sid: str) -> None:
        """Answer a phone that rings. Raise ValueError if it does not."""
        self._conversation(sid).answer()

    def press(self, sid: str, keys: str) -> None:
        """Press keys in a call. Raise ValueError if it has ended, or if there are no such keys."""
        if not keys or not _KEYS.issuperset(keys):
            raise ValueError("A phone has the keys 0 to 9, * and #.")
        self._conversation(sid).press(keys)

    def stay_silent(self, sid: str) -> None:
        """End the present wait for a key or an answer, as if the time were over. ValueError if the call has ended."""
        self._conversation(sid).stay_silent()

    async def hang_up(self, sid: str, status: str | None = None) -> None:
        """End a call, as the person does who hangs up or declines it. Raise ValueError if it has ended.

        `status` is that of the end; by default it is the person who ends the call.
        """
        conversation, task = self._conversations.get(sid) or _refuse()
        await _cancel({task})
        unanswered = "no-answer" if conversation.call.direction == "inbound" else "busy"
        conversation.end(status or ("completed" if conversation.is_answered else unanswered))

    def stop(self) -> None:
        """Stop every call where it is."""
        self._conversations.clear()
        for task in self._tasks:
            task.cancel()

    async def aclose(self) -> None:
        """Stop, and wait until every task has ended."""
        await _cancel(self._tasks)

    def _conversation(self, sid: str) -> Conversation:
        return (self._conversations.get(sid) or _refuse())[0]

    async def talk(
        self, conversation: Conversation, start: Step | str, extras: Mapping[str, str] | None = None
    ) -> None:
        """Perform one document after another until none is left. The first is `start`, or where that says."""
        if isinstance(start, Step) and not start.url:
            return conversation.end("failed")
        try:
            step = start if isinstance(start, Step) else await conversation.perform(parse_twiml(start.encode()), "")
            while step is not None:
                # a caller who hangs up does not take the request back
                verbs = await asyncio.shield(self._run(self._ask(conversation.call, step, extras or {})))
                step = await conversation.perform(verbs, step.url)
        except TwimlError as error:
            conversation.fail(_APOLOGY, error.code)
        return conversation.end()

    async def _ask(self, call: Call, step: Step, extras: Mapping[str, str]) -> tuple[Verb, ...]:
        return await self._instructions.ask(
            step.url,
            {**call_fields(call, self._settings.account_sid), **extras, **step.fields},
            read_twiml,
            about=(call.sid, call.status),
            method=step.method,
            unsigned=() if self._settings.sign_call_extras else _EXTRAS,
        )

    def _run(self, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._forget)
        return task

    def _forget(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # of a webhook whose caller has hung up, nobody else asks


def _extras(caller: str, stir_verstat: str | None) -> dict[str, str]:
    """Return what the caller's network says of the caller id; only those of the United States and Canada do."""
    verdict = stir_verstat or ("TN-Validation-Passed-A" if caller.startswith("+1") else None)
    return {"StirVerstat": verdict} if verdict else {}


def _token(sid: str) -> str:
    """Return a CallToken: JSON, percent-encoded once more than the form, as seen at Twilio."""
    return quote(json.dumps({"parentCallInfoToken": sid, "identityHeaderTokens": []}), safe="")


def _refuse() -> tuple[Conversation, "asyncio.Task[None]"]:
    raise ValueError("The call has ended.")


async def _cancel(tasks: "set[asyncio.Task[Any]]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
