"""Verifications in Redis: one hash each (`record`), changed only by scripts, one round trip a step.

The store names keys, passes policies and translates answers. The scripts decide: `check.lua` what a check comes to.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from service.core.channels import Channel
from service.core.keyring import Keyring
from service.core.limits import Limit, Limited, Limits
from service.core.verification import CheckResult, Delivery, Verdict, Verification, partition_of
from service.core.verification_store import (
    AlreadySent,
    Check,
    NewVerification,
    NotPending,
    WrittenSend,
)
from service.store import keys as redis_keys
from service.store.fields import ranked
from service.store.record import Records
from service.store.refusals import refused
from service.store.scripts import Scripts

_FAILED = ranked(Delivery.FAILED)
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
        self._records = Records(keyring, scripts.fields)
        # Written out once: they are in every call.
        self._sends_policy = policy.number.policy
        self._checks_policy = policy.failed_checks.policy

    async def issue(self, new: NewVerification, digest: bytes) -> Verification:
        """Write a verification and its first send."""
        answer, *rest = await self._scripts.run(
            "issue",
            self._keys_of(new.id, new.number_tag) + redis_keys.links_of(new.id, new.request.action, digest),
            [
                self._sends_policy,
                new.request.ttl_seconds * 1000,
                self._policy.late_window_seconds * 1000,
                digest,
                f"{new.request.country}:{new.channel}",
                self._checks_policy,
                self._policy.most_failed_in_a_row,
                *self._records.new(new),
            ],
        )
        if answer == b"limited":
            raise self._limited(*rest)
        if answer == b"issued":
            return self._records.issued(new, *rest)
        raise refused("issue", answer)

    async def resend(
        self,
        verification: Verification,
        digests: Sequence[bytes],
        channel: Channel,
        *,
        idempotency_tag: str | None = None,
        is_test: bool = False,
    ) -> Verification:
        """Write the next send."""
        answer, *rest = await self._scripts.run(
            "resend",
            self._keys_of(verification.id, self._number_tag(verification))
            + redis_keys.links_of(verification.id, verification.request.action, digests[0]),
            [
                self._sends_policy,
                self._policy.late_window_seconds * 1000,
                self._policy.max_sends,
                self._checks_policy,
                self._policy.most_failed_in_a_row,
                idempotency_tag or "",
                self._records.sealed(verification.id, verification.to),
                int(is_test),
                b"".join(digests),
                f"{verification.request.country}:{channel}",
                *self._records.new_send("", channel, is_test=is_test, idempotency_tag=idempotency_tag),
            ],
        )
        if answer == b"sent":
            return self._records.read(verification.id, rest[0])._replace(number_tag=verification.number_tag)
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
    ) -> bool | None:
        """Record the SID and status of a send; tell whether a waiting confirmation became pending; None if unknown."""
        answer = await self._scripts.run(
            "deliver",
            _record_and_entries(verification_id),
            [verification_id, send_number, sid, ranked(status), error_code or "", sender or ""],
        )
        if answer[0] == b"newer_format":
            raise refused("deliver", answer[0])
        return bool(answer[1]) if answer[0] == b"recorded" else None

    async def refuse(
        self, verification: Verification, send_number: int, *, error_code: int | None, passing: bool
    ) -> Verification:
        """Take back a send that was certainly not sent."""
        answer, *rest = await self._scripts.run(
            "refuse",
            self._keys_of(verification.id, self._number_tag(verification)),
            [send_number, "" if error_code is None else error_code, _FAILED, int(passing)],
        )
        return self._known(answer, verification.id, rest)

    async def take_back(self, send: WrittenSend) -> None:
        """Take back a send that may have been written, told by its code."""
        keys = self._keys_of(send.verification_id, send.number_tag)
        answer, *rest = await self._scripts.run("refuse", keys, ["", "", _FAILED, 1, send.digest, send.after])
        self._known(answer, send.verification_id, rest)

    async def note_handed(self, verification_id: str, send_number: int) -> None:
        """Note that a send may have gone out."""
        answer, *_ = await self._scripts.run("hand", [redis_keys.verification(verification_id)], [send_number])
        if answer == b"newer_format":
            raise refused("hand", answer)

    async def check(self, check: Check) -> CheckResult:
        """Decide a check in one round trip."""
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
        if answer != b"checked":
            raise refused("check", answer)
        verdict, enqueued, replayed, record = rest
        return CheckResult(
            verdict=_VERDICTS[verdict],
            verification=self._records.read(check.verification_id, record),
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
        """List what few checks ask for; every argument costs time, used or not."""
        if check.to is None and check.purpose is None and check.idempotency_key is None and check.action is None:
            return ()
        asked = (
            "" if check.to is None else self._keyring.number_tag(check.to),
            check.purpose or "",
            self._scripts.fields.key("check", check.idempotency_key) if check.idempotency_key else "",
            check.fingerprint,
        )
        return asked if check.action is None else (*asked, check.action, check.on_page or "")

    def _number_tag(self, verification: Verification) -> str:
        return verification.number_tag or self._keyring.number_tag(verification.to)

    def _keys_of(self, verification_id: str, number_tag: str) -> list[str]:
        partition = partition_of(verification_id)
        number = redis_keys.number(partition, number_tag)
        return [redis_keys.verification(verification_id), number, redis_keys.stats(partition)]

    def _known(self, answer: bytes, verification_id: str, rest: Sequence[Any]) -> Verification:
        if not rest:
            raise refused("verification", answer)
        return self._records.read(verification_id, *rest)

    def _not_resent(self, answer: bytes, verification_id: str, rest: Sequence[Any]) -> Exception:
        match answer:
            case b"limited":
                return self._limited(*rest)
            case b"already":
                return AlreadySent(self._records.read(verification_id, rest[0]))
            case b"ended":
                return NotPending(self._records.read(verification_id, rest[0]))
            case _:
                return refused("resend", answer)

    def _limited(self, wait_ms: int, limit: bytes) -> Limited:
        is_number = limit == b"number"
        return Limited(
            wait_ms,
            Limit.NUMBER if is_number else Limit.FAILED_CHECKS,
            self._policy.number if is_number else self._policy.failed_checks,
        )


def _record_and_entries(verification_id: str) -> list[str]:
    partition = partition_of(verification_id)
    return [redis_keys.verification_prefix(partition) + verification_id, *_entries(partition)]


@cache
def _entries(partition: str) -> tuple[str, str, str]:
    return redis_keys.outbox(partition), redis_keys.outbox_info(partition), redis_keys.stats(partition)
