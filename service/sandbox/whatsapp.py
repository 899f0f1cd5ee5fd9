"""Decides what becomes of a message by WhatsApp: the text of its template, or the error with which it will fail.

https://www.twilio.com/docs/whatsapp/api. A business may write first only with an approved template. Twilio accepts
the request and the message fails later, as here; but it refuses a ContentSid that the account does not have, and
variables that cannot be right. Nobody can write to the simulator by WhatsApp, so every message is the first.
"""

import json
from dataclasses import replace

from service.sandbox.addresses import channel_of
from service.sandbox.errors import TwilioError
from service.sandbox.records import Message
from service.sandbox.templates import Template, Templates

_NO_TEMPLATE = 63016  # also one that was never approved: Twilio then sends it as a free text
_WRONG_VARIABLES = 63028
_WITHDRAWN = {"rejected": 63040, "paused": 63041, "disabled": 63042}


def apply_template(message: Message, templates: Templates) -> Message:
    """Return the message with its text and the error that it will have; raise TwilioError if Twilio refuses it."""
    if channel_of(message.to) != "whatsapp":
        return message
    if message.content_sid is None:
        return replace(message, channel_error=_NO_TEMPLATE)
    template = templates.get(message.content_sid)
    if template is None:
        raise TwilioError(21655, message.content_sid)
    values = _values(message)
    if values.keys() != template.names:
        return replace(message, body="", channel_error=_WRONG_VARIABLES)
    return replace(message, body=template.text(values), channel_error=_refusal(template))


def _values(message: Message) -> dict[str, str]:
    values: dict[str, str] = json.loads(message.content_variables or "{}")
    for value in values.values():
        if not isinstance(value, str) or not value.strip() or "\n" in value:
            raise TwilioError(21656)
    return values


def _refusal(template: Template) -> int | None:
    status = template.approval.status
    return None if status == "approved" else _WITHDRAWN.get(status, _NO_TEMPLATE)
