"""Checking: decides what a person typed, once, in one atomic step of the store.

This module turns the typed code or password into digests and passes them on. Counting, comparing, consuming and
enqueueing the confirmation happen together in `check.lua`, whose header shows two racing checks. No provider is asked:
checks are as fast while providers are down. What people do on the page of a link is in `links`.
"""

from collections.abc import Callable

from service.core.actions import Action
from service.core.event_log import EventLog
from service.core.keyring import Keyring
from service.core.payment import Payment, bound
from service.core.phone import InvalidNumber, canonical_number
from service.core.verification import CheckResult, Verification, partition_of
from service.core.verification_store import Check, VerificationStore


class Checking:
    """Decides checks, and ends or reads verifications."""

    def __init__(
        self, store: VerificationStore, keyring: Keyring, *, wake: Callable[[str], None], event_log: EventLog
    ) -> None:
        self._store = store
        self._keyring = keyring
        self._wake = wake
        self._event_log = event_log

    async def check(
        self,
        verification_id: str,
        secret: str,
        *,
        action: Action | None = None,
        to: str | None = None,
        purpose: str | None = None,
        payment: Payment | None = None,
        owner: str | None = None,
        caller: str = "",
        idempotency_key: str | None = None,
    ) -> CheckResult:
        """Decide one check of a code, or of the secret of another action: only that of the verification is compared.

        `to` and `purpose`, when given, must be those of the verification, or the verdict is
        `mismatch` and nothing is compared: an approval cannot be reused for something else. `payment` must be that of
        the verification, or none if it has none: otherwise the verdict is `mismatch` too, whatever the secret.
        With `owner`, a verification of another owner is unknown, and keeps its attempts.
        The same `idempotency_key` of the same `caller` within 60 s gets the same verdict and costs no attempt.
        Raises `UnknownVerification`, `WrongAction`, `OtherBody`, `StoreUnavailable`.
        """
        to = None if to is None else _one_spelling(to)
        if payment is not None:
            secret = bound(secret, payment)
        digests = self._keyring.code_digests(verification_id, secret)
        check = Check(verification_id, digests, to, purpose, owner, action, payment=payment)
        if idempotency_key is not None:
            check = check._replace(
                idempotency_key=self._keyring.idempotency_tag(f"{verification_id} {caller}", idempotency_key),
                fingerprint=self._keyring.fingerprint(f"{verification_id}|{secret}|{to}|{purpose}".encode()),
            )
        result = await self._store.check(check)
        if result.enqueued:
            self._wake(partition_of(verification_id))
        return result

    async def cancel(self, verification_id: str, *, owner: str | None = None) -> Verification:
        """End a pending verification; one that has ended keeps its end."""
        verification = await self._store.cancel(verification_id, owner=owner)
        self._event_log("verification_canceled", verification_id=verification_id, status=verification.status)
        return verification

    async def read(self, verification_id: str, *, owner: str | None = None) -> Verification:
        """Read a verification as it stands now."""
        return await self._store.read(verification_id, owner=owner)


def _one_spelling(to: str) -> str:
    """Write a number as that of a verification is written; what is no number is that of none."""
    try:
        return canonical_number(to)
    except InvalidNumber:
        return to
