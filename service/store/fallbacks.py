"""Fallbacks in Redis: a sorted set per partition of the verifications whose next channel waits.

The score is when it is due (ms). `issue.lua` adds a verification with a list of channels, and every script that changes
when the next one follows includes `further.lua`; `fall_back.lua` claims what is due.
"""

from service.core.keyring import Keyring
from service.core.verification import partition_of
from service.core.verification_store import DueFallback
from service.store import keys as redis_keys
from service.store.policy import RecordPolicy
from service.store.record import Records, next_channel
from service.store.scripts import Scripts

_LEASE_MS = 30_000  # a claim writes its send within two round trips


class RedisFallbacks:
    """The `FallbackStore` of the core."""

    def __init__(self, scripts: Scripts, keyring: Keyring, policy: RecordPolicy) -> None:
        self._scripts = scripts
        self._keyring = keyring
        self._max_sends = policy.max_sends
        self._records = Records(keyring, scripts.fields)

    async def claim(self, partition: str) -> DueFallback | None:
        """Claim one verification whose next channel is due."""
        answer, *rest = await self._scripts.run(
            "fall_back",
            [redis_keys.fallbacks(partition)],
            [redis_keys.verification_prefix(partition), self._keyring.key_ids, _LEASE_MS, self._max_sends],
        )
        if answer == b"nothing":
            return None
        raw_id, claimed_until_ms, raw_further, shown, *counted = rest
        further = raw_further.decode()
        verification = self._records.read(raw_id.decode(), shown, *counted)
        return DueFallback(verification, next_channel(further), further, claimed_until_ms)

    async def postpone(self, due: DueFallback, delay_ms: int) -> None:
        """Let a claimed one be due later, unless another process has claimed it by now."""
        key = redis_keys.fallbacks(partition_of(due.verification.id))
        # The script is that of the outbox, whose entries have particulars; here there are none.
        await self._scripts.run(
            "postpone", [key, f"{key}:info"], [due.verification.id, due.claimed_until_ms, delay_ms, "0"]
        )
