"""The data of one number in Redis: its record, which lists its newest verifications, and all its verifications.

The list is short, so what must be complete (showing and erasing a number) scans the partition: each verification has
the tag of its number.
"""

import asyncio
from collections.abc import AsyncIterator

from service.core.keyring import Keyring
from service.core.numbers import Erased, HeldVerification, NumberRecord
from service.core.verification import ID_PREFIX
from service.store import keys as redis_keys
from service.store.policy import RecordPolicy
from service.store.scripts import Scripts
from service.store.verifications import RedisVerifications

_PAGE = 1000
_ID_BYTES = 16  # as in index.lua
# No verification outlives its last secret (a password lives for a day), an hour's wait for a SID, and the late window.
_LIFE_SECONDS = 86_400 + 3600


class RedisNumbers:
    """The `NumberStore` and the `NumberIndex` of the core."""

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
        now_ms, ttl_ms, wait_ms, streak, sends, failed, ids = rest
        return NumberRecord(
            now_ms=now_ms,
            sends_ms=_instants(sends),
            failed_ms=_instants(failed),
            failed_in_a_row=streak,
            is_stopped=streak >= self._policy.most_failed_in_a_row,
            wait_ms=wait_ms,
            ttl_ms=ttl_ms,
            newest_ids=_ids(ids),
        )

    async def newest_ids(self, number: str) -> tuple[str, ...]:
        """Read the list of the newest verifications."""
        key = self._key(number)
        return _ids(await self._scripts.command("HGET", key, "ids", key=key) or b"")

    async def release(self, number: str) -> bool:
        """Delete what is counted."""
        life_ms = (_LIFE_SECONDS + self._policy.late_window_seconds) * 1000
        return bool(await self._scripts.run("release", [self._key(number)], [life_ms]))

    async def forget_record(self, number: str) -> Erased:
        """Delete the record of a number, and the verifications that it lists."""
        prefix = redis_keys.verification_prefix(self._keyring.partition(number)) + ID_PREFIX
        record, verifications = await self._scripts.run("erase", [self._key(number)], [prefix])
        return Erased(bool(record), verifications)

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
        """Delete a verification, with its links."""
        return bool(await self._scripts.run("forget", [redis_keys.verification(verification_id)]))

    def _key(self, number: str) -> str:
        return redis_keys.number(*self._keyring.number_index(number))


def _instants(log: bytes) -> tuple[int, ...]:
    return tuple(int(instant) for instant in log.split(b",") if instant)


def _ids(packed: bytes) -> tuple[str, ...]:
    """Read the index: newest first."""
    places = range(len(packed) - _ID_BYTES, -1, -_ID_BYTES)
    return tuple(f"{ID_PREFIX}{packed[place : place + _ID_BYTES].hex()}" for place in places)
