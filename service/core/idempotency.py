"""Idempotency: the same Idempotency-Key and request get the first answer again, and no second message is sent.

A key is claimed before anything else happens, together with the id that the verification will have. The first answer is
kept for 24 h, sealed. If the first request died unanswered, a repeat does not send: it returns the verification, whose
send may be `unknown`. It is taken for dead when its lease has run out, and no process has undone it within ten seconds
from the next repeat on: Redis may have been away for the whole lease. A claim can change only its own state: a request
that was taken over and still runs changes nothing. (IETF draft "The Idempotency-Key HTTP Header Field"; Stripe keeps
answers as long.)

A request that failed, certainly sent nothing and cannot take its send back now abandons its claim: a repeat, in any
process, takes it over at once, and takes that send back first. If the store of the claim itself fails, the claim
outlives its request until a step in the background reaches it. For one lease after such a failure a process refuses
repeats as unavailable instead of `StillRunning`, which it cannot know.
"""

import math
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from service.core.event_log import EventLog
from service.core.keyring import Keyring, SealBroken
from service.core.retrying import Retries, Step
from service.core.sending import MessageRefused
from service.core.store_health import UNKNOWN, UNREADABLE, StoreUnavailable
from service.core.verification import Verification
from service.core.verification_store import WrittenSend

# Longer than any request: three tries of 5 s at the provider, the pauses between them, and Redis before and after.
LEASE_MS = 30_000
_NOT_RELEASED = "idempotency_key_not_released"


class StillRunning(Exception):
    """The first request with this key has not been answered yet; its lease ends in `retry_after_ms` at the latest."""

    def __init__(self, retry_after_ms: int) -> None:
        super().__init__(f"still running: {retry_after_ms} ms")
        self.retry_after_ms = retry_after_ms


class KeptAnswer(Exception):
    """The key has its answer already: return it, and do nothing."""

    def __init__(self, answer: bytes) -> None:
        super().__init__("answered before")
        self.answer = answer


class OtherBody(Exception):
    """The Idempotency-Key was used before with another body."""


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """One caller's key on one route and the fingerprint of the request, without their text."""

    tag: str
    fingerprint: str
    fence: str = field(default_factory=partial(secrets.token_urlsafe, 9), compare=False)  # of this request only
    made_at: float = field(default_factory=time.monotonic, compare=False)

    def require_lease(self) -> None:
        """Raise `StoreUnavailable` if the claim may be another's: this process was frozen for longer than its lease."""
        if time.monotonic() > self.made_at + LEASE_MS / 1000:
            raise StoreUnavailable("the lease of the Idempotency-Key is over")


@dataclass(frozen=True, slots=True)
class Repeatable:
    """A request's Idempotency-Key, and how its answer is written."""

    key: IdempotencyKey | None
    write: Callable[[Verification | MessageRefused], bytes]


@dataclass(frozen=True, slots=True)
class Abandoned:
    """A claim that was taken over from a request without an answer."""

    verification_id: str
    unsent: WrittenSend | None = None  # what that request wrote, or may have, if it is known that it sent nothing


@dataclass(frozen=True, slots=True)
class Begun:
    """The result of claiming an Idempotency-Key: one of the three, or none of them if the key is fresh."""

    answer: bytes | None = None
    running_ms: int | None = None  # the rest of the lease of the request that runs
    is_overdue: bool = False  # its lease is over; if its process is alive, it ends the claim within that time
    abandoned: Abandoned | None = None


class IdempotencyStore(Protocol):
    """Keeps the first answer of each Idempotency-Key, sealed. All raise `StoreUnavailable`.

    `fence` is a random text that belongs to one claim. Once that claim has been taken over, or has an answer, its steps
    change nothing. Each step may be repeated.
    """

    async def begin(self, key: str, *, fence: str, fingerprint: str, verification_id: str, lease_ms: int) -> Begun:
        """Claim a key. Raises `OtherBody`."""

    async def finish(self, key: str, *, fence: str, answer: bytes) -> None:
        """Keep the sealed answer."""

    async def release(self, key: str, *, fence: str) -> None:
        """Forget a key that has no answer: nothing was sent, and the next request is fresh."""

    async def withdraw(self, key: str, *, fence: str) -> None:
        """Return a claim to its state before: abandoned, and to be taken over at once, or never made."""

    async def abandon(self, key: str, *, fence: str, unsent: WrittenSend) -> None:
        """Let the next request take a claim over at once, and tell it of a send that was certainly not sent."""


class Idempotency:
    """Claims keys and keeps answers. While the store is away, claims are given back in the background."""

    def __init__(self, store: IdempotencyStore, keyring: Keyring, *, retries: Retries, event_log: EventLog) -> None:
        self._store = store
        self._keyring = keyring
        self._retries = retries
        self._event_log = event_log
        self._failed_at, self._fault = -math.inf, UNKNOWN  # the last step that failed

    def key(self, *, scope: str, key: str, content: bytes) -> IdempotencyKey:
        """Make a key: `scope` is the caller and the route, so that callers share none; `content` is the request."""
        return IdempotencyKey(self._keyring.idempotency_tag(scope, key), self._keyring.fingerprint(content))

    async def begin(self, key: IdempotencyKey | None, verification_id: str) -> Abandoned | None:
        """Claim a key; return what a request without an answer has left, or None if the key is fresh.

        Raises `KeptAnswer`, `StillRunning`, `OtherBody`, `StoreUnavailable`.
        """
        if key is None:
            return None
        try:
            begun: Begun = await self._store.begin(
                key.tag,
                fence=key.fence,
                fingerprint=key.fingerprint,
                verification_id=verification_id,
                lease_ms=LEASE_MS,
            )
        except StoreUnavailable as away:  # the claim may have been made
            self._do_later(away, partial(self._store.withdraw, key.tag, fence=key.fence), _NOT_RELEASED)
            raise
        if begun.answer is not None:
            raise KeptAnswer(self._opened(key, begun.answer))
        if begun.running_ms is not None:
            if begun.is_overdue or time.monotonic() < self._failed_at + LEASE_MS / 1000:
                raise StoreUnavailable("an earlier request with this key may not be undone yet", self._fault)
            raise StillRunning(begun.running_ms)
        return begun.abandoned

    def _opened(self, key: IdempotencyKey, sealed: bytes) -> bytes:
        try:
            return self._keyring.unseal(key.tag, sealed)
        except SealBroken as broken:
            raise StoreUnavailable(str(broken), UNREADABLE) from None

    async def finish(self, key: IdempotencyKey | None, answer: bytes) -> None:
        """Keep the answer for 24 h, in the background when the store is away. Raises nothing."""
        if key is not None:
            sealed = self._keyring.seal(key.tag, answer)
            await self._do(partial(self._store.finish, key.tag, fence=key.fence, answer=sealed), "answer_not_kept")

    async def release(self, key: IdempotencyKey | None) -> None:
        """Forget the key: the request failed, and a repeat may succeed. Raises nothing."""
        if key is not None:
            await self._do(partial(self._store.release, key.tag, fence=key.fence), _NOT_RELEASED)

    async def withdraw(self, key: IdempotencyKey | None) -> None:
        """Return the key to its state before, because it is not known what a dead request has sent. Raises nothing."""
        if key is not None:
            await self._do(partial(self._store.withdraw, key.tag, fence=key.fence), _NOT_RELEASED)

    async def abandon(self, key: IdempotencyKey | None, unsent: WrittenSend) -> None:
        """Leave the key to the next request, which takes the send back: it was certainly not sent. Raises nothing."""
        if key is not None:
            await self._do(partial(self._store.abandon, key.tag, fence=key.fence, unsent=unsent), _NOT_RELEASED)

    async def _do(self, step: Step, event: str) -> None:
        try:
            await step()
        except StoreUnavailable as away:
            self._do_later(away, step, event)

    def _do_later(self, away: StoreUnavailable, step: Step, event: str) -> None:
        self._failed_at, self._fault = time.monotonic(), away.fault
        self._retries.add(
            step,
            for_seconds=math.inf,  # the step does nothing once the claim has expired, or belongs to another request
            given_up=lambda reason: self._event_log(event, reason=reason),
        )
