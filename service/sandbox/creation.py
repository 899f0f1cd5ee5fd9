"""Validates the form of POST Messages.json in Twilio's order and turns it into a message.

Strict where Twilio is: `ProvideFeedback` must be exactly `true` or `false`, numbers must be E.164. Magic numbers are
those of Twilio's test credentials (https://www.twilio.com/docs/iam/test-credentials). A number with `whatsapp:` before
it is on WhatsApp; both ends must be. Unknown parameters are ignored, as at Twilio.
"""

import json
import re
from collections.abc import Mapping
from datetime import datetime

from yarl import URL

from service.sandbox.addresses import channel_of, number_of
from service.sandbox.errors import TwilioError
from service.sandbox.records import Message

_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_SENDER = re.compile(r"\+[1-9][0-9]{6,14}|[0-9]{3,8}|(?=.*[A-Za-z])[A-Za-z0-9 +_&-]{1,11}")
_SERVICE = re.compile(r"MG[0-9a-fA-F]{32}")
_CONTENT = re.compile(r"HX[0-9a-fA-F]{32}")
_HOST_LABEL = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)")
_URL_TEXT = re.compile(r"[!-~]+")  # printable ASCII without blanks
_BODY_LIMIT = 1600  # characters
_VALIDITY_LIMIT = 36_000  # seconds

_MAGIC_TO = {
    "+15005550001": 21211,
    "+15005550002": 21612,
    "+15005550003": 21408,
    "+15005550004": 21610,
    "+15005550009": 21614,
}
_MAGIC_FROM = {"+15005550001": 21212, "+15005550007": 21606, "+15005550008": 21611}
_NO_WHATSAPP_SENDER = 63007


def read_message(form: Mapping[str, str], *, sid: str, now: datetime) -> Message:
    """Return the message that this form requests; raise TwilioError with Twilio's code if the form is invalid."""
    to = form.get("To") or _refuse(21604)
    body, content_sid = form.get("Body", ""), form.get("ContentSid") or None
    if not body and not content_sid:
        raise TwilioError(21602)
    sender, service = form.get("From") or None, form.get("MessagingServiceSid") or None
    _check_ends(to, sender, service)
    if len(body) > _BODY_LIMIT:
        raise TwilioError(21617)
    tracked = _one_of(form, "ProvideFeedback", "true", "false") == "true"
    return Message(
        sid=sid,
        to=to,
        sender=sender,
        body=body,
        status="accepted" if service else "queued",
        provide_feedback=tracked,
        outcome="unconfirmed" if tracked else None,
        created_at=now,
        updated_at=now,
        messaging_service_sid=service,
        status_callback=_callback(form),
        validity_period_seconds=_whole(form, "ValidityPeriod", 21624, _VALIDITY_LIMIT) or _VALIDITY_LIMIT,
        attempt=_whole(form, "Attempt", 20422),
        risk_check=_one_of(form, "RiskCheck", "enable", "disable"),
        message_intent=form.get("MessageIntent") or None,
        content_retention=_one_of(form, "ContentRetention", "retain", "discard"),
        address_retention=_one_of(form, "AddressRetention", "retain", "obfuscate"),
        content_sid=content_sid,
        content_variables=_content_variables(form, content_sid),
    )


def _refuse(code: int) -> str:
    raise TwilioError(code)


def _check_ends(to: str, sender: str | None, service: str | None) -> None:
    if not sender and not service:
        raise TwilioError(21603)
    if not _E164.fullmatch(number_of(to)):
        raise TwilioError(21211, to)
    channel = channel_of(to)
    if sender and channel_of(sender) != channel:
        raise TwilioError(21910)
    if sender and not (_SENDER if channel == "sms" else _E164).fullmatch(number_of(sender)):
        raise TwilioError(21212, sender)
    if service and not _SERVICE.fullmatch(service):
        raise TwilioError(21705, service)
    if sender == to:
        raise TwilioError(21266, to)
    if channel == "whatsapp" and sender and number_of(sender) in _MAGIC_FROM:
        raise TwilioError(_NO_WHATSAPP_SENDER, sender)
    for number, magic in ((sender, _MAGIC_FROM), (to, _MAGIC_TO)):
        if number in magic:
            raise TwilioError(magic[number], number)


def _content_variables(form: Mapping[str, str], content_sid: str | None) -> str | None:
    if content_sid and not _CONTENT.fullmatch(content_sid):
        raise TwilioError(21655, content_sid)
    variables = form.get("ContentVariables") or None
    if variables is None:
        return None
    if content_sid is None:
        raise TwilioError(21654)
    try:
        is_object = isinstance(json.loads(variables), dict)
    except (ValueError, RecursionError):
        is_object = False
    if not is_object:
        raise TwilioError(21656)
    return variables


def _one_of(form: Mapping[str, str], name: str, *allowed: str) -> str | None:
    value = form.get(name)
    if value is None or value in allowed:
        return value
    raise TwilioError(20422, f"{name} must be one of {', '.join(allowed)}")


def _whole(form: Mapping[str, str], name: str, code: int, limit: int = 1_000_000) -> int | None:
    value = form.get(name)
    if value is None:
        return None
    if not (value.isascii() and value.isdigit() and len(value) <= len(str(limit)) and 1 <= int(value) <= limit):
        raise TwilioError(code, value)
    return int(value)


def _callback(form: Mapping[str, str]) -> str | None:
    url = form.get("StatusCallback") or None
    return None if url is None else check_webhook_url(url, 21609)


def check_webhook_url(url: str, code: int) -> str:
    """Return the URL, or raise TwilioError. As at Twilio, http is allowed, but an underscore in the host is not."""
    try:
        target = URL(url, encoded=True)
        host, _port = target.host or "", target.port
    except ValueError:
        raise TwilioError(code, url) from None
    valid_host = ":" in host or all(_HOST_LABEL.fullmatch(label) for label in host.split("."))
    if target.scheme not in {"http", "https"} or not valid_host or not _URL_TEXT.fullmatch(url):
        raise TwilioError(code, url)
    return url
