"""Undoing: a request that fails gives back its limits, its send and its Idempotency-Key.

Promises: a request that certainly sent nothing costs nothing. If Redis fails during the request, the caller gets 503,
and the send and the key are given back in the background (`retrying`). The key is released only after the send is taken
back, so that a repeat cannot find a send that was never made. Meanwhile the key is abandoned: a repeat takes the send
back itself. While the next channel of a list follows, the key is kept: a repeat finds that verification. What another
request has taken over is left alone. If the process is killed, nothing is given back: it expires with its lease, its
window or its record.
"""

import asyncio
import math
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial

from service.core.event_log import EventLog
from service.core.idempotency import Abandoned, Idempotency, IdempotencyKey
from service.core.reservation import Reservation
from service.core.retrying import Retries
from service.core.sending import MessageRefused, ProviderUnavailable
from service.core.store_health import StoreUnavailable
from service.core.verification import Status, Verification
from service.core.verification_store import UnknownVerification, VerificationStore, WrittenSend

_LOOKS = 2  # a step whose answer did not come may still be carried out


@dataclass(slots=True)
class Taken:
    """The send of a request that the store may have written; its key and its limits are known anyway."""

    send: WrittenSend | None = None

    def see_late_write(self, abandoned: Abandoned | None) -> None:
        """Another request has written in between: if it is one that sent nothing, raise `StoreUnavailable`."""
        if abandoned is not None and abandoned.unsent is not None:
            self.send = abandoned.unsent
            raise StoreUnavailable("the write of an earlier request came late")


class Undoing:
    """Gives back what failed requests took."""

    def __init__(
        self, store: VerificationStore, idempotency: Idempotency, *, retries: Retries, event_log: EventLog
    ) -> None:
        self._store = store
        self._idempotency = idempotency
        self._retries = retries
        self._event_log = event_log

    @asynccontextmanager
    async def on_failure(self, key: IdempotencyKey | None, reservation: Reservation) -> AsyncIterator[Taken]:
        """Run the rest of a request; give back what it took when it fails in a way that a repeat may fix."""
        taken = Taken()
        try:
            yield taken
        except MessageRefused as refused:
            await self._release(key, refused)  # a refusal that is kept has its answer already: this leaves it
            # What others cause stays counted, but for its price: numbers must not be probed for free.
            await (reservation.give_back() if refused.is_ours else reservation.give_back_money())
            raise
        except StoreUnavailable:
            await asyncio.gather(self._take_back(taken.send, key), reservation.give_back())
            raise
        except Exception as failed:
            await asyncio.gather(self._release(key, failed), reservation.give_back())
            raise
        finally:
            reservation.end_probe()

    async def left_by(
        self, abandoned: Abandoned | None, key: IdempotencyKey | None, reservation: Reservation
    ) -> Verification | None:
        """Read what an unanswered request has written, less what it certainly did not send.

        None if that is nothing. If the store fails, it raises `StoreUnavailable`, and the next repeat looks again.
        """
        if abandoned is None:
            return None
        try:
            found = await self._store.read(abandoned.verification_id)
            if abandoned.unsent is not None and len(found.sends) > abandoned.unsent.after:
                with suppress(UnknownVerification):  # it is taken back already, or what was written is another's
                    await self._store.take_back(abandoned.unsent)
                found = await self._store.read(abandoned.verification_id)
            await self._store.secure(found)
        except UnknownVerification:
            return None
        except StoreUnavailable:
            # The key is not released: its request may have sent a message.
            await asyncio.gather(self._idempotency.withdraw(key), reservation.give_back())
            raise
        return found

    async def _release(self, key: IdempotencyKey | None, failed: Exception) -> None:
        """Release the key, unless the next channel of a list follows: its answer is kept, maybe in the background."""
        if not (isinstance(failed, MessageRefused | ProviderUnavailable) and failed.verification.is_followed):
            await self._idempotency.release(key)

    async def _take_back(self, send: WrittenSend | None, key: IdempotencyKey | None) -> None:
        """Take a send back that was not handed to the provider, if it was written; then release the key."""
        if send is None:
            await self._idempotency.release(key)
            return
        step = partial(self._look_and_take_back, send, key, iter(range(1, _LOOKS)))
        try:
            await step()
        except StoreUnavailable:
            await self._idempotency.abandon(key, send)
            self._retries.add(
                step,
                for_seconds=math.inf,  # once the record has expired, nothing is left to take back
                given_up=lambda reason: self._event_log(
                    "send_not_taken_back", verification_id=send.verification_id, reason=reason
                ),
            )

    async def _look_and_take_back(
        self, send: WrittenSend, key: IdempotencyKey | None, more_looks: Iterator[int]
    ) -> None:
        try:
            await self._store.take_back(send)
        except UnknownVerification:
            if next(more_looks, None) is not None:
                raise StoreUnavailable("the send is not written, or not yet") from None
            if await self._goes_on(send):
                return  # the key is abandoned: its repeat finds the verification, instead of issuing another one
        await self._idempotency.release(key)

    async def _goes_on(self, send: WrittenSend) -> bool:
        """Tell whether a send is there without its code: it was refused, and the next channel of a list may follow."""
        try:
            found = await self._store.read(send.verification_id)
        except UnknownVerification:
            return False
        return len(found.sends) > send.after and found.status is not Status.FAILED
