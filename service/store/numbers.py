"""The data of one number in Redis: its record, and its verifications, which are found by a scan of the partition.

There is no index from a number to its verifications: it would cost each issue a write, and be one more place that shows
who asked for codes. An operator's command may scan instead: each verification has the tag of its number.
"""

import asyncio
from collections.abc import AsyncIterator

from service.core.keyring import Keyring
from service.core.numbers import HeldVerification, NumberRecord
from service.store import keys as redis_keys
from service.store.scripts import Scripts
from service.store.verifications import RecordPolicy, RedisVerifications

_PAGE = 1000


class RedisNumbers:
    """The `NumberStore` of the core."""

    def __init__(self, scripts: Scripts, keyring: Keyring, policy: RecordPolicy) -> None:
        self._scripts = scripts
        self._keyring = keyring
        self._policy = policy
        self._verifications = RedisVerifications(scripts, keyring, policy)

    async def record(self, number: str) -> NumberRecord | None:
        """Read the record of a number."""
        policies = [self._policy.number.policy, self._policy.failed_checks.policy]
        answer, *rest = await self._scripts.run("number", [self._key(number)], policies)
        if answer == b"nothing":
            return None
        now_ms, ttl_ms, wait_ms, streak, sends, failed = rest
        return NumberRecord(
            now_ms=now_ms,
            sends_ms=_instants(sends),
            failed_ms=_instants(failed),
            failed_in_a_row=streak,
            is_stopped=streak >= self._policy.most_failed_in_a_row,
            wait_ms=wait_ms,
            ttl_ms=ttl_ms,
        )

    async def forget_record(self, number: str) -> bool:
        """Delete the record of a number."""
        return bool(await self._scripts.command("DEL", self._key(number), key=self._key(number)))

    async def verification_ids(self, number: str) -> AsyncIterator[str]:
        """Iterate over the verifications of a number, by comparing the tag of each verification of its partition."""
        index = self._keyring.number_index(number)
        tag, prefix = index.tag.encode(), redis_keys.verification_prefix(index.partition)
        cursor, seen, tag_field = b"0", set(), self._scripts.fields.key("number_tag")
        while True:
            cursor, keys = await self._scripts.command(
                "SCAN", cursor, "MATCH", f"{prefix}*", "COUNT", _PAGE, key=prefix
            )
            tags = await asyncio.gather(*(self._scripts.command("HGET", key, tag_field, key=prefix) for key in keys))
            for key, found in zip(keys, tags, strict=True):
                if found == tag and key not in seen:  # SCAN may return a key twice
                    seen.add(key)
                    yield key.decode().removeprefix(prefix)
            if cursor == b"0":
                return

    async def verification(self, verification_id: str) -> HeldVerification:
        """Read a verification and its TTL."""
        key = redis_keys.verification(verification_id)
        verification, time, ttl_ms = await asyncio.gather(
            self._verifications.read(verification_id),
            self._scripts.command("TIME", key=key),
            self._scripts.command("PTTL", key, key=key),
        )
        now_ms = int(time[0]) * 1000 + int(time[1]) // 1000
        return HeldVerification(verification, now_ms, ttl_ms)

    async def forget_verification(self, verification_id: str) -> bool:
        """Delete a verification. Every script that needs it afterwards finds it missing and writes nothing."""
        key = redis_keys.verification(verification_id)
        return bool(await self._scripts.command("DEL", key, key=key))

    def _key(self, number: str) -> str:
        return redis_keys.number(*self._keyring.number_index(number))


def _instants(log: bytes) -> tuple[int, ...]:
    return tuple(int(instant) for instant in log.split(b",") if instant)
