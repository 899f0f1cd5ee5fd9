"""Sending: post one message, repeat it only if it was certainly not sent, and store its SID.

A 429 or a failed connection is repeated here, at most twice. A send whose result is unknown is never repeated: it stays
`unknown` until the provider's callback reports on it. A send that the provider refuses is taken back, so that its code
is never accepted. The number of sends in flight is limited (`OTP_SENDS_IN_FLIGHT`).

A write to the store that follows an answer of the provider is tried a few times while the caller waits, then in the
background for the life of the record (`retrying`): a SID that this process knows is not lost if Redis is down.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

from service.core.breaker import Breaker
from service.core.channels import Channel
from service.core.event_log import EventLog, LogValue
from service.core.message_texts import MessageTexts
from service.core.retrying import Retries
from service.core.sender import (
    AcceptedMessage,
    OutgoingMessage,
    Refusal,
    Sender,
    SendPostponed,
    SendRefused,
    SendUnknown,
)
from service.core.verification import Verification, partition_of
from service.core.verification_store import UnknownVerification, VerificationStore

_OURS = frozenset({Refusal.SENDER_MISCONFIGURED, Refusal.CREDENTIALS_REFUSED})
_TRIES = 3
_LONGEST_PAUSE_SECONDS = 1.0  # the caller waits; a longer Retry-After is passed on to it
_WAITS_FOR_SID_SECONDS = 3600.0  # how long at least a record is kept while its confirmation waits: see check.lua
_NO_SLOT_RETRY_SECONDS = 5.0  # by then the slowest request to a provider has ended


class MessageRefused(Exception):
    """The provider refuses this message for good."""

    def __init__(self, refusal: Refusal, error_code: int | None, verification: Verification) -> None:
        super().__init__(refusal)
        self.refusal = refusal
        self.error_code = error_code
        self.verification = verification

    @property
    def is_ours(self) -> bool:
        """Tell whether the operator, not the recipient, is the cause: a repeat may succeed once that is fixed."""
        return self.refusal in _OURS


class ProviderUnavailable(Exception):
    """The message was certainly not sent, because the provider is busy or cannot be reached."""

    def __init__(self, verification: Verification, retry_after_seconds: float | None) -> None:
        super().__init__("the provider is unavailable")
        self.verification = verification
        self.retry_after_seconds = retry_after_seconds


class Sending:
    """Sends the newest secret of a verification whose record is written."""

    def __init__(
        self,
        store: VerificationStore,
        senders: Mapping[Channel, Sender],
        *,
        breakers: Mapping[Channel, Breaker],
        texts: MessageTexts,
        most_in_flight: int,
        late_window_seconds: float,
        attachments: Retries,
        wake: Callable[[str], None],
        event_log: EventLog,
    ) -> None:
        self._store = store
        self._senders = senders
        self._breakers = breakers
        self._texts = texts
        self._slots = asyncio.Semaphore(most_in_flight)
        self._late_window_seconds = late_window_seconds
        self._attachments = attachments
        self._wake = wake
        self._event_log = event_log

    async def send(
        self,
        verification: Verification,
        secret: str,
        *,
        keep: Callable[[Verification], Awaitable[object]] | None,
        is_test: bool,
    ) -> Verification:
        """Post the newest send; `keep`, if given, runs while the SID is stored, in the same round trip.

        Raises `MessageRefused`, `ProviderUnavailable` and, while taking a send back, `StoreUnavailable`: in
        each case nothing was sent. Once a message may have been sent, nothing is raised any more. Nothing is
        posted to a test number: its send stays `unknown`.
        """
        if is_test:
            event: dict[str, LogValue] = {"verification_id": verification.id, "send": verification.sends[-1].number}
            self._event_log("test_number_not_sent_to", **event)
            if keep is not None:
                await keep(verification)
            return verification
        accepted = await self._accepted(verification, secret)
        if accepted is not None:
            newest = verification.sends[-1]._replace(status=accepted.status)
            verification = verification._replace(sends=(*verification.sends[:-1], newest))
        steps = [] if keep is None else [keep(verification)]
        if accepted is not None:
            steps.append(self._store_sid(verification, accepted))
        else:
            steps.append(self._note_handed(verification))
        await asyncio.gather(*steps)
        return verification

    async def _accepted(self, verification: Verification, secret: str) -> AcceptedMessage | None:
        """Post the newest send; None if the provider gave no clear answer."""
        send = verification.sends[-1]
        try:
            post = self._post(self._senders[send.channel], self._message(verification, secret))
            return await self._breakers[send.channel].watch(post)
        except SendRefused as refused:
            raise await self._refused(verification, refused) from None
        except SendPostponed as postponed:
            self._event_log("send_postponed", verification_id=verification.id, send=send.number, reason=str(postponed))
            verification = await self._take_back(verification, error_code=None, passing=True)
            raise ProviderUnavailable(verification, postponed.retry_after_seconds) from None
        except SendUnknown as unknown:
            self._event_log("send_unknown", verification_id=verification.id, send=send.number, reason=str(unknown))
            return None

    def _message(self, verification: Verification, secret: str) -> OutgoingMessage:
        send, request = verification.sends[-1], verification.request
        return OutgoingMessage(
            verification_id=verification.id,
            send_number=send.number,
            to=verification.to,
            content=self._texts.content(send.channel, request, secret, verification.payment),
            validity_seconds=request.ttl_seconds,
        )

    async def _post(self, sender: Sender, message: OutgoingMessage) -> AcceptedMessage:
        """Send; repeat only what was certainly not sent, with growing, jittered pauses."""
        for tries in range(1, _TRIES + 1):
            try:
                return await self._send_in_turn(sender, message)
            except SendPostponed as postponed:
                pause = 0.1 * 2**tries * random.uniform(0.5, 1.0)  # noqa: S311 - jitter needs no secrecy
                pause = max(pause, postponed.retry_after_seconds or 0)
                if tries == _TRIES or pause > _LONGEST_PAUSE_SECONDS:
                    raise
                await asyncio.sleep(pause)
        raise AssertionError("unreachable")  # pragma: no cover

    async def _send_in_turn(self, sender: Sender, message: OutgoingMessage) -> AcceptedMessage:
        """Send as soon as a slot is free; a message that waits too long for one was not sent."""
        await self._take_slot()
        try:
            return await sender.send(message)
        finally:
            self._slots.release()

    async def _take_slot(self) -> None:
        if not self._slots.locked():
            await self._slots.acquire()  # needs no timer
            return
        try:
            async with asyncio.timeout(_LONGEST_PAUSE_SECONDS):
                await self._slots.acquire()
        except TimeoutError:
            raise SendPostponed("no slot is free", retry_after_seconds=_NO_SLOT_RETRY_SECONDS) from None

    async def _store_sid(self, verification: Verification, accepted: AcceptedMessage) -> None:
        """Store the SID, in the background if necessary; the callback brings it too, and may be first."""
        told: dict[str, LogValue] = {
            "verification_id": verification.id,
            "send": verification.sends[-1].number,
            "sid": accepted.sid,
        }
        await self._attachments.run(
            partial(self._attach, verification, accepted),
            for_seconds=verification.request.ttl_seconds + self._late_window_seconds + _WAITS_FOR_SID_SECONDS,
            delayed=lambda reason: self._event_log("sid_attached_later", **told, reason=reason),
            given_up=lambda reason: self._event_log("sid_not_attached", **told, reason=reason),
        )

    async def _note_handed(self, verification: Verification) -> None:
        """Note a send that may have gone out: it supersedes earlier codes (`OTP_SUPERSEDE_CODES`)."""
        told: dict[str, LogValue] = {"verification_id": verification.id, "send": verification.sends[-1].number}
        await self._attachments.run(
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

    async def _refused(self, verification: Verification, refused: SendRefused) -> MessageRefused:
        send_number = verification.sends[-1].number
        self._event_log(
            "message_refused",
            verification_id=verification.id,
            send=send_number,
            reason=refused.refusal,
            error_code=refused.error_code,
        )
        verification = await self._take_back(
            verification, error_code=refused.error_code, passing=refused.refusal in _OURS
        )
        return MessageRefused(refused.refusal, refused.error_code, verification)

    async def _take_back(self, verification: Verification, *, error_code: int | None, passing: bool) -> Verification:
        send_number = verification.sends[-1].number
        try:
            return await self._store.refuse(verification, send_number, error_code=error_code, passing=passing)
        except UnknownVerification:
            return verification  # its record has expired: nothing is left to take back
