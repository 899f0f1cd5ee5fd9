"""One call: performs the verbs of a TwiML document, and waits for the keys that the caller presses.

Gather (https://www.twilio.com/docs/voice/twiml/gather): its Say can be interrupted by a key. It ends with the last of
`numDigits`, with `finishOnKey`, or `timeout` seconds after the last key or the end of the speech. With digits, they are
posted to `action`; without any, the next verb follows, unless `actionOnEmptyResult`. Keys pressed earlier are lost.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple
from urllib.parse import urljoin

from service.sandbox.ledger import Ledger
from service.sandbox.records import Call, Line
from service.sandbox.twiml import TwimlError, Verb

_SCHEMA_ERROR = 12200
_MOST_DOCUMENTS = 100  # of a call: TwiML can redirect in circles
_STATUS_OF_REJECT = {"busy": "busy", "rejected": "no-answer"}


class Step(NamedTuple):
    """Where the next document is, and the fields of the request for it beside those of every request."""

    url: str
    method: str
    fields: Mapping[str, str]


class Conversation:
    """The state of one call in progress, which the ledger always has."""

    def __init__(self, call: Call, ledger: Ledger, seconds_per_word: float) -> None:
        self.call = call
        self._ledger = ledger
        self._seconds_per_word = seconds_per_word
        self._keys: asyncio.Queue[str | None] = asyncio.Queue()  # None: the time is over
        self._documents = 0

    @property
    def is_answered(self) -> bool:
        """Whether the account has picked up."""
        return self.call.status != "ringing"

    def press(self, keys: str) -> None:
        """Press one key after another."""
        for key in keys:
            self._keys.put_nowait(key)

    def stay_silent(self) -> None:
        """Let the present wait end."""
        self._keys.put_nowait(None)

    def end(self, status: str = "completed") -> None:
        """Record the end, unless it is recorded."""
        if self.call.status in {"ringing", "in-progress"}:
            self._change(status=status, is_gathering=False, num_digits=None)

    def fail(self, apology: str, code: int) -> None:
        """Record an error of a webhook, and what the caller hears then."""
        self._change(status="in-progress", error_code=code, lines=(*self.call.lines, Line(by="voice", text=apology)))

    async def perform(self, verbs: tuple[Verb, ...], url: str) -> Step | None:
        """Perform a document that came from `url`; return where the next one is, None if the call is over."""
        self._documents += 1
        if self._documents > _MOST_DOCUMENTS:
            return None
        if verbs and verbs[0].name == "Reject" and not self.is_answered:
            self.end(_STATUS_OF_REJECT.get(verbs[0].attributes.get("reason", "rejected"), "no-answer"))
            return None
        self._change(status="in-progress")
        for verb in verbs:
            match verb.name:
                case "Say" | "Pause":
                    await asyncio.sleep(self._speak((verb,)))
                case "Gather":
                    if (fields := await self._gather(verb)) is not None:
                        return _step(verb, url, verb.attributes.get("action", ""), fields)
                case "Redirect":
                    return _step(verb, url, verb.text, {})
                case "Hangup" | "Reject":
                    return None
                case _:
                    raise TwimlError(_SCHEMA_ERROR)
        return None

    def _speak(self, verbs: tuple[Verb, ...]) -> float:
        """Record what is said, and return how many seconds it takes."""
        seconds = 0.0
        for verb in verbs:
            if verb.name == "Pause":
                seconds += _number(verb, "length", 1)
            elif verb.name == "Say":
                seconds += len(verb.text.split()) * self._seconds_per_word * _number(verb, "loop", 1)
                self._say("voice", verb.text, verb.attributes.get("language", "en-US"))
            else:
                raise TwimlError(_SCHEMA_ERROR)
        return seconds

    def _say(self, by: Literal["voice", "caller"], text: str, language: str = "") -> None:
        self._change(lines=(*self.call.lines, Line(by=by, text=text, language=language)))

    async def _gather(self, verb: Verb) -> dict[str, str] | None:
        """Collect digits; return the fields to post, None if the next verb follows."""
        wanted, timeout = _number(verb, "numDigits", 0), _number(verb, "timeout", 5)
        finish = verb.attributes.get("finishOnKey", "#")
        speaking = self._speak(verb.nested)
        while not self._keys.empty():
            self._keys.get_nowait()
        self._change(is_gathering=True, num_digits=wanted or None)
        digits, key, wait = "", await self._key(speaking + timeout), timeout
        while key is not None and key != finish:
            digits += key
            if len(digits) == wanted:
                break
            key = await self._key(wait)
        self._change(is_gathering=False, num_digits=None)
        if digits:
            self._say("caller", digits)
        elif verb.attributes.get("actionOnEmptyResult") != "true":
            return None
        return {"Digits": digits, "FinishedOnKey": finish if key == finish else "", "msg": "Gather End"}

    async def _key(self, seconds: float) -> str | None:
        try:
            async with asyncio.timeout(seconds):
                return await self._keys.get()
        except TimeoutError:
            return None

    def _change(self, **changes: Any) -> None:
        self.call = replace(self.call, **changes, updated_at=datetime.now(UTC))
        self._ledger.set_call(self.call)


def _step(verb: Verb, url: str, target: str, fields: Mapping[str, str]) -> Step:
    """Without an action, the document's own URL is asked again."""
    return Step(urljoin(url, target) if target else url, verb.attributes.get("method", "POST"), fields)


def _number(verb: Verb, name: str, default: int) -> int:
    text = verb.attributes.get(name, "")
    if not text:
        return default
    if not text.isascii() or not text.isdigit():
        raise TwimlError(_SCHEMA_ERROR)
    return int(text[:6])
