"""Checks in Redis: how `check.lua` is called, and what its answer means. The script decides.

Every check takes this path, so all words that do not depend on the check are packed once.
"""

from collections.abc import Sequence

from service.core.actions import Action
from service.core.keyring import Keyring
from service.core.verification import CheckResult, Verdict, partition_of
from service.core.verification_store import Check
from service.redis_client import PreparedScript
from service.store import keys as redis_keys
from service.store.policy import RecordPolicy
from service.store.record import Records
from service.store.refusals import refused
from service.store.scripts import Scripts

_VERDICTS = {word.encode(): word for word in Verdict}


class Checks:
    """Decides checks, each in one round trip."""

    def __init__(self, scripts: Scripts, keyring: Keyring, records: Records, policy: RecordPolicy) -> None:
        self._scripts = scripts
        self._keyring = keyring
        self._records = records
        self._policy = policy
        self._prepared: dict[str, PreparedScript] = {}  # by partition

    async def decide(self, check: Check) -> CheckResult:
        """Decide a check."""
        verification_id, digests, to, purpose, owner, action, idempotency_key, _, _, _, payment = check
        partition = partition_of(verification_id)
        key, name = redis_keys.verification_prefix(partition) + verification_id, verification_id.encode()
        is_special = (
            to is not None
            or purpose is not None
            or action is not None
            or idempotency_key is not None
            or payment is not None
        )
        answer = await self._scripts.run_prepared(
            self._prepared.get(partition) or self._prepare(partition),
            key,
            (key.encode(), name, (owner or "").encode(), b"".join(digests)),
            self._asked(check) if is_special else (),
        )
        if answer[0] != b"checked":
            raise refused("check", answer[0])
        _, verdict, enqueued, replayed, record = answer
        verification = self._records.read(verification_id, record)
        return CheckResult(_VERDICTS[verdict], verification, bool(replayed), bool(enqueued))

    def _prepare(self, partition: str) -> PreparedScript:
        keys = [None, redis_keys.outbox(partition), redis_keys.outbox_info(partition), redis_keys.stats(partition)]
        policy = self._policy
        args = [
            policy.max_attempts,
            policy.supersede_codes + 2 * policy.waits_for_replicas,
            None,  # the verification's id
            redis_keys.number_prefix(partition),
            policy.failed_checks.policy,
            policy.most_failed_in_a_row,
            policy.number.policy,
            self._keyring.key_ids,
            None,  # the owner
            None,  # the digests
        ]
        prepared = self._prepared[partition] = self._scripts.prepared("check", keys, args)
        return prepared

    def _asked(self, check: Check) -> Sequence[str]:
        """List what few checks ask for; every argument costs time, used or not."""
        asked = (
            "" if check.to is None else self._keyring.number_tag(check.to),
            check.purpose or "",
            self._scripts.fields.key("check", check.idempotency_key) if check.idempotency_key else "",
            check.fingerprint,
        )
        if check.payment is not None:
            tag = self._keyring.payment_tag(check.verification_id, check.payment.content)
            return (*asked, check.action or Action.CODE, "", tag)
        more = ("", "1") if check.is_forgeable else ()
        return asked if check.action is None else (*asked, check.action, check.matching or "", *more)
