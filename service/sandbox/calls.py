"""Calls that people make to numbers of the account: the signed webhooks, what is said, and the digits that are keyed.

https://www.twilio.com/docs/voice/twiml. The VoiceUrl says in TwiML what happens: Say and Pause, Gather, Redirect,
Hangup, and Reject, which as the first verb leaves the call unanswered. `conversation` performs the verbs; here are the
calls in progress and the form of their webhooks. Speech is text: nobody hears anything.
"""

import asyncio
import json
import uuid
from collections.abc import Coroutine, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from service.sandbox.account import Account
from service.sandbox.conversation import Conversation, Step
from service.sandbox.instructions import Instructions
from service.sandbox.ledger import Ledger
from service.sandbox.places import place_fields
from service.sandbox.records import Call
from service.sandbox.resources import API_VERSION
from service.sandbox.settings import SandboxSettings
from service.sandbox.twiml import TwimlError, Verb, read_twiml

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
        task = self._run(self._talk(conversation, step, extras))
        self._conversations[call.sid] = conversation, task
        task.add_done_callback(lambda _: self._conversations.pop(call.sid, None))
        return call

    def press(self, sid: str, keys: str) -> None:
        """Press keys in a call. Raise ValueError if it has ended, or if there are no such keys."""
        if not keys or not _KEYS.issuperset(keys):
            raise ValueError("A phone has the keys 0 to 9, * and #.")
        self._conversation(sid).press(keys)

    def stay_silent(self, sid: str) -> None:
        """End the present wait for a key now, as if the time were over. Raise ValueError if the call has ended."""
        self._conversation(sid).stay_silent()

    async def hang_up(self, sid: str) -> None:
        """End a call as the caller does. Raise ValueError if it has ended."""
        conversation, task = self._conversations.get(sid) or _refuse()
        await _cancel({task})
        conversation.end("completed" if conversation.is_answered else "no-answer")

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

    async def _talk(self, conversation: Conversation, step: Step | None, extras: Mapping[str, str]) -> None:
        """Perform one document after another until none is left."""
        if step is None or not step.url:
            return conversation.end("failed")
        try:
            while step is not None:
                # a caller who hangs up does not take the request back
                verbs = await asyncio.shield(self._run(self._ask(conversation.call, step, extras)))
                step = await conversation.perform(verbs, step.url)
        except TwimlError as error:
            conversation.fail(_APOLOGY, error.code)
        return conversation.end()

    async def _ask(self, call: Call, step: Step, extras: Mapping[str, str]) -> tuple[Verb, ...]:
        return await self._instructions.ask(
            step.url,
            {**self._form(call), **extras, **step.fields},
            read_twiml,
            about=(call.sid, call.status),
            method=step.method,
            unsigned=() if self._settings.sign_call_extras else _EXTRAS,
        )

    def _form(self, call: Call) -> dict[str, str]:
        """Return the fields that every webhook of a call has, under Twilio's names."""
        return {
            "AccountSid": self._settings.account_sid,
            "ApiVersion": API_VERSION,
            "CallSid": call.sid,
            "CallStatus": call.status,
            "Direction": "inbound",
            "From": call.sender,
            "Caller": call.sender,
            "To": call.to,
            "Called": call.to,
            **place_fields(call.sender, "From", "Caller"),
            **place_fields(call.to, "To", "Called"),
        }

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
