"""Verifications in Redis: one hash each (`redis_record`), changed only by scripts, one round trip a step.

The store names keys, hands policies over and translates answers; what a check comes to is decided in
`check.lua`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from service.core.delivery import RANKS
from service.core.idempotency import OtherBody
from service.core.keyring import Keyring
from service.core.limits import Limit, Limited, Limits
from service.core.store_health import UNREADABLE, StoreUnavailable
from service.core.verification import CheckResult, Delivery, Verdict, Verification, partition_of
from service.core.verification_store import (
    AlreadySent,
    Check,
    IdTaken,
    NewVerification,
    NotPending,
    SameCode,
    SendsExhausted,
    UnknownVerification,
    WrittenSend,
)
from service.store import keys as redis_keys
from service.store.record import issued_verification, new_record, read_record
from service.store.scripts import Scripts

_FAILED = f"{RANKS[Delivery.FAILED]}{Delivery.FAILED}"
_VERDICTS = {word.encode(): word for word in Verdict}


@dataclass(frozen=True, slots=True)
class RecordPolicy:
    """What the settings say of records and checks."""

    late_window_seconds: int
    max_attempts: int
    max_sends: int
    supersede_codes: bool
    number: Limits  # sends to one number
    failed_checks: Limits  # of one number, over all its verifications: beyond it no new code is sent
    most_failed_in_a_row: int  # of one number since its last approval: at it everything stops


class RedisVerifications:
    """The `VerificationStore` of the core."""

    def __init__(self, scripts: Scripts, keyring: Keyring, policy: RecordPolicy) -> None:
        self._scripts = scripts
        self._keyring = keyring
        self._policy = policy
        # Written out once: they are in every call.
        self._sends_policy = policy.number.policy
        self._checks_policy = policy.failed_checks.policy

    async def issue(self, new: NewVerification, digest: bytes) -> Verification:
        """Write a verification and its first send."""
        answer, *rest = await self._scripts.run(
            "issue",
            self._keys_of(new.id, new.to),
            [
                self._sends_policy,
                new.ttl_seconds * 1000,
                self._policy.late_window_seconds * 1000,
                digest,
                f"{new.country}:{new.channel}",
                self._checks_policy,
                self._policy.most_failed_in_a_row,
                *new_record(self._keyring, new, self._keyring.number_tag(new.to)),
            ],
        )
        if answer == b"limited":
            raise self._limited(*rest)
        if answer == b"taken":
            raise IdTaken
        return issued_verification(new, *rest)

    async def resend(
        self, verification: Verification, digests: Sequence[bytes], *, request: str | None = None, is_test: bool = False
    ) -> Verification:
        """Write the next send."""
        answer, *rest = await self._scripts.run(
            "resend",
            self._keys_of(verification.id, verification.to),
            [
                self._sends_policy,
                self._policy.late_window_seconds * 1000,
                self._policy.max_sends,
                self._checks_policy,
                self._policy.most_failed_in_a_row,
                request or "",
                self._keyring.seal(verification.id, verification.to.encode()),
                int(is_test),
                *digests,
            ],
        )
        if answer == b"sent":
            return self._verification(verification.id, rest[0])
        raise self._not_resent(answer, verification.id, rest)

    async def deliver(
        self,
        verification_id: str,
        send_number: int,
        *,
        sid: str,
        status: Delivery,
        error_code: int | None = None,
        sender: str | None = None,
    ) -> bool:
        """Record the SID and status of a send; tell whether a waiting confirmation became pending."""
        answer = await self._scripts.run(
            "deliver",
            _record_and_entries(verification_id),
            [verification_id, send_number, sid, f"{RANKS[status]}{status}", error_code or "", sender or ""],
        )
        return bool(answer[0] == b"recorded" and answer[1])

    async def refuse(
        self, verification: Verification, send_number: int, *, error_code: int | None, passing: bool
    ) -> Verification:
        """Take back a send that was certainly not sent."""
        answer, *rest = await self._scripts.run(
            "refuse",
            self._keys_of(verification.id, verification.to),
            [send_number, "" if error_code is None else error_code, _FAILED, int(passing)],
        )
        return self._known(answer, verification.id, rest)

    async def take_back(self, send: WrittenSend) -> None:
        """Take back a send that may have been written, told by its code."""
        keys = self._keys_of(send.verification_id, send.to)
        answer, *rest = await self._scripts.run("refuse", keys, ["", "", _FAILED, 1, send.digest, send.after])
        self._known(answer, send.verification_id, rest)

    async def note_handed(self, verification_id: str, send_number: int) -> None:
        """Note that a send may have gone out."""
        await self._scripts.run("hand", [redis_keys.verification(verification_id)], [send_number])

    async def check(self, check: Check) -> CheckResult:
        """Check a check in one round trip."""
        partition = partition_of(check.verification_id)
        answer, *rest = await self._scripts.run(
            "check",
            _record_and_entries(check.verification_id),
            [
                self._policy.max_attempts,
                int(self._policy.supersede_codes),
                check.verification_id,
                redis_keys.number_prefix(partition),
                self._checks_policy,
                self._policy.most_failed_in_a_row,
                self._sends_policy,
                self._keyring.key_ids,
                check.owner or "",
                b"".join(check.digests),
                *self._asked(check),
            ],
        )
        if answer == b"missing":
            raise UnknownVerification
        if answer == b"other_body":
            raise OtherBody
        if answer == b"other_key":
            raise StoreUnavailable("check: written under a key that must first be added on every host", UNREADABLE)
        verdict, enqueued, replayed, record = rest
        return CheckResult(
            verdict=_VERDICTS[verdict],
            verification=self._verification(check.verification_id, record),
            replayed=bool(replayed),
            enqueued=bool(enqueued),
        )

    async def cancel(self, verification_id: str, *, owner: str | None = None) -> Verification:
        """End a pending verification."""
        answer, *rest = await self._scripts.run(
            "cancel",
            [redis_keys.verification(verification_id), redis_keys.stats(partition_of(verification_id))],
            [owner or ""],
        )
        return self._known(answer, verification_id, rest)

    async def read(self, verification_id: str, *, owner: str | None = None) -> Verification:
        """Read a verification as it stands now."""
        answer, *rest = await self._scripts.run("read", [redis_keys.verification(verification_id)], [owner or ""])
        return self._known(answer, verification_id, rest)

    def _asked(self, check: Check) -> Sequence[str]:
        """List what few checks ask for; every word costs Redis and us, used or not."""
        if check.to is None and check.purpose is None and check.idempotency_key is None:
            return ()
        return (
            "" if check.to is None else self._keyring.number_tag(check.to),
            check.purpose or "",
            f"i:{check.idempotency_key}" if check.idempotency_key else "",
            check.fingerprint,
        )

    def _keys_of(self, verification_id: str, to: str) -> list[str]:
        partition = partition_of(verification_id)
        number = redis_keys.number(partition, self._keyring.number_tag(to))
        return [redis_keys.verification(verification_id), number, redis_keys.stats(partition)]

    def _known(self, answer: bytes, verification_id: str, rest: Sequence[Any]) -> Verification:
        if answer == b"missing":
            raise UnknownVerification
        return read_record(self._keyring, verification_id, *rest)

    def _not_resent(self, answer: bytes, verification_id: str, rest: Sequence[Any]) -> Exception:
        match answer:
            case b"missing":
                return UnknownVerification()
            case b"limited":
                return self._limited(*rest)
            case b"already":
                return AlreadySent(self._verification(verification_id, rest[0]))
            case b"exhausted":
                return SendsExhausted()
            case b"same_code":
                return SameCode()
            case _:
                return NotPending(self._verification(verification_id, rest[0]))

    def _limited(self, wait_ms: int, limit: bytes) -> Limited:
        is_number = limit == b"number"
        return Limited(
            wait_ms,
            Limit.NUMBER if is_number else Limit.FAILED_CHECKS,
            self._policy.number if is_number else self._policy.failed_checks,
        )

    def _verification(self, verification_id: str, reply: Sequence[Any]) -> Verification:
        return read_record(self._keyring, verification_id, reply)


def _record_and_entries(verification_id: str) -> list[str]:
    partition = partition_of(verification_id)
    return [redis_keys.verification_prefix(partition) + verification_id, *_entries(partition)]


@cache
def _entries(partition: str) -> tuple[str, str, str]:
    return redis_keys.outbox(partition), redis_keys.outbox_info(partition), redis_keys.stats(partition)
