"""Delivery: what Twilio says became of a message, in our words and in an order that never goes back.

Callbacks come in any order, twice, late, and even before Twilio has answered the send. Each carries
the Message SID, so one that arrives after a lost answer brings the SID home and lets a waiting
confirmation leave. (Twilio: "Track the Message Status of Outbound Messages".)
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from service.core.event_log import EventLog
from service.core.verification import Delivery, partition_of
from service.core.verification_store import VerificationStore

# Twilio's words on the left; new ones may appear without notice and say nothing to us.
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

# Twilio's have five digits; a longer number might be somebody's.
ERROR_CODES = range(10_000, 1_000_000)

_SENDER = re.compile(r"[A-Za-z0-9 +_&:.-]{1,64}")

# A status replaces one of a lower rank only; the three ends of a message are peers, the first one stays.
RANKS = {
    Delivery.UNKNOWN: 0,
    Delivery.QUEUED: 1,
    Delivery.SENT: 2,
    Delivery.DELIVERED: 3,
    Delivery.UNDELIVERED: 3,
    Delivery.FAILED: 3,
    Delivery.CANCELED: 3,
    Delivery.READ: 4,
}


def delivery_of(word: str) -> Delivery:
    """Translate Twilio's status word; an unfamiliar one is `unknown`, which changes nothing."""
    return _WORDS.get(word, Delivery.UNKNOWN)


def error_code_of(text: str) -> int | None:
    """Read an ErrorCode; None when it cannot be one of Twilio's."""
    return int(text) if re.fullmatch("[0-9]{5,6}", text) and int(text) in ERROR_CODES else None


def sender_of(text: str) -> str | None:
    """Read a From: a number, a short code, a name or a channel's address; None when it is none of them, or too long."""
    return text if _SENDER.fullmatch(text) else None


class CallbackSignature(Protocol):
    """Knows how Twilio signs its callbacks."""

    has_shared_keys: bool  # which sign in place of the Auth Token

    def is_genuine(self, url: str, fields: Mapping[str, Sequence[str]], signature: str, settings: str = "") -> bool:
        """Tell whether Twilio signed these form fields, blanks included, for this public URL; by `settings`, if any."""


class DeliveryReports:
    """Takes in what the signed status callbacks say."""

    def __init__(self, store: VerificationStore, *, wake: Callable[[str], None], event_log: EventLog) -> None:
        self._store = store
        self._wake = wake
        self._event_log = event_log

    async def record(
        self,
        verification_id: str,
        send_number: int,
        *,
        sid: str,
        word: str,
        error_code: int | None,
        sender: str | None = None,
    ) -> None:
        """Record one callback; wake the worker when it freed a waiting confirmation. May be repeated."""
        status = delivery_of(word)
        enqueued = await self._store.deliver(
            verification_id, send_number, sid=sid, status=status, error_code=error_code, sender=sender
        )
        self._event_log(
            "delivery_reported",
            verification_id=verification_id,
            send=send_number,
            delivery=status,
            error_code=error_code,
            enqueued=enqueued,
        )
        if enqueued:
            self._wake(partition_of(verification_id))
