"""Handed messages: stores what the provider answered to a send, or that it gave no clear answer.

Each write is tried a few times while the caller waits, then in the background for the life of the record (`retrying`):
a SID that this process knows is not lost if Redis is down.
"""

from collections.abc import Callable
from functools import partial

from service.core.event_log import EventLog, LogValue
from service.core.retrying import Retries
from service.core.sender import AcceptedMessage
from service.core.verification import Verification, partition_of
from service.core.verification_store import VerificationStore

_WAITS_FOR_SID_SECONDS = 3600.0  # how long at least a record is kept while its confirmation waits: see check.lua


class HandedMessages:
    """Stores the SID and status of the newest send of a verification."""

    def __init__(
        self,
        store: VerificationStore,
        *,
        late_window_seconds: float,
        retries: Retries,
        wake: Callable[[str], None],
        event_log: EventLog,
    ) -> None:
        self._store = store
        self._late_window_seconds = late_window_seconds
        self._retries = retries
        self._wake = wake
        self._event_log = event_log

    async def store_sid(self, verification: Verification, accepted: AcceptedMessage) -> None:
        """Store the SID, in the background if necessary; the callback brings it too, and may be first."""
        told: dict[str, LogValue] = {
            "verification_id": verification.id,
            "send": verification.sends[-1].number,
            "sid": accepted.sid,
        }
        await self._retries.run(
            partial(self._attach, verification, accepted),
            for_seconds=verification.request.ttl_seconds + self._late_window_seconds + _WAITS_FOR_SID_SECONDS,
            delayed=lambda reason: self._event_log("sid_attached_later", **told, reason=reason),
            given_up=lambda reason: self._event_log("sid_not_attached", **told, reason=reason),
        )

    async def note_unanswered(self, verification: Verification) -> None:
        """Note a send that may have gone out: it supersedes earlier codes (`OTP_SUPERSEDE_CODES`)."""
        told: dict[str, LogValue] = {"verification_id": verification.id, "send": verification.sends[-1].number}
        await self._retries.run(
            partial(self._store.note_handed, verification.id, verification.sends[-1].number),
            for_seconds=verification.request.ttl_seconds,
            delayed=lambda reason: self._event_log("send_noted_later", **told, reason=reason),
            given_up=lambda reason: self._event_log("send_not_noted", **told, reason=reason),
        )

    async def _attach(self, verification: Verification, accepted: AcceptedMessage) -> None:
        """Store the SID. May be repeated; a record that has expired stays away."""
        send_number = verification.sends[-1].number
        enqueued = await self._store.deliver(
            verification.id, send_number, sid=accepted.sid, status=accepted.status, error_code=accepted.error_code
        )
        self._event_log(
            "message_accepted",
            verification_id=verification.id,
            send=send_number,
            sid=accepted.sid,
            error_code=accepted.error_code,
        )
        if enqueued:
            self._wake(partition_of(verification.id))
