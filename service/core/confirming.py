"""Confirming: reports to the provider, for each message whose code was used, that the message was received.

This is one handler of the outbox (`service.core.outbox`), which leases, repeats, halts and gives up. An entry's key is
the SID of the message; its particulars are written by `check.lua` and `deliver.lua`.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from service.core.event_log import LogValue
from service.core.instants import instant
from service.core.outbox import (
    ILLEGIBLE,
    Delivered,
    Events,
    FailedEntry,
    Forbidden,
    OutboxEntry,
    Outcome,
    Reject,
    Retry,
)
from service.core.sender import ConfirmForbidden, ConfirmPostponed, ConfirmRefused, Sender

_SEND_NUMBER = re.compile("[0-9]{1,9}")


class Confirmation(NamedTuple):
    """The particulars of an entry: which send carried the code, where it went, and how."""

    verification_id: str
    send_number: int
    country: str
    channel: str


def read_confirmation(particulars: str) -> Confirmation | None:
    """Read `verification id|send number|country|channel`; None if it is anything else."""
    match particulars.split("|"):
        case [verification_id, send, country, channel] if _SEND_NUMBER.fullmatch(send):
            return Confirmation(verification_id, int(send), country, channel)
        case _:
            return None


def entry_fields(entry: OutboxEntry) -> dict[str, Any]:
    """Name what is stored of a confirmation, for operators; None for what cannot be read."""
    confirmation = read_confirmation(entry.particulars)
    return {
        "sid": entry.key,
        "verification_id": None if confirmation is None else confirmation.verification_id,
        "send": None if confirmation is None else confirmation.send_number,
        "tries": entry.tries,
        "since": instant(entry.since_ms) if entry.is_legible else None,
    }


def failed_fields(failed: FailedEntry) -> dict[str, Any]:
    """Name what is stored of a confirmation that was given up."""
    return entry_fields(failed.entry) | {"failed_at": instant(failed.failed_at_ms), "reason": failed.reason}


class ConfirmationHandler:
    """Posts the feedback of one message, through the sender of the provider that the message's id belongs to."""

    kind = "confirmation"
    events = Events(
        settled="confirmation_settled",
        failed="confirmation_failed",
        postponed="confirmation_postponed",
        fault="confirmation_fault",
        left_to_its_lease="confirmation_left_to_its_lease",
        halted="confirming_halted",
        resumed="confirming_resumed",
    )

    def __init__(self, senders: Iterable[Sender]) -> None:
        self._senders = tuple(senders)

    async def deliver(self, entry: OutboxEntry) -> Outcome:
        """Report `confirmed` for the message. Repeating it changes nothing at the provider."""
        sender = next((sender for sender in self._senders if sender.is_sid(entry.key)), None)
        if sender is None or read_confirmation(entry.particulars) is None:
            return ILLEGIBLE
        try:
            await sender.confirm(entry.key)
        except ConfirmForbidden as forbidden:
            return Forbidden(str(forbidden), forbidden.is_of_credentials)
        except ConfirmPostponed as postponed:
            return Retry(str(postponed), postponed.retry_after_seconds)
        except ConfirmRefused as refused:
            return Reject(str(refused))
        return Delivered()

    def log_fields(self, entry: OutboxEntry) -> Mapping[str, LogValue]:
        """Name the message, and the send that it carried."""
        confirmation = read_confirmation(entry.particulars)
        if confirmation is None:
            return {"sid": entry.key}
        return {"verification_id": confirmation.verification_id, "send": confirmation.send_number, "sid": entry.key}
