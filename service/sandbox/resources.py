"""Writes messages and feedback as Twilio's JSON, with its keys, its RFC 2822 dates, and numbers as strings.

Shapes: https://www.twilio.com/docs/messaging/api/message-resource and .../message-feedback-resource.
"""

from datetime import datetime
from email.utils import format_datetime

from service.sandbox.addresses import channel_of
from service.sandbox.errors import delivery_error
from service.sandbox.records import Message
from service.sandbox.segments import count_segments

API_VERSION = "2010-04-01"


def message_resource(message: Message, account_sid: str) -> dict[str, object]:
    """Return the Message resource; `num_segments` is "0" until a Messaging Service has queued it."""
    uri = f"/{API_VERSION}/Accounts/{account_sid}/Messages/{message.sid}"
    return {
        "account_sid": account_sid,
        "api_version": API_VERSION,
        "body": message.body,
        "date_created": _rfc2822(message.created_at),
        "date_sent": _rfc2822(message.sent_at),
        "date_updated": _rfc2822(message.updated_at),
        "direction": message.direction,
        "error_code": message.error_code,
        "error_message": None if message.error_code is None else delivery_error(message.error_code),
        "from": message.sender,
        "messaging_service_sid": message.messaging_service_sid,
        "num_media": "0",
        "num_segments": _segments(message),
        "price": None,
        "price_unit": "USD" if message.sent_at else None,
        "sid": message.sid,
        "status": message.status,
        "subresource_uris": {"media": f"{uri}/Media.json", "feedback": f"{uri}/Feedback.json"},
        "to": message.to,
        "uri": f"{uri}.json",
    }


def feedback_resource(message: Message, account_sid: str) -> dict[str, object]:
    """Return the Feedback resource of a message that has just received feedback."""
    return {
        "account_sid": account_sid,
        "date_created": _rfc2822(message.created_at),
        "date_updated": _rfc2822(message.feedback_at),
        "message_sid": message.sid,
        "outcome": message.outcome,
        "uri": f"/{API_VERSION}/Accounts/{account_sid}/Messages/{message.sid}/Feedback.json",
    }


def _segments(message: Message) -> str:
    if message.status == "accepted":
        return "0"
    return str(count_segments(message.body)) if channel_of(message.to) == "sms" else "1"


def _rfc2822(moment: datetime | None) -> str | None:
    return format_datetime(moment) if moment else None
