"""Issuing: draw a code, store its digest, hand it to `sending`; the same for every next send.

The order is the promise: limits before a code exists, the record before the message. The number's
own limits are checked inside the step that writes the record. An Idempotency-Key is claimed first
and given back only when certainly nothing was sent.
"""

import asyncio
import json
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from service.core.actions import Action, Secrets
from service.core.breaker import SendingHalted
from service.core.channels import Channel
from service.core.idempotency import Idempotency, IdempotencyKey, Repeatable
from service.core.keyring import Keyring
from service.core.limiter import Limiter, Reservation
from service.core.phone import NumberPolicy, PhoneNumber, parse_number
from service.core.sending import MessageRefused, ProviderUnavailable, Sending
from service.core.store_health import StoreUnavailable
from service.core.undoing import Taken, Undoing
from service.core.verification import Status, Verification, new_id
from service.core.verification_store import (
    AlreadySent,
    IdTaken,
    NewVerification,
    NotPending,
    SameCode,
    UnknownVerification,
    VerificationStore,
    WrittenSend,
)

T = TypeVar("T")
_DRAWS = 8  # of four digits, with four codes taken: eight draws all miss with probability 1e-27


@dataclass(frozen=True, slots=True)
class IssuePolicy:
    """What the settings say of new verifications."""

    code_length: int
    ttl_seconds: int
    secrets: Secrets
    numbers: NumberPolicy


class IssueRequest(NamedTuple):
    """What the caller asked for, already of the right form."""

    number: PhoneNumber
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
    caller: str | None = None  # tells API keys apart, for their limit
    owner: str | None = None  # to whom the verification will belong: nobody else's API key finds it

    @property
    def content(self) -> bytes:
        """What is asked for, in one spelling however it was written: two requests with the same content are one."""
        asked = self._replace(caller=None, owner=None)._asdict() | {"number": self.number.e164}
        return json.dumps({name: value for name, value in asked.items() if value is not None}, sort_keys=True).encode()


class Issuing:
    """Issues verifications and their next sends."""

    def __init__(
        self,
        *,
        store: VerificationStore,
        sending: Sending,
        limiter: Limiter,
        idempotency: Idempotency,
        undoing: Undoing,
        keyring: Keyring,
        policy: IssuePolicy,
    ) -> None:
        self._store = store
        self._sending = sending
        self._limiter = limiter
        self._idempotency = idempotency
        self._undoing = undoing
        self._keyring = keyring
        self._policy = policy

    def number(self, typed: str, *, country: str | None = None) -> PhoneNumber:
        """Read a number that codes may be sent to; raises what `parse_number` raises."""
        return parse_number(typed, self._policy.numbers, country=country)

    async def issue(self, request: IssueRequest, repeatable: Repeatable) -> Verification:
        """Create a verification and send its first code.

        Raises `ClientIpRequired`, `SendingHalted`, `Limited`, `StoreUnavailable`, and what `Sending` and `begin` raise.
        """
        number = request.number
        client, key = self._limiter.client_tag(request.client_ip), self._limiter.key_tag(request.caller)
        verification_id = new_id(self._keyring.partition(number.e164))
        reservation = self._limiter.reservation(
            number.e164, request.channel, number.country, key_tag=key, client_tag=client
        )
        abandoned_id, refusal = await self._begin(repeatable.key, verification_id, reservation.ask(), reservation)
        abandoned = await self._abandoned(abandoned_id, repeatable.key, reservation)
        async with self._undoing.on_failure(repeatable.key, reservation) as taken:
            if abandoned is not None:
                if abandoned.status is Status.FAILED:  # certainly nothing was sent: the next repeat is fresh
                    raise ProviderUnavailable(abandoned, None)
                await asyncio.gather(reservation.give_back(), self._keep(abandoned, repeatable))
                return abandoned
            verification_id = abandoned_id or verification_id  # died before its record: the key still names this id
            if refusal is not None:
                raise refusal
            length = request.code_length or self._policy.code_length
            code = self._policy.secrets.draw(request.action, number.e164, length)
            digest = self._keyring.code_digests(verification_id, code)[0]
            new = self._record(verification_id, number, request, len(code))._replace(client_tag=client, key_tag=key)
            taken.send = WrittenSend(verification_id, number.e164, digest, after=0)
            try:
                verification = await self._store.issue(new, digest)
            except IdTaken:  # a repeat took this request for dead, and has issued
                await reservation.give_back()
                return await self._store.read(verification_id)
            return await self._send(verification, code, repeatable)

    async def resend(
        self, verification_id: str, repeatable: Repeatable, *, caller: str | None = None, owner: str | None = None
    ) -> Verification:
        """Send the next code of a pending verification.

        Raises `UnknownVerification`, `NotPending`, `SendsExhausted` and what `issue` raises.
        """
        key = repeatable.key
        abandoned_id, verification = await self._begin(
            key, verification_id, self._store.read(verification_id, owner=owner)
        )
        # A front end spends the budget of the key that issued: its own would be a way around it.
        key_tag = (None if caller else verification.key_tag) or self._limiter.key_tag(caller)
        to, channel, country = verification.to, verification.channel, verification.country
        reservation = self._limiter.reservation(
            to, channel, country, key_tag=key_tag, client_tag=verification.client_tag
        )
        async with self._undoing.on_failure(key, reservation) as taken:
            if abandoned_id and key and key.tag in {send.request for send in verification.sends}:
                await self._keep(verification, repeatable)
                return verification
            if verification.status is not Status.PENDING:
                raise NotPending(verification)  # before the limits: what sends nothing draws on nobody's budget
            refusal = await reservation.ask()
            if refusal is not None:
                raise refusal
            try:
                verification, code = await self._next_send(verification, key, taken)
            except AlreadySent as already:  # a repeat took this request for dead, and has sent
                await reservation.give_back()
                return already.verification
            return await self._send(verification, code, repeatable)

    async def _begin(
        self,
        key: IdempotencyKey | None,
        verification_id: str,
        beside: Coroutine[Any, Any, T],
        reservation: Reservation | None = None,
    ) -> tuple[str | None, T]:
        """Claim the key and do the other step in the same round trip; undo the one when the other fails."""
        if key is None:
            return None, await beside
        abandoned_id, result = await asyncio.gather(
            self._idempotency.begin(key, verification_id), beside, return_exceptions=True
        )
        if isinstance(abandoned_id, BaseException):
            if reservation is not None:
                await reservation.give_back()
            raise abandoned_id
        if isinstance(result, BaseException):
            # What an abandoned request has sent is not known yet: a key set free now would send a second message.
            is_unknown = abandoned_id is not None and isinstance(result, StoreUnavailable | SendingHalted)
            await (self._idempotency.withdraw if is_unknown else self._idempotency.release)(key)
            raise result
        return abandoned_id, result

    async def _abandoned(
        self, verification_id: str | None, key: IdempotencyKey | None, reservation: Reservation
    ) -> Verification | None:
        """Find what a request that died unanswered has written; a store that fails leaves it to the next repeat."""
        if verification_id is None:
            return None
        try:
            return await self._store.read(verification_id)
        except UnknownVerification:
            return None
        except StoreUnavailable:
            await asyncio.gather(self._idempotency.withdraw(key), reservation.give_back())
            raise

    async def _next_send(
        self, verification: Verification, key: IdempotencyKey | None, taken: Taken
    ) -> tuple[Verification, str]:
        secrets, request = self._policy.secrets, None if key is None else key.tag
        is_test = secrets.is_fixed(verification.to)
        for _ in range(_DRAWS):
            code = secrets.draw(verification.action, verification.to, verification.code_length)
            digests = self._keyring.code_digests(verification.id, code)
            if not is_test:  # its code is that of its other sends: it cannot be told from them
                taken.send = WrittenSend(verification.id, verification.to, digests[0], after=len(verification.sends))
            with suppress(SameCode):
                return await self._store.resend(verification, digests, request=request, is_test=is_test), code
        taken.send = None
        raise StoreUnavailable("no fresh code was found")

    async def _send(self, verification: Verification, code: str, repeatable: Repeatable) -> Verification:
        keep = (lambda sent: self._keep(sent, repeatable)) if repeatable.key else None
        try:
            return await self._sending.send(verification, code, keep=keep)
        except MessageRefused as refused:
            if not refused.is_ours:
                await self._keep(refused, repeatable)
            raise

    async def _keep(self, outcome: Verification | MessageRefused, repeatable: Repeatable) -> None:
        await self._idempotency.finish(repeatable.key, repeatable.write(outcome))

    def _record(self, id_: str, number: PhoneNumber, request: IssueRequest, code_length: int) -> NewVerification:
        return NewVerification(
            id=id_,
            to=number.e164,
            country=number.country,
            channel=request.channel,
            action=request.action,
            purpose=request.purpose,
            locale=request.locale,
            reference=request.reference,
            code_length=code_length,
            ttl_seconds=request.ttl_seconds or self._policy.ttl_seconds,
            web_origin=request.web_origin,
            app_hash=request.app_hash,
            is_test=self._policy.secrets.is_fixed(number.e164),
            owner=request.owner,
        )
