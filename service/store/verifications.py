"""Verifications in Redis: one hash each (`record`), changed only by scripts, one round trip a step.

The store names keys, passes policies and translates answers. The scripts decide. Checks are in `checks`.
"""

from collections.abc import Sequence
from typing import Any

from service.core.channels import CHANNELS, Channel
from service.core.keyring import Keyring
from service.core.limits import Limit, Limited
from service.core.verification import Delivery, Verification, VerificationRequest, partition_of
from service.core.verification_store import (
    AlreadySent,
    DueFallback,
    NewVerification,
    NotPending,
    WrittenSend,
)
from service.redis_client import Argument
from service.store import keys as redis_keys
from service.store.checks import Checks
from service.store.fields import ranked
from service.store.policy import RecordPolicy
from service.store.record import Records
from service.store.refusals import refused
from service.store.scripts import Scripts

_OF_EVERY_SEND = ("number_tag", "client_tag", "key_tag", "owner", "payment")
_FAILED = ranked(Delivery.FAILED)
_DUE_AGAIN_MS = 10_000  # the channel of a list whose provider was busy or could not be reached


class RedisVerifications:
    """The `VerificationStore` of the core."""

    def __init__(self, scripts: Scripts, keyring: Keyring, policy: RecordPolicy) -> None:
        self._scripts = scripts
        self._keyring = keyring
        self._policy = policy
        self._records = Records(keyring, scripts.fields, policy.confirmed_channels)
        self.check = Checks(scripts, keyring, self._records, policy).decide
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
        due: DueFallback | None = None,
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
                channel,
                *(("", "") if due is None else (due.claimed_until_ms, len(due.verification.sends))),
                CHANNELS[channel].wait_seconds,
                *self._records.new_send("", channel, is_test=is_test, idempotency_tag=idempotency_tag),
            ],
        )
        if answer == b"sent":
            sent = self._records.read(verification.id, rest[0])
            return sent._replace(**{name: getattr(verification, name) for name in _OF_EVERY_SEND})
        raise self._not_resent(answer, verification.id, rest)

    async def count_blocked(
        self, verification_id: str, request: VerificationRequest, channel: Channel, *, send_number: int, reason: str
    ) -> None:
        """Count a send that was refused before it was written."""
        fields = self._records.new_request(request) + self._records.new_send(send_number, channel, is_test=False)
        await self._scripts.run("block", [redis_keys.verification(verification_id)], [send_number, reason, *fields])

    async def deliver(
        self,
        verification_id: str,
        send_number: int,
        *,
        sid: str,
        status: Delivery,
        error_code: int | None = None,
        sender: str | None = None,
        may_follow: bool = True,
    ) -> bool | None:
        """Record the SID and status of a send; tell whether a waiting confirmation became pending; None if unknown."""
        answer = await self._scripts.run(
            "deliver",
            _record_and_entries(verification_id),
            [verification_id, send_number, sid, ranked(status), error_code or "", sender or "", int(may_follow)],
        )
        if answer[0] == b"newer_format":
            raise refused("deliver", answer[0])
        return bool(answer[1]) if answer[0] == b"recorded" else None

    async def refuse(
        self,
        verification: Verification,
        send_number: int,
        *,
        error_code: int | None,
        passing: bool,
        may_follow: bool = False,
        due: DueFallback | None = None,
    ) -> Verification:
        """Take back a send that was certainly not sent."""
        code = "" if error_code is None else error_code
        answer, *rest = await self._scripts.run(
            "refuse",
            self._keys_of(verification.id, self._number_tag(verification)),
            [send_number, code, _FAILED, int(passing), int(may_follow), *_given_back(due)],
        )
        return self._known(answer, verification.id, rest[:1])._replace(is_followed=bool(rest[1]))

    async def take_back(self, send: WrittenSend) -> None:
        """Take back a send that may have been written, told by its code."""
        keys = self._keys_of(send.verification_id, send.number_tag)
        args: list[Argument] = ["", "", _FAILED, 1, 0, *_given_back(send.due), send.digest, send.after]
        answer, *rest = await self._scripts.run("refuse", keys, args)
        self._known(answer, send.verification_id, rest[:1])

    async def note_handed(self, verification_id: str, send_number: int) -> None:
        """Note that a send may have gone out."""
        answer, *_ = await self._scripts.run("hand", [redis_keys.verification(verification_id)], [send_number])
        if answer == b"newer_format":
            raise refused("hand", answer)

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

    async def secure(self, verification: Verification) -> None:
        """Do nothing: this store waits for no replicas."""

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


def _given_back(due: DueFallback | None) -> tuple[str, int]:
    """Give the list back as it was claimed, and when its channel is due again."""
    return "" if due is None else due.further, _DUE_AGAIN_MS


def _record_and_entries(verification_id: str) -> list[str]:
    partition = partition_of(verification_id)
    return [
        redis_keys.verification(verification_id),
        redis_keys.outbox(partition),
        redis_keys.outbox_info(partition),
        redis_keys.stats(partition),
    ]
