"""Validates the form of POST Calls.json and turns it into a call.

https://www.twilio.com/docs/voice/api/call-resource#create-a-call-resource. Magic numbers are those of Twilio's test
credentials (https://www.twilio.com/docs/iam/test-credentials#test-calls). Unknown parameters are ignored.
"""

import re
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from service.sandbox.conversation import Step
from service.sandbox.creation import check_webhook_url
from service.sandbox.errors import TwilioError
from service.sandbox.records import Call

_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_MAGIC_TO = {"+15005550001": 21217, "+15005550002": 21214, "+15005550003": 21215, "+15005550004": 21216}
_MAGIC_FROM = {"+15005550001": 21212, "+15005550007": 21210}
_EVENTS = frozenset({"initiated", "ringing", "answered", "completed"})
_MOST_TWIML = 4_000  # characters
_MOST_SECONDS = 600
_DEFAULT_SECONDS = 60


def read_call(form: Mapping[str, str], events: Sequence[str]) -> tuple[Call, Step | str]:
    """Return the call that this form requests and its first TwiML, or where that is; raise TwilioError if invalid.

    `events` are the values of StatusCallbackEvent, which may be repeated.
    """
    to, sender = form.get("To") or _refuse(21201), form.get("From") or _refuse(21213)
    if not _E164.fullmatch(to):
        raise TwilioError(21211, to)
    if not _E164.fullmatch(sender):
        raise TwilioError(21212, sender)
    for number, magic in ((sender, _MAGIC_FROM), (to, _MAGIC_TO)):
        if number in magic:
            raise TwilioError(magic[number], number)
    if unknown := set(events) - _EVENTS:
        raise TwilioError(21626, ", ".join(sorted(unknown)))
    callback = form.get("StatusCallback") or None
    now = datetime.now(UTC)
    call = Call(
        sid=f"CA{uuid.uuid4().hex}",
        to=to,
        sender=sender,
        status="queued",
        direction="outbound-api",
        created_at=now,
        updated_at=now,
        status_callback=check_webhook_url(callback, 21609) if callback else None,
        status_callback_method=_method(form, "StatusCallbackMethod"),
        status_events=tuple(events) or ("completed",),
        timeout_seconds=_seconds(form.get("Timeout") or str(_DEFAULT_SECONDS)),
    )
    return call, _start(form)


def _refuse(code: int) -> str:
    raise TwilioError(code)


def _start(form: Mapping[str, str]) -> Step | str:
    twiml, url = form.get("Twiml"), form.get("Url")
    if twiml and url:
        raise TwilioError(20422, "Twiml and Url exclude each other")
    if twiml:
        if len(twiml) > _MOST_TWIML:
            raise TwilioError(20422, f"Twiml is longer than {_MOST_TWIML} characters")
        return twiml
    return Step(check_webhook_url(url or _refuse(21205), 21205), _method(form, "Method"), {})


def _method(form: Mapping[str, str], name: str) -> str:
    value = form.get(name) or "POST"
    if value not in {"GET", "POST"}:
        raise TwilioError(20422, f"{name} must be GET or POST")
    return value


def _seconds(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:4]) <= _MOST_SECONDS):
        raise TwilioError(20422, f"Timeout must be a number of seconds from 1 to {_MOST_SECONDS}")
    return int(text)
