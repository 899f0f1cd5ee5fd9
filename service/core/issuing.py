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

from service.core.actions import ACTIONS, Secrets
from service.core.breaker import SendingHalted
from service.core.channels import DEFAULT_CHANNEL, Channel
from service.core.idempotency import Idempotency, IdempotencyKey, Repeatable
from service.core.keyring import Keyring
from service.core.limiter import Limiter, Reservation
from service.core.phone import NumberPolicy, PhoneNumber, parse_number
from service.core.sending import MessageRefused, ProviderUnavailable, Sending
from service.core.store_health import StoreUnavailable
from service.core.undoing import Taken, Undoing
from service.core.verification import Status, Verification, VerificationRequest, new_id
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
    """A request for a new verification, already of the right form: what it keeps, whom to send to, and who asks."""

    number: PhoneNumber
    request: VerificationRequest
    channel: Channel = DEFAULT_CHANNEL
    client_ip: str | None = None
    caller: str | None = None  # tells API keys apart, for their limit
    owner: str | None = None  # only API keys of this owner will find the verification

    @property
    def content(self) -> bytes:
        """What is asked for, in one spelling however it was written: two requests with the same content are one."""
        asked = {"number": self.number.e164, "channel": self.channel, "client_ip": self.client_ip}
        asked |= self.request._asdict()
        return json.dumps({name: value for name, value in asked.items() if value}, sort_keys=True).encode()


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

    async def issue(self, asked: IssueRequest, repeatable: Repeatable) -> Verification:
        """Create a verification and send its first code.

        Raises `ClientIpRequired`, `SendingHalted`, `Limited`, `StoreUnavailable`, and what `Sending` and `begin` raise.
        """
        to, policy = asked.number.e164, self._policy
        client, key = self._limiter.client_tag(asked.client_ip), self._limiter.key_tag(asked.caller)
        fixed, index = policy.secrets.fixed_for(to), self._keyring.number_index(to)
        verification_id = new_id(index.partition)
        reservation = self._limiter.reservation(
            to, asked.channel, asked.number.country, key_tag=key, client_tag=client, is_test=fixed is not None
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
            code = fixed or ACTIONS[asked.request.action].draw(asked.request.code_length or policy.code_length)
            digest = self._keyring.code_digests(verification_id, code)[0]
            new = NewVerification(
                id=verification_id,
                to=to,
                number_tag=index.tag,
                request=asked.request._replace(
                    code_length=len(code), ttl_seconds=asked.request.ttl_seconds or policy.ttl_seconds
                ),
                channel=asked.channel,
                is_test=fixed is not None,
                owner=asked.owner,
                client_tag=client,
                key_tag=key,
            )
            taken.send = WrittenSend(verification_id, index.tag, digest, after=0)
            try:
                verification = await self._store.issue(new, digest)
            except IdTaken:  # a repeat took this request for dead, and has issued
                await reservation.give_back()
                return await self._store.read(verification_id)
            return await self._send(verification, code, repeatable, is_test=fixed is not None)

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
        fixed = self._policy.secrets.fixed_for(verification.to)
        reservation = self._limiter.reservation(
            verification.to,
            verification.channel,
            verification.request.country,
            key_tag=key_tag,
            client_tag=verification.client_tag,
            is_test=fixed is not None,
        )
        async with self._undoing.on_failure(key, reservation) as taken:
            if abandoned_id and key and key.tag in {send.idempotency_tag for send in verification.sends}:
                await self._keep(verification, repeatable)
                return verification
            if verification.status is not Status.PENDING:
                raise NotPending(verification)  # before the limits: what sends nothing draws on nobody's budget
            refusal = await reservation.ask()
            if refusal is not None:
                raise refusal
            try:
                verification, code = await self._next_send(verification, fixed, key, taken)
            except AlreadySent as already:  # a repeat took this request for dead, and has sent
                await reservation.give_back()
                return already.verification
            return await self._send(verification, code, repeatable, is_test=fixed is not None)

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
        self, verification: Verification, fixed: str | None, key: IdempotencyKey | None, taken: Taken
    ) -> tuple[Verification, str]:
        tag, is_test, request = None if key is None else key.tag, fixed is not None, verification.request
        number_tag = verification.number_tag or self._keyring.number_tag(verification.to)
        for _ in range(_DRAWS):
            code = fixed or ACTIONS[request.action].draw(request.code_length)
            digests = self._keyring.code_digests(verification.id, code)
            if not is_test:  # its code is that of its other sends: it cannot be told from them
                taken.send = WrittenSend(verification.id, number_tag, digests[0], after=len(verification.sends))
            with suppress(SameCode):
                return await self._store.resend(verification, digests, idempotency_tag=tag, is_test=is_test), code
        taken.send = None
        raise StoreUnavailable("no fresh code was found")

    async def _send(
        self, verification: Verification, code: str, repeatable: Repeatable, *, is_test: bool
    ) -> Verification:
        keep = (lambda sent: self._keep(sent, repeatable)) if repeatable.key else None
        try:
            return await self._sending.send(verification, code, keep=keep, is_test=is_test)
        except MessageRefused as refused:
            if not refused.is_ours:
                await self._keep(refused, repeatable)
            raise

    async def _keep(self, outcome: Verification | MessageRefused, repeatable: Repeatable) -> None:
        await self._idempotency.finish(repeatable.key, repeatable.write(outcome))
