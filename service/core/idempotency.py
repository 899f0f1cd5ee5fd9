"""Idempotency: the same Idempotency-Key and body get the first answer again, and no second SMS.

A key is claimed before anything else happens, together with the id that the verification will
have. The first answer is kept 24 h, sealed. When the first request died unanswered (its lease ran
out), a repeat does not send: it tells what became of the verification, whose send may be `unknown`.
(IETF draft "The Idempotency-Key HTTP Header Field"; Stripe keeps its answers as long.)
"""

from collections.abc import Callable
from dataclasses import dataclass

from service.core.keyring import Keyring, SealBroken
from service.core.ports import Begun, IdempotencyStore, StoreUnavailable
from service.core.sending import MessageRefused
from service.core.verification import Verification

# Longer than any request runs: three tries at Twilio of 5 s, pauses between, Redis on both sides.
LEASE_MS = 30_000


class StillRunning(Exception):
    """The first request with this key has not been answered yet."""


class KeptAnswer(Exception):
    """The key has its answer already: give it again, and do nothing."""

    def __init__(self, answer: bytes) -> None:
        super().__init__("answered before")
        self.answer = answer


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """One caller's key on one route, with the fingerprint of its body; both without their text."""

    tag: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Repeatable:
    """A request's Idempotency-Key together with the way its answer is written."""

    key: IdempotencyKey | None
    write: Callable[[Verification | MessageRefused], bytes]


class Idempotency:
    """Claims keys, keeps answers."""

    def __init__(self, store: IdempotencyStore, keyring: Keyring) -> None:
        self._store = store
        self._keyring = keyring

    def key(self, *, scope: str, key: str, body: bytes) -> IdempotencyKey:
        """Name a key: `scope` is the caller and the route, so that callers never meet."""
        return IdempotencyKey(self._keyring.idempotency_tag(scope, key), self._keyring.fingerprint(body))

    async def begin(self, key: IdempotencyKey | None, verification_id: str) -> str | None:
        """Claim a key; return the id of a verification whose first request died unanswered, or None when fresh.

        Raises `KeptAnswer`, `StillRunning`, `OtherBody`, `StoreUnavailable`.
        """
        if key is None:
            return None
        begun: Begun = await self._store.begin(
            key.tag, fingerprint=key.fingerprint, verification_id=verification_id, lease_ms=LEASE_MS
        )
        if begun.answer is not None:
            raise KeptAnswer(self._opened(key, begun.answer))
        if begun.running:
            raise StillRunning
        return begun.abandoned_id

    def _opened(self, key: IdempotencyKey, sealed: bytes) -> bytes:
        try:
            return self._keyring.unseal(key.tag, sealed)
        except SealBroken as broken:
            raise StoreUnavailable(str(broken)) from None

    async def finish(self, key: IdempotencyKey | None, answer: bytes) -> None:
        """Keep the answer for 24 h."""
        if key is not None:
            await self._store.finish(key.tag, fingerprint=key.fingerprint, answer=self._keyring.seal(key.tag, answer))

    async def release(self, key: IdempotencyKey | None) -> None:
        """Forget the key: the request failed in a way that a repeat may mend."""
        if key is not None:
            await self._store.release(key.tag, fingerprint=key.fingerprint)
