"""Issuing: draws a secret, stores its digest and passes the secret to `sending`; a resend does the same.

The secret is that of the action (`core.actions`). Limits are checked before it exists; the record is written before
the message is sent, by the step that checks the limits of the number. An Idempotency-Key is claimed first, and released
only if certainly nothing was sent.
"""

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from service.core.actions import ACTIONS
from service.core.breaker import SendingHalted
from service.core.channels import Channel
from service.core.idempotency import Idempotency, IdempotencyKey, Repeatable
from service.core.issue_policy import IssuePolicy
from service.core.issue_request import IssueRequest
from service.core.keyring import Keyring
from service.core.limiter import Limiter, Reservation
from service.core.payment import bound
from service.core.phone import PhoneNumber, parse_number
from service.core.reports.blocked import counted
from service.core.sending import MessageRefused, ProviderUnavailable, Sending
from service.core.store_health import StoreUnavailable
from service.core.undoing import Taken, Undoing
from service.core.verification import Status, Verification, new_id, partition_of
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

    def locale(self, tag: str | None) -> str:
        """Return the locale of the texts for a language tag; the default if there is none for it."""
        return self._policy.texts.locale(tag)

    async def issue(self, asked: IssueRequest, repeatable: Repeatable) -> Verification:
        """Create a verification and send its first code.

        Raises `ActionUnfit`, `ChannelUnavailable`, `ChannelUnfit`, `SenderCannotReceive`, `ClientIpRequired`,
        `CountryNotAllowed`, `SendingHalted`, `Limited`, `StoreUnavailable`, and what `Sending` and `begin` raise.
        """
        key_tag = self._limiter.key_tag(asked.caller)
        new, fixed = self._new(asked, key_tag)
        texts = self._policy.texts
        reservation = self._limiter.reservation(new, new.channel, texts, key_tag=key_tag, is_test=new.is_test)
        abandoned_id, refusal = await self._begin(repeatable.key, new.id, reservation.ask(), reservation)
        abandoned = await self._abandoned(abandoned_id, repeatable.key, reservation)
        async with self._undoing.on_failure(repeatable.key, reservation) as taken:
            if abandoned is not None:
                if abandoned.status is Status.FAILED:  # certainly nothing was sent: the next repeat starts anew
                    raise ProviderUnavailable(abandoned, None)
                await asyncio.gather(reservation.give_back(), self._keep(abandoned, repeatable))
                return abandoned
            if refusal is not None:
                raise await counted(self._store, refusal, new, new.channel, send_number=1)
            if abandoned_id is not None:  # the first request failed before it wrote the record of this id
                new = new._replace(id=abandoned_id)
            secret, digests = self._draw(new, fixed)
            digest = digests[0]
            taken.send = WrittenSend(new.id, new.number_tag, digest, after=0)
            try:
                verification = await self._store.issue(new, digest)
            except IdTaken:  # a repeat took this request over, and has issued
                await reservation.give_back()
                return await self._store.read(new.id)
            return await self._send(verification, secret, repeatable, is_test=new.is_test)

    def _new(self, asked: IssueRequest, key_tag: str) -> tuple[NewVerification, str | None]:
        """Describe the new verification, by the settings where nothing was asked; give a test number's secret too."""
        to, index = asked.number.e164, self._keyring.number_index(asked.number.e164)
        request, fixed = self._policy.completed(asked.request, to, asked.payment)
        self._policy.check_channel(asked.channel, request, asked.payment)
        new = NewVerification(
            id=new_id(index.partition),
            to=to,
            number_tag=index.tag,
            request=request,
            channel=asked.channel,
            is_test=fixed is not None,
            owner=asked.owner,
            client_tag=self._limiter.client_tag(asked.client_ip),
            key_tag=key_tag,
            payment=asked.payment,
        )
        return new, fixed

    def _draw(self, issued: NewVerification | Verification, fixed: str | None) -> tuple[str, Sequence[bytes]]:
        """Draw the secret of a send, unless it is that of a test number; digest it with its payment."""
        request, action = issued.request, ACTIONS[issued.request.action]
        length = request.code_length or request.password_length or 0
        match = action.match(self._keyring, issued.id)
        secret = fixed or action.draw(length, partition_of(issued.id), match)
        return secret, action.digests(self._keyring, issued.id, bound(secret, issued.payment))

    async def resend(
        self,
        verification_id: str,
        repeatable: Repeatable,
        *,
        channel: Channel | None = None,
        caller: str | None = None,
        owner: str | None = None,
    ) -> Verification:
        """Send the next code of a pending verification: by this channel, or as the verification was issued.

        Raises `UnknownVerification`, `NotPending`, `SendsExhausted` and what `issue` raises.
        """
        key = repeatable.key
        abandoned_id, verification = await self._begin(
            key, verification_id, self._store.read(verification_id, owner=owner)
        )
        # A front end counts against the key that issued the verification: otherwise it could bypass that limit.
        key_tag = (None if caller else verification.key_tag) or self._limiter.key_tag(caller)
        request = verification.request
        fixed = self._policy.secrets.fixed_for(verification.to, request.action, request.password_length)
        channel = channel or verification.sends[0].channel
        texts, is_test = self._policy.texts, fixed is not None
        reservation = self._limiter.reservation(verification, channel, texts, key_tag=key_tag, is_test=is_test)
        async with self._undoing.on_failure(key, reservation) as taken:
            if abandoned_id and key and key.tag in {send.idempotency_tag for send in verification.sends}:
                await self._keep(verification, repeatable)
                return verification
            if verification.status is not Status.PENDING:
                raise NotPending(verification)  # before the limits: it sends nothing, so it must not count
            self._policy.check_channel(channel, request, verification.payment)
            refusal = await reservation.ask()
            if refusal is not None:
                number = len(verification.sends) + 1
                raise await counted(self._store, refusal, verification, channel, send_number=number)
            try:
                verification, secret = await self._next_send(verification, channel, fixed, key, taken)
            except AlreadySent as already:  # a repeat took this request over, and has sent
                await reservation.give_back()
                return already.verification
            return await self._send(verification, secret, repeatable, is_test=is_test)

    async def _begin(
        self,
        key: IdempotencyKey | None,
        verification_id: str,
        beside: Coroutine[Any, Any, T],
        reservation: Reservation | None = None,
    ) -> tuple[str | None, T]:
        """Claim the key and run the other step in the same round trip; if one fails, undo the other."""
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
            # The abandoned request may have sent a message: with the key released, a repeat would send a second one.
            is_unknown = abandoned_id is not None and isinstance(result, StoreUnavailable | SendingHalted)
            await (self._idempotency.withdraw if is_unknown else self._idempotency.release)(key)
            raise result
        return abandoned_id, result

    async def _abandoned(
        self, verification_id: str | None, key: IdempotencyKey | None, reservation: Reservation
    ) -> Verification | None:
        """Read what an unanswered request has written; if the store fails, the next repeat looks again."""
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
        self,
        verification: Verification,
        channel: Channel,
        fixed: str | None,
        key: IdempotencyKey | None,
        taken: Taken,
    ) -> tuple[Verification, str]:
        tag, is_test = None if key is None else key.tag, fixed is not None
        number_tag = verification.number_tag or self._keyring.number_tag(verification.to)
        for _ in range(_DRAWS):
            secret, digests = self._draw(verification, fixed)
            if not is_test:  # all sends of a test number share one code, which identifies none of them
                taken.send = WrittenSend(verification.id, number_tag, digests[0], after=len(verification.sends))
            with suppress(SameCode):
                write = self._store.resend(verification, digests, channel, idempotency_tag=tag, is_test=is_test)
                return await write, secret
        taken.send = None
        raise StoreUnavailable("no fresh code was found")

    async def _send(
        self, verification: Verification, secret: str, repeatable: Repeatable, *, is_test: bool
    ) -> Verification:
        keep = (lambda sent: self._keep(sent, repeatable)) if repeatable.key else None
        try:
            return await self._sending.send(verification, secret, keep=keep, is_test=is_test)
        except MessageRefused as refused:
            if not refused.is_ours:
                await self._keep(refused, repeatable)
            raise

    async def _keep(self, outcome: Verification | MessageRefused, repeatable: Repeatable) -> None:
        await self._idempotency.finish(repeatable.key, repeatable.write(outcome))
