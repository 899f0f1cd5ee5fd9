"""Issuing: draw a code, store its digest, send it, bring the Message SID home.

The order is the promise: limits before a code exists, the record before the message, the SID after
Twilio's answer. A send that was certainly not made (429, no connection) is repeated here, at most
twice; one whose fate is unknown never is, it stays `unknown` until Twilio's callback speaks. The
number's own limits are checked inside the step that writes the record.
"""

import asyncio
import random
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from service.core.codes import draw_code
from service.core.guard import Guard
from service.core.idempotency import Idempotency, IdempotencyKey
from service.core.keyring import Keyring
from service.core.phone import PhoneNumber, parse_number
from service.core.ports import (
    AcceptedMessage,
    Journal,
    Limited,
    NewVerification,
    OutgoingMessage,
    Refusal,
    SameCode,
    Sender,
    SendPostponed,
    SendRefused,
    SendUnknown,
    StoreUnavailable,
    UnknownVerification,
    VerificationStore,
)
from service.core.texts import message_text
from service.core.verification import Action, Channel, Verification, new_id, partition_of

T = TypeVar("T")

_TRIES = 3
_LONGEST_PAUSE_SECONDS = 1.0  # a caller waits at the other end; a longer Retry-After is handed on to it
_DRAWS = 8  # of four digits, with four codes taken: eight draws all miss with probability 1e-27
_HOME_TRIES = 5


class MessageRefused(Exception):
    """Twilio refuses this message for good."""

    def __init__(self, refusal: Refusal, error_code: int | None, verification: Verification) -> None:
        super().__init__(refusal)
        self.refusal = refusal
        self.error_code = error_code
        self.verification = verification

    @property
    def is_ours(self) -> bool:
        """Tell whether the operator, not the recipient, is the cause: mending it makes a repeat worth while."""
        return self.refusal in (Refusal.SENDER_MISCONFIGURED, Refusal.CREDENTIALS_REFUSED)


class TwilioUnavailable(Exception):
    """The message was certainly not sent, because Twilio is busy or cannot be reached."""

    def __init__(self, verification: Verification, retry_after_seconds: float | None) -> None:
        super().__init__("Twilio is unavailable")
        self.verification = verification
        self.retry_after_seconds = retry_after_seconds


class ClientIpRequired(Exception):
    """`OTP_REQUIRE_CLIENT_IP` is on and the request names no client address."""


@dataclass(frozen=True, slots=True)
class IssuePolicy:
    """What the settings say of new verifications."""

    brand: str
    code_length: int
    ttl_seconds: int
    allowed_countries: frozenset[str]


@dataclass(frozen=True, slots=True)
class IssueRequest:
    """What the caller asked for, already of the right form."""

    to: str
    channel: Channel = Channel.SMS
    action: Action = Action.CODE
    purpose: str = "login"
    locale: str = "en"
    code_length: int | None = None
    ttl_seconds: int | None = None
    client_ip: str | None = None
    web_origin: str | None = None
    app_hash: str | None = None
    reference: str | None = None


@dataclass(frozen=True, slots=True)
class Repeatable:
    """An Idempotency-Key together with the way its answer is written."""

    key: IdempotencyKey | None
    write: Callable[[Verification | MessageRefused], bytes]


class Issuing:
    """Issues verifications and their next sends."""

    def __init__(
        self,
        *,
        store: VerificationStore,
        sender: Sender,
        guard: Guard,
        idempotency: Idempotency,
        keyring: Keyring,
        policy: IssuePolicy,
        wake: Callable[[str], None],
        journal: Journal,
    ) -> None:
        self._store = store
        self._sender = sender
        self._guard = guard
        self._idempotency = idempotency
        self._keyring = keyring
        self._policy = policy
        self._wake = wake
        self._journal = journal

    async def issue(self, request: IssueRequest, repeatable: Repeatable) -> Verification:
        """Create a verification and send its first code.

        Raises `InvalidNumber`, `CountryNotAllowed`, `ClientIpRequired`, `Limited`, `MessageRefused`,
        `TwilioUnavailable`, `StoreUnavailable`, and what `Idempotency.begin` raises.
        """
        number = parse_number(request.to, self._policy.allowed_countries)
        if self._guard.requires_client_ip and request.client_ip is None:
            raise ClientIpRequired
        verification_id = new_id(self._keyring.partition(number.e164))
        abandoned_id, wait_ms = await self._begin(
            repeatable.key,
            verification_id,
            self._guard.wait_for_send_ms(to=number.e164, country=number.country, client_ip=request.client_ip),
        )
        if abandoned_id is not None:
            try:
                return await self._keep(await self._store.read(abandoned_id), repeatable)
            except UnknownVerification:
                verification_id = abandoned_id  # it died before the record was written: nothing was sent
        async with _ReleasedOnFailure(self._idempotency, repeatable.key):
            if wait_ms:
                raise Limited(wait_ms)
            code = draw_code(request.code_length or self._policy.code_length)
            digest = self._keyring.code_digests(verification_id, code)[0]
            verification = await self._store.issue(self._record(verification_id, number, request), digest)
            return await self._send(verification, code, repeatable)

    async def resend(self, verification_id: str, repeatable: Repeatable) -> Verification:
        """Send the next code of a pending verification.

        Raises `UnknownVerification`, `NotPending`, `SendsExhausted` and what `issue` raises.
        """
        abandoned_id, verification = await self._begin(
            repeatable.key, verification_id, self._store.read(verification_id)
        )
        if abandoned_id is not None:
            return await self._keep(verification, repeatable)
        async with _ReleasedOnFailure(self._idempotency, repeatable.key):
            wait_ms = await self._guard.wait_for_send_ms(
                to=verification.to, country=verification.country, client_ip=None
            )
            if wait_ms:
                raise Limited(wait_ms)
            verification, code = await self._next_send(verification)
            return await self._send(verification, code, repeatable)

    async def _begin(
        self, key: IdempotencyKey | None, verification_id: str, beside: Coroutine[Any, Any, T]
    ) -> tuple[str | None, T]:
        """Claim the key and do the other step in the same round trip; give the key back if only that step fails."""
        abandoned_id, result = await asyncio.gather(
            self._idempotency.begin(key, verification_id), beside, return_exceptions=True
        )
        if isinstance(abandoned_id, BaseException):
            raise abandoned_id
        if isinstance(result, BaseException):
            await self._idempotency.release(key)
            raise result
        return abandoned_id, result

    async def _next_send(self, verification: Verification) -> tuple[Verification, str]:
        for _ in range(_DRAWS):
            code = draw_code(verification.code_length)
            try:
                digests = self._keyring.code_digests(verification.id, code)
                return await self._store.resend(verification, digests), code
            except SameCode:
                continue
        raise StoreUnavailable("no fresh code was found")

    async def _send(self, verification: Verification, code: str, repeatable: Repeatable) -> Verification:
        send = verification.sends[-1]
        message = OutgoingMessage(
            verification_id=verification.id,
            send_number=send.number,
            to=verification.to,
            body=message_text(
                brand=self._policy.brand,
                code=code,
                locale=verification.locale,
                web_origin=verification.web_origin,
                app_hash=verification.app_hash,
            ),
            validity_seconds=verification.ttl_seconds,
        )
        try:
            accepted = await self._post(message)
        except SendRefused as refused:
            refusal = await self._refused(verification, refused)
            if not refusal.is_ours:
                await self._idempotency.finish(repeatable.key, repeatable.write(refusal))
            raise refusal from None
        except SendPostponed as postponed:
            self._journal("send_postponed", verification_id=verification.id, send=send.number, reason=str(postponed))
            verification = await self._store.refuse(verification, send.number, error_code=None, passing=True)
            raise TwilioUnavailable(verification, postponed.retry_after_seconds) from None
        except SendUnknown as unknown:
            self._journal("send_unknown", verification_id=verification.id, send=send.number, reason=str(unknown))
            return await self._keep(verification, repeatable)
        sent = replace(verification, sends=(*verification.sends[:-1], replace(send, status=accepted.status)))
        await asyncio.gather(self._bring_home(sent, accepted), self._keep(sent, repeatable))
        return sent

    async def _post(self, message: OutgoingMessage) -> AcceptedMessage:
        """Send; repeat only what was certainly not sent, with growing, jittered pauses."""
        for tries in range(1, _TRIES + 1):
            try:
                return await self._sender.send(message)
            except SendPostponed as postponed:
                pause = 0.1 * 2**tries * random.uniform(0.5, 1.0)  # noqa: S311 - jitter needs no secrecy
                pause = max(pause, postponed.retry_after_seconds or 0)
                if tries == _TRIES or pause > _LONGEST_PAUSE_SECONDS:
                    raise
                await asyncio.sleep(pause)
        raise AssertionError("unreachable")  # pragma: no cover

    async def _bring_home(self, verification: Verification, accepted: AcceptedMessage) -> None:
        """Attach the SID; may be repeated. If Redis stays away, Twilio's callback brings it later."""
        send_number = verification.sends[-1].number
        for tries in range(_HOME_TRIES):
            try:
                owes = await self._store.deliver(verification.id, send_number, sid=accepted.sid, status=accepted.status)
            except StoreUnavailable:
                await asyncio.sleep(0.1 * 2**tries)
                continue
            self._journal("message_accepted", verification_id=verification.id, send=send_number, sid=accepted.sid)
            if owes:
                self._wake(partition_of(verification.id))
            return
        self._journal("sid_not_attached", verification_id=verification.id, send=send_number, sid=accepted.sid)

    async def _refused(self, verification: Verification, refused: SendRefused) -> MessageRefused:
        send_number = verification.sends[-1].number
        self._journal(
            "message_refused",
            verification_id=verification.id,
            send=send_number,
            reason=refused.refusal,
            error_code=refused.error_code,
        )
        verification = await self._store.refuse(verification, send_number, error_code=refused.error_code, passing=False)
        return MessageRefused(refused.refusal, refused.error_code, verification)

    async def _keep(self, verification: Verification, repeatable: Repeatable) -> Verification:
        await self._idempotency.finish(repeatable.key, repeatable.write(verification))
        return verification

    def _record(self, verification_id: str, number: PhoneNumber, request: IssueRequest) -> NewVerification:
        return NewVerification(
            id=verification_id,
            to=number.e164,
            country=number.country,
            channel=request.channel,
            action=request.action,
            purpose=request.purpose,
            locale=request.locale,
            reference=request.reference,
            code_length=request.code_length or self._policy.code_length,
            ttl_seconds=request.ttl_seconds or self._policy.ttl_seconds,
            web_origin=request.web_origin,
            app_hash=request.app_hash,
        )


class _ReleasedOnFailure:
    """Gives an Idempotency-Key back when the request fails in a way that a repeat may mend."""

    def __init__(self, idempotency: Idempotency, key: IdempotencyKey | None) -> None:
        self._idempotency = idempotency
        self._key = key

    async def __aenter__(self) -> None:
        return None

    async def __aexit__(self, kind: type[BaseException] | None, failure: BaseException | None, _: object) -> None:
        if isinstance(failure, Exception):  # a kept refusal has its answer already: releasing it changes nothing
            await self._idempotency.release(self._key)
