"""Sending: post one message, repeat it only when it was certainly not sent, bring its SID home.

A 429 or a failed connection is repeated here, at most twice; a send whose fate is unknown never is,
it stays `unknown` until Twilio's callback speaks. A send that Twilio refuses is taken back, so that
its code can never be accepted. Only so many are under way at once (`OTP_SENDS_IN_FLIGHT`).

What follows an answer of Twilio at the store is tried a few times while the caller waits, then in the
background for the record's life (`retrying`): a SID that this process knows outlives an outage of Redis.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from functools import partial

from service.core.breaker import Breaker
from service.core.codes import Codes
from service.core.event_log import EventLog
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
from service.core.texts import message_text
from service.core.verification import Verification, partition_of
from service.core.verification_store import UnknownVerification, VerificationStore

_OURS = frozenset({Refusal.SENDER_MISCONFIGURED, Refusal.CREDENTIALS_REFUSED})
_TRIES = 3
_LONGEST_PAUSE_SECONDS = 1.0  # a caller waits at the other end; a longer Retry-After is handed on to it
_WAITS_FOR_SID_SECONDS = 3600.0  # how long at least a record lives on while its confirmation waits: see check.lua
_NO_PLACE_RETRY_SECONDS = 5.0  # by then the slowest call to Twilio has ended


class MessageRefused(Exception):
    """Twilio refuses this message for good."""

    def __init__(self, refusal: Refusal, error_code: int | None, verification: Verification) -> None:
        super().__init__(refusal)
        self.refusal = refusal
        self.error_code = error_code
        self.verification = verification

    @property
    def is_ours(self) -> bool:
        """Tell whether the operator, not the recipient, is the cause: fixing it makes a repeat worth while."""
        return self.refusal in _OURS


class TwilioUnavailable(Exception):
    """The message was certainly not sent, because Twilio is busy or cannot be reached."""

    def __init__(self, verification: Verification, retry_after_seconds: float | None) -> None:
        super().__init__("Twilio is unavailable")
        self.verification = verification
        self.retry_after_seconds = retry_after_seconds


class Sending:
    """Sends the newest code of a verification whose record is written."""

    def __init__(
        self,
        store: VerificationStore,
        sender: Sender,
        *,
        breaker: Breaker,
        brand: str,
        codes: Codes,
        most_in_flight: int,
        late_window_seconds: float,
        attachments: Retries,
        wake: Callable[[str], None],
        event_log: EventLog,
    ) -> None:
        self._store = store
        self._sender = sender
        self._breaker = breaker
        self._brand = brand
        self._codes = codes
        self._places = asyncio.Semaphore(most_in_flight)
        self._late_window_seconds = late_window_seconds
        self._attachments = attachments
        self._wake = wake
        self._event_log = event_log

    async def send(
        self, verification: Verification, code: str, *, keep: Callable[[Verification], Awaitable[object]] | None
    ) -> Verification:
        """Post the newest send; `keep`, where there is one, runs beside the SID's homecoming, in the same round trip.

        Raises `MessageRefused`, `TwilioUnavailable` and, while taking a send back, `StoreUnavailable`: in
        each case nothing was sent. Once a message may have been sent, nothing is raised any more. To a test
        number nothing is posted: its send stays `unknown`, for Twilio says nothing of it.
        """
        accepted = await self._accepted(verification, code)
        if accepted is not None:
            newest = verification.sends[-1]._replace(status=accepted.status)
            verification = verification._replace(sends=(*verification.sends[:-1], newest))
        steps = [] if keep is None else [keep(verification)]
        if accepted is not None:
            steps.append(self._bring_home(verification, accepted))
        elif not self._codes.is_fixed(verification.to):
            steps.append(self._note_handed(verification))
        await asyncio.gather(*steps)
        return verification

    async def _accepted(self, verification: Verification, code: str) -> AcceptedMessage | None:
        """Post the newest send; None when Twilio says nothing of it."""
        send = verification.sends[-1]
        if self._codes.is_fixed(verification.to):
            self._event_log("test_number_not_sent_to", verification_id=verification.id, send=send.number)
            return None
        try:
            return await self._breaker.watch(self._post(self._message(verification, code)))
        except SendRefused as refused:
            raise await self._refused(verification, refused) from None
        except SendPostponed as postponed:
            self._event_log("send_postponed", verification_id=verification.id, send=send.number, reason=str(postponed))
            verification = await self._take_back(verification, error_code=None, passing=True)
            raise TwilioUnavailable(verification, postponed.retry_after_seconds) from None
        except SendUnknown as unknown:
            self._event_log("send_unknown", verification_id=verification.id, send=send.number, reason=str(unknown))
            return None

    def _message(self, verification: Verification, code: str) -> OutgoingMessage:
        return OutgoingMessage(
            verification_id=verification.id,
            send_number=verification.sends[-1].number,
            to=verification.to,
            body=message_text(
                brand=self._brand,
                code=code,
                locale=verification.locale,
                web_origin=verification.web_origin,
                app_hash=verification.app_hash,
            ),
            validity_seconds=verification.ttl_seconds,
        )

    async def _post(self, message: OutgoingMessage) -> AcceptedMessage:
        """Send; repeat only what was certainly not sent, with growing, jittered pauses."""
        for tries in range(1, _TRIES + 1):
            try:
                return await self._send_in_turn(message)
            except SendPostponed as postponed:
                pause = 0.1 * 2**tries * random.uniform(0.5, 1.0)  # noqa: S311 - jitter needs no secrecy
                pause = max(pause, postponed.retry_after_seconds or 0)
                if tries == _TRIES or pause > _LONGEST_PAUSE_SECONDS:
                    raise
                await asyncio.sleep(pause)
        raise AssertionError("unreachable")  # pragma: no cover

    async def _send_in_turn(self, message: OutgoingMessage) -> AcceptedMessage:
        """Send as soon as fewer than the most are under way; whoever waits too long for that was not sent."""
        await self._take_place()
        try:
            return await self._sender.send(message)
        finally:
            self._places.release()

    async def _take_place(self) -> None:
        if not self._places.locked():
            await self._places.acquire()  # at once, and without a timer
            return
        try:
            async with asyncio.timeout(_LONGEST_PAUSE_SECONDS):
                await self._places.acquire()
        except TimeoutError:
            raise SendPostponed("no place is free", retry_after_seconds=_NO_PLACE_RETRY_SECONDS) from None

    async def _bring_home(self, verification: Verification, accepted: AcceptedMessage) -> None:
        """Attach the SID, if need be in the background; Twilio's callback may bring it too, and first."""
        told = {"verification_id": verification.id, "send": verification.sends[-1].number, "sid": accepted.sid}
        await self._attachments.run(
            partial(self._attach, verification, accepted),
            for_seconds=verification.ttl_seconds + self._late_window_seconds + _WAITS_FOR_SID_SECONDS,
            delayed=lambda reason: self._event_log("sid_attached_later", **told, reason=reason),
            given_up=lambda reason: self._event_log("sid_not_attached", **told, reason=reason),
        )

    async def _note_handed(self, verification: Verification) -> None:
        """Note a send that may have gone out: earlier codes are superseded by it (`OTP_SUPERSEDE_CODES`)."""
        told = {"verification_id": verification.id, "send": verification.sends[-1].number}
        await self._attachments.run(
            partial(self._store.note_handed, verification.id, verification.sends[-1].number),
            for_seconds=verification.ttl_seconds,
            delayed=lambda reason: self._event_log("send_noted_later", **told, reason=reason),
            given_up=lambda reason: self._event_log("send_not_noted", **told, reason=reason),
        )

    async def _attach(self, verification: Verification, accepted: AcceptedMessage) -> None:
        """Attach the SID once; may be repeated, and a record that has expired changes nothing."""
        send_number = verification.sends[-1].number
        enqueued = await self._store.deliver(verification.id, send_number, sid=accepted.sid, status=accepted.status)
        self._event_log("message_accepted", verification_id=verification.id, send=send_number, sid=accepted.sid)
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
            return verification  # its record has expired meanwhile: there is nothing left to take back
