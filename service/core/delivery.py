"""Delivery: what the provider reports of a message, in an order that never goes back.

Callbacks come in any order, twice, late, and even before the response to the send. Each carries the id of its message,
so a callback that follows a lost response brings the SID, and a confirmation that waits for it becomes due.
"""

from collections.abc import Callable

from service.core.event_log import EventLog
from service.core.verification import Delivery, partition_of
from service.core.verification_store import VerificationStore

# A status replaces only one of a lower rank. The three ends of a message have one rank: the first one stays.
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


class DeliveryReports:
    """Records what the signed status callbacks report."""

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
        status: Delivery,
        error_code: int | None,
        sender: str | None = None,
        may_follow: bool = True,
    ) -> None:
        """Record one callback; wake the worker if a confirmation that waited became due. May be repeated.

        If it reports a failure, the next channel of a list follows, if it may.
        A callback that comes after its record has expired changes nothing, as one that contradicts the record does.
        """
        enqueued = await self._store.deliver(
            verification_id,
            send_number,
            sid=sid,
            status=status,
            error_code=error_code,
            sender=sender,
            may_follow=may_follow,
        )
        if enqueued is None:
            self.ignore(verification_id, send_number, reason="unknown verification or send, or another SID")
            return
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

    def ignore(self, verification_id: str | None, send_number: int | None, *, reason: str) -> None:
        """Log a callback that changes nothing."""
        self._event_log("callback_ignored", verification_id=verification_id, send=send_number, reason=reason)
