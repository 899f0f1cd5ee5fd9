"""Issuing: draws a secret, stores its digest and passes the secret to `sending`; a resend does the same.

The secret is that of the action (`core.actions`). Limits are checked before it exists; the record is written before
the message is sent, by the step that checks the limits of the number. An Idempotency-Key is claimed first, and released
only if certainly nothing was sent.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from service.core.breaker import SendingHalted
from service.core.channels import Channel
from service.core.idempotency import Abandoned, Idempotency, IdempotencyKey, Repeatable
from service.core.issue_policy import IssuePolicy
from service.core.issue_request import IssueRequest
from service.core.keyring import Keyring
from service.core.limiter import Limiter
from service.core.next_send import admit, draw, write_next
from service.core.phone import PhoneNumber, parse_number
from service.core.profiles import Profile, Profiles
from service.core.reports.blocked import UNSENT, R, counted, counted_unread
from service.core.reservation import Reservation
from service.core.sending import MessageRefused, ProviderUnavailable, Sending, unless_followed
from service.core.store_health import StoreUnavailable
from service.core.undoing import Undoing
from service.core.verification import Status, Verification, new_id
from service.core.verification_store import (
    AlreadySent,
    IdTaken,
    NewVerification,
    NotPending,
    VerificationStore,
    WrittenSend,
)

T = TypeVar("T")


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
        profiles: Profiles,
    ) -> None:
        self._store = store
        self._sending = sending
        self._limiter = limiter
        self._idempotency = idempotency
        self._undoing = undoing
        self._keyring = keyring
        self._policy = policy
        self._profiles = profiles

    def number(self, typed: str, *, country: str | None = None) -> PhoneNumber:
        """Read a number that codes may be sent to; raises what `parse_number` raises."""
        return parse_number(typed, self._policy.numbers, country=country)

    async def locale(self, tag: str | None, caller: str | None) -> str:
        """Return the locale of the texts for a language tag; the caller's default if there is none for it.

        Raises `StoreUnavailable`.
        """
        return (await self._profiles.of(self._limiter.key_tag(caller), None)).texts.locale(tag)

    async def issue(self, asked: IssueRequest, repeatable: Repeatable) -> Verification:
        """Create a verification and send its first code.

        If that is refused while channels are left, the next one follows: see `unless_followed`.

        Raises `ActionUnfit`, `ChannelUnavailable`, `ChannelUnfit`, `SenderCannotReceive`, `ClientIpRequired`,
        `CountryNotAllowed`, `SendingHalted`, `Limited`, `StoreUnavailable`, and what `Sending` and `begin` raise.
        """
        asked = asked.only(lambda channel: self._limiter.reaches(channel, asked.number.country))
        try:
            return await unless_followed(self._issue(asked, repeatable))
        except UNSENT as refusal:
            raise await self.counted(refusal, asked) from None

    async def counted(self, refusal: R, asked: IssueRequest) -> R:
        """Count a refused request for a new verification; return the refusal. Raises `StoreUnavailable`."""
        is_test = self._policy.fixed_for(asked.number.e164, asked.request) is not None  # nothing would be sent
        return refusal if is_test else await counted_unread(self._store, refusal, asked.request, asked.channel)

    async def _issue(self, asked: IssueRequest, repeatable: Repeatable) -> Verification:
        key_tag = self._limiter.key_tag(asked.caller)
        new, fixed = self._new(asked, key_tag, await self._profiles.of(key_tag, asked.owner))
        reservation = self._limiter.reservation(new, new.channel, key_tag=key_tag, is_test=new.is_test)
        abandoned, refusal = await self._begin(repeatable.key, new.id, reservation.ask(), reservation)
        found = await self._undoing.left_by(abandoned, repeatable.key, reservation)
        async with self._undoing.on_failure(repeatable.key, reservation) as taken:
            if found is not None:
                if found.status is Status.FAILED:  # certainly nothing was sent: the next repeat starts anew
                    raise ProviderUnavailable(found, None)
                await asyncio.gather(reservation.give_back(), self._keep(found, repeatable))
                return found
            if refusal is not None:
                raise await counted(self._store, refusal, new, new.channel, send_number=1)
            if abandoned is not None:  # the first request failed before it wrote the record of this id
                new = new._replace(id=abandoned.verification_id)
            secret, digests = draw(self._keyring, new, fixed)
            if repeatable.key is not None:
                repeatable.key.require_lease()
            if not new.is_test:  # the code of a test number does not tell this send from that of a repeat
                taken.send = WrittenSend(new.id, new.number_tag, digests[0], after=0)
            try:
                verification = await self._store.issue(new, digests[0])
            except IdTaken:  # a repeat took this request over, and has issued
                taken.see_late_write(abandoned)
                await reservation.give_back()
                return await self._store.read(new.id)
            return await self._send(verification, secret, repeatable, is_test=new.is_test)

    def _new(self, asked: IssueRequest, key_tag: str, profile: Profile) -> tuple[NewVerification, str | None]:
        """Describe the new verification, by the settings where nothing was asked; give a test number's secret too."""
        to, index = asked.number.e164, self._keyring.number_index(asked.number.e164)
        request, fixed = self._policy.completed(asked.request, to, profile)
        self._policy.check_channels(asked, request, profile)
        new = NewVerification(
            id=new_id(index.partition),
            to=to,
            number_tag=index.tag,
            request=request,
            channel=asked.channel,
            wait_seconds=asked.wait_seconds,
            further=() if fixed is not None else asked.further,  # nothing is sent to a test number, nor follows
            is_test=fixed is not None,
            owner=asked.owner,
            client_tag=self._limiter.client_tag(asked.client_ip),
            key_tag=key_tag,
            payment=asked.payment,
        )
        return new, fixed

    async def resend(
        self,
        verification_id: str,
        repeatable: Repeatable,
        *,
        channel: Channel | None = None,
        caller: str | None = None,
        owner: str | None = None,
    ) -> Verification:
        """Send the next code of a pending verification: by this channel, or as its first one, or the newest of a list.

        If it is refused while channels are left, the next one follows: see `unless_followed`.

        Raises `UnknownVerification`, `NotPending`, `SendsExhausted` and what `issue` raises.
        """
        return await unless_followed(self._resend(verification_id, repeatable, channel, caller=caller, owner=owner))

    async def _resend(
        self,
        verification_id: str,
        repeatable: Repeatable,
        channel: Channel | None,
        *,
        caller: str | None,
        owner: str | None,
    ) -> Verification:
        key = repeatable.key
        abandoned, verification = await self._begin(
            key, verification_id, self._store.read(verification_id, owner=owner)
        )
        # A front end counts against the key that issued the verification: otherwise it could bypass that limit.
        key_tag = (None if caller else verification.key_tag) or self._limiter.key_tag(caller)
        fixed = self._policy.fixed_for(verification.to, verification.request)
        channel = channel or verification.sends[0 if verification.further is None else -1].channel
        is_test = fixed is not None
        reservation = self._limiter.reservation(verification, channel, key_tag=key_tag, is_test=is_test)
        verification = await self._undoing.left_by(abandoned, key, reservation) or verification
        async with self._undoing.on_failure(key, reservation) as taken:
            if abandoned and key and key.tag in {send.idempotency_tag for send in verification.sends}:
                await self._keep(verification, repeatable)
                return verification
            if verification.status is not Status.PENDING:
                raise NotPending(verification)  # before the limits: it sends nothing, so it must not count
            profile = await self._profiles.of(verification.key_tag, verification.owner)
            await admit(self._store, self._policy, reservation, verification, channel, profile=profile)
            try:
                verification, secret = await write_next(
                    self._store, self._keyring, verification, channel, taken, fixed=fixed, key=key
                )
            except AlreadySent as already:  # a repeat took this request over, and has sent
                taken.see_late_write(abandoned)
                await reservation.give_back()
                return already.verification
            return await self._send(verification, secret, repeatable, is_test=is_test)

    async def _begin(
        self,
        key: IdempotencyKey | None,
        verification_id: str,
        beside: Coroutine[Any, Any, T],
        reservation: Reservation | None = None,
    ) -> tuple[Abandoned | None, T]:
        """Claim the key and run the other step in the same round trip; if one fails, undo the other."""
        if key is None:
            return None, await beside
        abandoned, result = await asyncio.gather(
            self._idempotency.begin(key, verification_id), _boxed(beside), return_exceptions=True
        )
        if isinstance(abandoned, BaseException):
            if reservation is not None:
                await reservation.give_back()
            raise abandoned
        if isinstance(result, BaseException):
            # The abandoned request may have sent a message: with the key released, a repeat would send a second one.
            is_unknown = abandoned is not None and isinstance(result, StoreUnavailable | SendingHalted)
            await (self._idempotency.withdraw if is_unknown else self._idempotency.release)(key)
            raise result
        return abandoned, result[0]

    async def _send(
        self, verification: Verification, secret: str, repeatable: Repeatable, *, is_test: bool
    ) -> Verification:
        keep = (lambda sent: self._keep(sent, repeatable)) if repeatable.key else None
        try:
            return await self._sending.send(verification, secret, keep=keep, is_test=is_test)
        except (MessageRefused, ProviderUnavailable) as failed:
            if failed.verification.is_followed:
                await self._keep(failed.verification, repeatable)
            elif isinstance(failed, MessageRefused) and not failed.is_ours:
                await self._keep(failed, repeatable)
            raise

    async def _keep(self, outcome: Verification | MessageRefused, repeatable: Repeatable) -> None:
        await self._idempotency.finish(repeatable.key, repeatable.write(outcome))


async def _boxed(step: Coroutine[Any, Any, T]) -> tuple[T]:
    """Tell what a step returns from what it raises: a refusal that is returned is an exception, too."""
    return (await step,)
