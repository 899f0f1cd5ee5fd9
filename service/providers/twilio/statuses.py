"""Twilio's words and forms: status words, error codes, senders and SIDs, read into the terms of `core`.

(https://www.twilio.com/docs/messaging/api/message-resource: message status values, error codes;
https://www.twilio.com/docs/voice/api/call-resource: call status values)
"""

import re

from service.core.verification import Delivery

# By default Twilio repeats a callback once, and only if it cannot connect; ours may bring a SID that was lost, or keys.
# The fragment is not signed. (https://www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides)
CALLBACK_RETRIES = "#rc=3&rp=ct,rt,5xx"

# New words may appear without notice: they are `unknown`.
_WORDS = {
    "accepted": Delivery.QUEUED,
    "scheduled": Delivery.QUEUED,
    "queued": Delivery.QUEUED,
    "sending": Delivery.QUEUED,
    "sent": Delivery.SENT,
    "partially_delivered": Delivery.SENT,
    "delivered": Delivery.DELIVERED,
    "undelivered": Delivery.UNDELIVERED,
    "failed": Delivery.FAILED,
    "canceled": Delivery.CANCELED,
    "read": Delivery.READ,
}
# A call ends `completed` whoever answered. If the person pressed a key, `delivered` was recorded by then, and stays.
_CALL_WORDS = {
    "queued": Delivery.QUEUED,
    "initiated": Delivery.QUEUED,
    "ringing": Delivery.SENT,
    "in-progress": Delivery.SENT,
    "completed": Delivery.UNDELIVERED,
    "busy": Delivery.UNDELIVERED,
    "no-answer": Delivery.UNDELIVERED,
    "failed": Delivery.FAILED,
    "canceled": Delivery.FAILED,
}
_ERROR_CODE = re.compile(r"[1-9][0-9]{4,5}")  # a longer number might be a phone number
_SENDER = re.compile(r"[A-Za-z0-9 +_&:.-]{1,64}")
_MESSAGING_SERVICE = re.compile(r"MG[0-9a-fA-F]{32}")
_MESSAGE_SID = re.compile(r"(?:SM|MM)[0-9a-fA-F]{32}")
_CALL_SID = re.compile(r"CA[0-9a-fA-F]{32}")


def delivery_of(word: str) -> Delivery:
    """Translate a status word; an unfamiliar one is `unknown`, which changes nothing."""
    return _WORDS.get(word, Delivery.UNKNOWN)


def call_delivery_of(word: str) -> Delivery:
    """Translate the status word of a call; an unfamiliar one is `unknown`, which changes nothing."""
    return _CALL_WORDS.get(word, Delivery.UNKNOWN)


def error_code_of(text: str) -> int | None:
    """Read an ErrorCode; None when it cannot be one."""
    return int(text) if _ERROR_CODE.fullmatch(text) else None


def sender_of(text: str) -> str | None:
    """Read a From: a number, a short code, a name or a channel's address; None when it is none of them, or too long."""
    return text if _SENDER.fullmatch(text) else None


def is_messaging_service(sender: str) -> bool:
    """Tell whether a sender is a Messaging Service, which chooses the number itself."""
    return _MESSAGING_SERVICE.fullmatch(sender) is not None


def is_message_sid(text: str) -> bool:
    """Tell whether a text has the form of a Message SID, and so may stand in a path of Twilio's API."""
    return _MESSAGE_SID.fullmatch(text) is not None


def is_call_sid(text: str) -> bool:
    """Tell whether a text has the form of a Call SID."""
    return _CALL_SID.fullmatch(text) is not None
