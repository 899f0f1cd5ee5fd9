"""One call: rings, performs the verbs of a TwiML document, and waits for the keys that the person presses.

Gather (https://www.twilio.com/docs/voice/twiml/gather): its Say can be interrupted by a key. It ends with the last of
`numDigits`, with `finishOnKey`, or `timeout` seconds after the last key or the end of the speech. With digits, they are
posted to `action`; without any, the next verb follows, unless `actionOnEmptyResult`. Keys pressed earlier are lost.

Say may contain SSML (https://www.twilio.com/docs/voice/twiml/say/text-speech#use-ssml): a `break` takes its time.
"""

import asyncio
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple
from urllib.parse import urljoin

from service.sandbox.ledger import Ledger
from service.sandbox.records import Call, Line
from service.sandbox.twiml import TwimlError, Verb

_SCHEMA_ERROR = 12200
_INVALID_TEXT = 13520
_SSML = frozenset({"break", "emphasis", "lang", "p", "phoneme", "prosody", "s", "say-as", "sub", "w"})
_MOST_DOCUMENTS = 100  # of a call: TwiML can redirect in circles
_DURATION = re.compile(r"([0-9]{1,5}(?:\.[0-9]+)?)(ms|s)")
_UNANSWERED = frozenset({"queued", "initiated", "ringing"})
_STATUS_OF_REJECT = {"busy": "busy", "rejected": "no-answer"}


class Step(NamedTuple):
    """Where the next document is, and the fields of the request for it beside those of every request."""

    url: str
    method: str
    fields: Mapping[str, str]


class Conversation:
    """The state of one call in progress, which the ledger always has. `report` is told of every new status."""

    def __init__(
        self, call: Call, ledger: Ledger, seconds_per_word: float, report: Callable[[Call], None] = lambda _: None
    ) -> None:
        self.call = call
        self._ledger = ledger
        self._seconds_per_word = seconds_per_word
        self._report = report
        self._ringing: asyncio.Future[bool] | None = None  # whether the person answers
        self._keys: asyncio.Queue[str | None] = asyncio.Queue()  # None: the time is over
        self._documents = 0

    @property
    def is_answered(self) -> bool:
        """Whether the call was answered."""
        return self.call.status not in _UNANSWERED

    async def ring(self, seconds: float | None) -> bool:
        """Ring for this long; return whether the person answers."""
        self._ringing = asyncio.get_running_loop().create_future()
        self.move("ringing")
        try:
            async with asyncio.timeout(seconds):
                return await self._ringing
        except TimeoutError:
            return False

    def answer(self) -> None:
        """Answer as the person whose phone rings. Raise ValueError if it does not ring."""
        if self._ringing is None or self._ringing.done():
            raise ValueError("The phone does not ring.")
        self._ringing.set_result(True)

    def pick_up(self, *, by_voicemail: bool) -> None:
        """Record that somebody has answered, or the voicemail of the person."""
        self._change(status="in-progress", is_voicemail=by_voicemail)

    def press(self, keys: str) -> None:
        """Press one key after another. Raise ValueError if a voicemail has answered."""
        if self.call.is_voicemail:
            raise ValueError("A voicemail presses no keys.")
        for key in keys:
            self._keys.put_nowait(key)

    def stay_silent(self) -> None:
        """Let the present wait end: for a key, or for an answer."""
        if self._ringing is not None and not self._ringing.done():
            self._ringing.set_result(False)
        else:
            self._keys.put_nowait(None)

    def move(self, status: str) -> None:
        """Record a new status."""
        self._change(status=status)

    def end(self, status: str = "completed") -> None:
        """Record the end, unless it is recorded."""
        if self.call.ended_at is None:
            self._change(status=status, is_gathering=False, num_digits=None, ended_at=datetime.now(UTC))

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
        if not self.is_answered:
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
                seconds += self._say_seconds(verb) * _number(verb, "loop", 1)
                self._say("voice", verb.text, verb.attributes.get("language", "en-US"))
            else:
                raise TwimlError(_SCHEMA_ERROR)
        return seconds

    def _say_seconds(self, verb: Verb) -> float:
        pauses = _pauses(verb)
        return len(verb.text.split()) * self._seconds_per_word + (pauses if self._seconds_per_word else 0)

    def _say(self, by: Literal["voice", "person"], text: str, language: str = "") -> None:
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
            self._say("person", digits)
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
        now, before = datetime.now(UTC), self.call
        if changes.get("status") == "in-progress" and before.answered_at is None:
            changes["answered_at"] = now
        self.call = replace(before, **changes, updated_at=now)
        self._ledger.set_call(self.call)
        if self.call.status != before.status:
            self._report(self.call)


def _step(verb: Verb, url: str, target: str, fields: Mapping[str, str]) -> Step:
    """Without an action, the document's own URL is asked again."""
    return Step(urljoin(url, target) if target else url, verb.attributes.get("method", "POST"), fields)


def _pauses(verb: Verb) -> float:
    """Return the seconds of the breaks in a Say; raise TwimlError for what is no SSML."""
    seconds = 0.0
    for part in verb.nested:
        if part.name not in _SSML:
            raise TwimlError(_INVALID_TEXT)
        if part.name == "break" and (time := part.attributes.get("time")):
            found = _DURATION.fullmatch(time)
            if found is None:
                raise TwimlError(_INVALID_TEXT)
            seconds += float(found[1]) / (1000 if found[2] == "ms" else 1)
        seconds += _pauses(part)
    return seconds


def _number(verb: Verb, name: str, default: int) -> int:
    text = verb.attributes.get(name, "")
    if not text:
        return default
    if not text.isascii() or not text.isdigit():
        raise TwimlError(_SCHEMA_ERROR)
    return int(text[:6])
