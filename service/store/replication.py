"""Approvals and issues that survive a failover: nobody is told of one before the replicas have it.

`replicated.lua` has the steps and their race. An approval takes two waits: for the mark of `check.lua`, and for the
step that gives it to one request. Until then everybody reads `pending`. The second alone makes it safe. The first shows
that the replicas follow: without it, that step would often be taken back, and if the node failed meanwhile, a replica
that has it would keep everybody else out. It is left out while other waits show the same.

If the replicas do not have it within `OTP_WAIT_MS`, the step is `StoreUnavailable`, and the verification stays pending:
the same code may be checked again, at no cost. Whoever answered a link, a message or a call does not check again, so
for them the waits are repeated in the background.
"""

import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from service.core.channels import Channel
from service.core.event_log import EventLog
from service.core.keyring import Keyring
from service.core.outage_log import OutageLog
from service.core.retrying import Retries
from service.core.store_health import StoreCause, StoreFault, StoreUnavailable
from service.core.verification import CheckResult, Status, Verdict, Verification, partition_of
from service.core.verification_store import Check, DueFallback, NewVerification
from service.redis_client import Written
from service.store import keys as redis_keys
from service.store.faults import FIXES
from service.store.policy import RecordPolicy
from service.store.refusals import refused
from service.store.scripts import Scripts
from service.store.verifications import RedisVerifications

_MARKER_MS = 60_000  # as in replicated.lua
# So short that of the approvals at the moment of a failure hardly more are taken back than with a wait of their own.
_RECENT_SECONDS = 0.005
_REPEATED_FOR_SECONDS = 60.0  # of a failover, most take less
_WINDOW_SECONDS, _SPANS = 60, 6
NOT_REPLICATED = StoreFault(StoreCause.NOT_REPLICATED, FIXES[StoreCause.NOT_REPLICATED])
_VERDICTS = {word.encode(): word for word in Verdict}


async def replicas_follow(scripts: Scripts, partition: str, *, unless_within: float = 0.0) -> Written:
    """Wait until the replicas have all that the node of a partition held before, or had so within these seconds."""
    key = redis_keys.replication_marker(partition)
    return await scripts.command_and_wait("SET", key, "", "PX", _MARKER_MS, key=key, unless_within=unless_within)


class LongestWait:
    """The longest wait for replicas within the last minute, for the metrics."""

    def __init__(self) -> None:
        self._by_span: dict[int, float] = {}

    def note(self, began_at: float) -> None:
        """Note a wait that began then (monotonic clock) and ends now, also one in vain."""
        now = time.monotonic()
        span, seconds = int(now * _SPANS / _WINDOW_SECONDS), now - began_at
        known = self._by_span.get(span)
        if known is None:
            self._by_span = {each: longest for each, longest in self._by_span.items() if each > span - _SPANS}
        if known is None or seconds > known:
            self._by_span[span] = seconds

    @property
    def seconds(self) -> float:
        """The longest one; 0 without any."""
        oldest = int(time.monotonic() * _SPANS / _WINDOW_SECONDS) - _SPANS
        return max((seconds for span, seconds in self._by_span.items() if span > oldest), default=0.0)


class ReplicatedVerifications(RedisVerifications):
    """The `VerificationStore` of a service that waits for replicas."""

    def __init__(
        self,
        scripts: Scripts,
        keyring: Keyring,
        policy: RecordPolicy,
        *,
        waits_for_issues: bool,
        retries: Retries,
        event_log: EventLog,
    ) -> None:
        super().__init__(scripts, keyring, policy)
        self._waits_for_issues = waits_for_issues
        self._retries = retries
        self._event_log = event_log
        self._decide, self.check = self.check, self._check
        self._longest_wait = LongestWait()
        self._failure: StoreCause | None = None
        self._failed_at = 0.0
        self._outage_log = OutageLog(event_log, failed="replication_wait_failed", ended="replication_wait_works")

    @property
    def state(self) -> str:
        """`ok`, or why a wait failed within the last minute."""
        if self._failure is None or time.monotonic() - self._failed_at > _WINDOW_SECONDS:
            return "ok"
        return f"waits failed within the last minute: {self._failure}"

    @property
    def longest_seconds(self) -> float:
        """The longest wait within the last minute; 0 without any."""
        return self._longest_wait.seconds

    async def issue(self, new: NewVerification, digest: bytes) -> Verification:
        """Write a verification and its first send, and wait."""
        verification = await super().issue(new, digest)
        if self._waits_for_issues:
            await self._look(new.id, sends=1)
        return verification

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
        """Write the next send, and wait if a caller asked for it."""
        sent = await super().resend(
            verification, digests, channel, idempotency_tag=idempotency_tag, is_test=is_test, due=due
        )
        if self._waits_for_issues and due is None:  # a next channel is told to nobody, and is not tried again
            await self._look(verification.id, sends=len(sent.sends))
        return sent

    async def secure(self, verification: Verification) -> None:
        """Wait for the sends of a verification, which another process may not have done."""
        if self._waits_for_issues:
            await self._look(verification.id, sends=len(verification.sends))

    async def _check(self, check: Check) -> CheckResult:
        result: CheckResult = await self._decide(check)
        if result.verdict is not Verdict.APPROVED:
            return result
        key = check.idempotency_key
        tell = partial(self._tell, check.verification_id, self._scripts.fields.key("check", key) if key else "")
        try:
            verdict, record = await tell()
        except StoreUnavailable:
            if check.matching is not None:  # of a link, a message or a call
                self._retries.add(
                    tell,
                    for_seconds=_REPEATED_FOR_SECONDS,
                    given_up=partial(self._given_up, "approval_not_replicated", check.verification_id),
                )
            raise
        if record is None:
            return result._replace(verification=result.verification._replace(status=Status.APPROVED))
        return result._replace(verdict=verdict, verification=self._records.read(check.verification_id, record))

    async def _tell(self, verification_id: str, token: str) -> tuple[Verdict, Sequence[Any] | None]:
        """Return the verdict, and unless it is `approved` the record.

        Wait for the approval; take it for one request, and wait for that. Raises `StoreUnavailable`.
        """
        await self._replicas_follow(partition_of(verification_id))
        steps = [token, secrets.token_hex(8)]
        try:
            verdict, *record = await self._wait("tell", verification_id, steps)
        except StoreUnavailable:
            await self._take_back(verification_id, steps)
            raise
        if not record:
            await self._show(verification_id, steps)
        return _VERDICTS[verdict], record[0] if record else None

    async def _show(self, verification_id: str, steps: Sequence[str]) -> None:
        """Let everybody read that a verification is approved. Raises `StoreUnavailable` if it was taken back."""
        [answer] = await self._scripts.run("replicated", _keys(verification_id), ["show", *steps])
        if answer != b"show":
            raise self._not_replicated("show")

    async def _take_back(self, verification_id: str, steps: Sequence[str]) -> None:
        """Let the approval wait again: nobody was told of it. Raises nothing."""
        run = partial(self._scripts.run, "replicated", _keys(verification_id), ["take_back", *steps])
        try:
            await run()
        except StoreUnavailable:
            given_up = partial(self._given_up, "approval_not_taken_back", verification_id)
            self._retries.add(run, for_seconds=_REPEATED_FOR_SECONDS, given_up=given_up)

    async def _replicas_follow(self, partition: str) -> None:
        """Wait until the replicas have all that the node of a partition held before, or had so a moment ago."""
        with self._noted():
            written = await replicas_follow(self._scripts, partition, unless_within=_RECENT_SECONDS)
            if not written.is_replicated:
                raise self._not_replicated("marker")

    async def _look(self, verification_id: str, *, sends: int) -> None:
        """Wait until the replicas have what was written of a verification."""
        await self._wait("look", verification_id, [str(sends)])

    async def _wait(self, step: str, verification_id: str, args: Sequence[str]) -> Sequence[Any]:
        with self._noted():
            written = await self._scripts.run_and_wait("replicated", _keys(verification_id), [step, *args])
            answer: bytes = written.result[0]
            if answer not in {b"lost", step.encode()}:
                raise refused("replicated", answer)
            if answer == b"lost" or not written.is_replicated:
                raise self._not_replicated(step)
        return tuple(written.result[1:])

    @contextmanager
    def _noted(self) -> Iterator[None]:
        """Note one wait for the metrics and the log."""
        began_at = time.monotonic()
        try:
            yield
        except StoreUnavailable as away:
            self._failure, self._failed_at = away.cause, time.monotonic()
            self._outage_log.failed(away)
            raise
        else:
            self._outage_log.worked()
        finally:
            self._longest_wait.note(began_at)

    def _not_replicated(self, step: str) -> StoreUnavailable:
        self._scripts.note(NOT_REPLICATED)
        return StoreUnavailable(f"{step}: {NOT_REPLICATED.cause}", NOT_REPLICATED)

    def _given_up(self, event: str, verification_id: str, reason: str) -> None:
        self._event_log(event, verification_id=verification_id, reason=reason)


def _keys(verification_id: str) -> list[str]:
    partition = partition_of(verification_id)
    marker, stats = redis_keys.replication_marker(partition), redis_keys.stats(partition)
    return [redis_keys.verification(verification_id), marker, stats]
