"""Sending: post one message, repeat it only if it was certainly not sent, and store its SID.

A 429 or a failed connection is repeated here, at most twice. A send whose result is unknown is never repeated: it stays
`unknown` until the provider's callback reports on it. A send that the provider refuses is taken back, so that its code
is never accepted. The number of sends in flight is limited (`OTP_SENDS_IN_FLIGHT`).

What the provider answers is stored by `handed`.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping

from service.core.breaker import Breaker
from service.core.channels import Channel
from service.core.event_log import EventLog, LogValue
from service.core.handed import HandedMessages
from service.core.profiles import Profiles
from service.core.retrying import Retries
from service.core.sender import (
    ENDS_LIST,
    AcceptedMessage,
    OutgoingMessage,
    Refusal,
    Sender,
    SendPostponed,
    SendRefused,
    SendUnknown,
)
from service.core.verification import Verification
from service.core.verification_store import DueFallback, UnknownVerification, VerificationStore

_OURS = frozenset({Refusal.SENDER_MISCONFIGURED, Refusal.CREDENTIALS_REFUSED})
_TRIES = 3
_LONGEST_PAUSE_SECONDS = 1.0  # the caller waits; a longer Retry-After is passed on to it
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


async def unless_followed(sending: Awaitable[Verification]) -> Verification:
    """Send; a message that was not sent is no failure of a request if the next channel of a list follows.

    The verification is pending, with that send as failed: the person gets a code all the same, so the caller may show
    its form at once.
    """
    try:
        return await sending
    except (MessageRefused, ProviderUnavailable) as failed:
        if not failed.verification.is_followed:
            raise
        return failed.verification


class Sending:
    """Sends the newest secret of a verification whose record is written."""

    def __init__(
        self,
        store: VerificationStore,
        senders: Mapping[Channel, Sender],
        *,
        breakers: Mapping[Channel, Breaker],
        profiles: Profiles,
        most_in_flight: int,
        late_window_seconds: float,
        attachments: Retries,
        wake: Callable[[str], None],
        event_log: EventLog,
    ) -> None:
        self._store = store
        self._senders = senders
        self._breakers = breakers
        self._profiles = profiles
        self._slots = asyncio.Semaphore(most_in_flight)
        self._handed = HandedMessages(
            store, late_window_seconds=late_window_seconds, retries=attachments, wake=wake, event_log=event_log
        )
        self._event_log = event_log

    async def send(
        self,
        verification: Verification,
        secret: str,
        *,
        keep: Callable[[Verification], Awaitable[object]] | None,
        is_test: bool,
        due: DueFallback | None = None,
    ) -> Verification:
        """Post the newest send; `keep`, if given, runs while the SID is stored, in the same round trip.

        Raises `MessageRefused`, `ProviderUnavailable` and, while taking a send back, `StoreUnavailable`: in
        each case nothing was sent. Once a message may have been sent, nothing is raised any more. Nothing is
        posted to a test number: its send stays `unknown`. With `due` the send follows by the next channel of a list.
        """
        if is_test:
            event: dict[str, LogValue] = {"verification_id": verification.id, "send": verification.sends[-1].number}
            self._event_log("test_number_not_sent_to", **event)
            if keep is not None:
                await keep(verification)
            return verification
        accepted = await self._accepted(verification, secret, due)
        if accepted is not None:
            newest = verification.sends[-1]._replace(status=accepted.status)
            verification = verification._replace(sends=(*verification.sends[:-1], newest))
        steps = [] if keep is None else [keep(verification)]
        if accepted is not None:
            steps.append(self._handed.store_sid(verification, accepted))
        else:
            steps.append(self._handed.note_unanswered(verification))
        await asyncio.gather(*steps)
        return verification

    async def _accepted(
        self, verification: Verification, secret: str, due: DueFallback | None
    ) -> AcceptedMessage | None:
        """Post the newest send; None if the provider gave no clear answer."""
        send = verification.sends[-1]
        try:
            post = self._post(self._senders[send.channel], await self._message(verification, secret))
            return await self._breakers[send.channel].watch(post)
        except SendRefused as refused:
            raise await self._refused(verification, refused, due) from None
        except SendPostponed as postponed:
            self._event_log("send_postponed", verification_id=verification.id, send=send.number, reason=str(postponed))
            verification = await self._take_back(
                verification, error_code=None, passing=True, may_follow=postponed.may_follow, due=due
            )
            raise ProviderUnavailable(verification, postponed.retry_after_seconds) from None
        except SendUnknown as unknown:
            self._event_log("send_unknown", verification_id=verification.id, send=send.number, reason=str(unknown))
            return None

    async def _message(self, verification: Verification, secret: str) -> OutgoingMessage:
        send, request = verification.sends[-1], verification.request
        profile = await self._profiles.of(verification.key_tag, verification.owner)
        return OutgoingMessage(
            verification_id=verification.id,
            send_number=send.number,
            to=verification.to,
            content=profile.texts.content(send.channel, request, secret, verification.payment),
            validity_seconds=request.ttl_seconds,
            sender=profile.sender if send.channel is Channel.SMS else None,
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
            raise SendPostponed("no slot is free", retry_after_seconds=_NO_SLOT_RETRY_SECONDS, is_own=True) from None

    async def _refused(
        self, verification: Verification, refused: SendRefused, due: DueFallback | None
    ) -> MessageRefused:
        send_number = verification.sends[-1].number
        self._event_log(
            "message_refused",
            verification_id=verification.id,
            send=send_number,
            reason=refused.refusal,
            error_code=refused.error_code,
        )
        verification = await self._take_back(
            verification,
            error_code=refused.error_code,
            passing=refused.refusal in _OURS and due is None,  # what follows by itself is not tried again
            may_follow=refused.refusal not in ENDS_LIST,
            due=due,
        )
        return MessageRefused(refused.refusal, refused.error_code, verification)

    async def _take_back(
        self,
        verification: Verification,
        *,
        error_code: int | None,
        passing: bool,
        may_follow: bool,
        due: DueFallback | None,
    ) -> Verification:
        send_number = verification.sends[-1].number
        try:
            return await self._store.refuse(
                verification, send_number, error_code=error_code, passing=passing, may_follow=may_follow, due=due
            )
        except UnknownVerification:
            return verification  # its record has expired: nothing is left to take back
