"""Limits, Idempotency-Keys, API keys and counters in Redis: one class each. Every key is changed in one atomic step."""

import asyncio
import json
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from service.core.idempotency import Abandoned, Begun, OtherBody
from service.core.limits import Reserved, Unit
from service.core.partitions import PARTITIONS
from service.core.store_health import StoreUnavailable
from service.core.verification_store import WrittenSend
from service.store import keys as redis_keys
from service.store.scripts import Scripts

_SLICES = 20  # as in limit.lua


class RedisLimits:
    """The `LimitStore` of the core: windows in slices, each limit in a slot of its own."""

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts

    @property
    def has_shards(self) -> bool:
        """Tell whether Redis is a cluster."""
        return self._scripts.has_shards

    async def reserve(self, units: Sequence[Unit]) -> list[Reserved | StoreUnavailable]:
        """Reserve each unit, in one round trip."""
        return await self._run([(unit, "") for unit in units])

    async def give_back(self, reserved: Sequence[tuple[Unit, int]]) -> None:
        """Give units back, in one round trip."""
        await self._run(reserved)

    async def used(self, unit: Unit) -> int:
        """Sum what is counted of a limit of one window, as `limit.lua` does, in two steps that change nothing."""
        [(_, window_ms)] = unit.limits.windows
        key, slice_ms = redis_keys.limit(unit.kind, unit.tag), -(-window_ms // _SLICES)
        (seconds, micros), reply = await asyncio.gather(
            self._scripts.command("TIME", key=key), self._scripts.command("HGETALL", key, key=key)
        )
        oldest = (int(seconds) * 1000 + int(micros) // 1000 - window_ms) // slice_ms
        slices = (
            (int(field.partition(b":")[2]), int(count)) for field, count in zip(reply[::2], reply[1::2], strict=True)
        )
        return sum(count for number, count in slices if number >= oldest)

    async def _run(self, steps: Sequence[tuple[Unit, int | str]]) -> list[Reserved | StoreUnavailable]:
        calls = [
            (redis_keys.limit(unit.kind, unit.tag, unit.partition), (unit.limits.policy, at_ms, unit.amount))
            for unit, at_ms in steps
        ]
        answers = await self._scripts.run_each("limit", calls)
        return [_reserved(answer) for answer in answers]


def _reserved(answer: Any) -> Reserved | StoreUnavailable:
    if answer is None:
        return StoreUnavailable("limit: its key cannot be read")
    return answer if isinstance(answer, StoreUnavailable) else Reserved(*answer)


class RedisIdempotency:
    """The `IdempotencyStore` of the core."""

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts

    async def begin(self, key: str, *, fence: str, fingerprint: str, verification_id: str, lease_ms: int) -> Begun:
        """Claim a key."""
        answer, *rest = await self._step(key, "begin", fence, fingerprint, verification_id, lease_ms)
        match answer:
            case b"other_body":
                raise OtherBody
            case b"answer":
                return Begun(answer=rest[0])
            case b"running":
                return Begun(running_ms=rest[0], is_overdue=bool(rest[1]))
            case b"abandoned":
                return Begun(abandoned=_abandoned(*rest))
            case _:
                return Begun()

    async def finish(self, key: str, *, fence: str, answer: bytes) -> None:
        """Keep the sealed answer."""
        await self._step(key, "finish", fence, answer)

    async def release(self, key: str, *, fence: str) -> None:
        """Forget a key without an answer."""
        await self._step(key, "release", fence)

    async def withdraw(self, key: str, *, fence: str) -> None:
        """End a claim that was taken over; forget one that was fresh."""
        await self._step(key, "withdraw", fence)

    async def abandon(self, key: str, *, fence: str, unsent: WrittenSend) -> None:
        """End a claim, and keep which send was certainly not sent."""
        note = b"%d %b %b" % (unsent.after, unsent.number_tag.encode(), unsent.digest)
        await self._step(key, "abandon", fence, note)

    async def _step(self, key: str, *words: bytes | str | int) -> list[Any]:
        answer: list[Any] = await self._scripts.run("idempotency", [redis_keys.idempotency(key)], words)
        return answer


def _abandoned(verification_id: bytes, note: bytes) -> Abandoned:
    if not note:
        return Abandoned(verification_id.decode())
    after, number_tag, digest = note.split(b" ", 2)
    unsent = WrittenSend(verification_id.decode(), number_tag.decode(), digest, int(after))
    return Abandoned(verification_id.decode(), unsent)


class RedisApiKeys:
    """The `ApiKeyStore` of the core, and what `otp-service keys` needs besides."""

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts

    async def api_keys(self) -> Mapping[str, bytes]:
        """Read all digests with their JSON particulars."""
        reply = await self._scripts.command("HGETALL", redis_keys.API_KEYS, key=redis_keys.API_KEYS)
        return {digest.decode(): particulars for digest, particulars in zip(reply[::2], reply[1::2], strict=True)}

    async def add(self, digest: str, particulars: Mapping[str, object]) -> None:
        """Store the digest of a new key with its particulars."""
        await self._scripts.command("HSET", redis_keys.API_KEYS, digest, _packed(particulars), key=redis_keys.API_KEYS)

    async def replace(self, digest: str, read: bytes, particulars: Mapping[str, object]) -> bool:
        """Store other particulars of a key; False if they are not as they were read, or the key is revoked."""
        words = (digest, read, _packed(particulars))
        return bool(await self._scripts.run("replace_key", [redis_keys.API_KEYS], words))

    async def revoke(self, digest: str) -> bool:
        """Delete a key; False if there is none."""
        return bool(await self._scripts.command("HDEL", redis_keys.API_KEYS, digest, key=redis_keys.API_KEYS))


def _packed(particulars: Mapping[str, object]) -> str:
    return json.dumps(particulars, separators=(",", ":"))


class RedisStats:
    """Reads the counters of the scripts, and adds the counts of this process."""

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts

    async def add(self, counts: Mapping[str, int]) -> None:
        """Add to counters in some partition; the totals are sums over all partitions."""
        args = [word for pair in counts.items() for word in pair]
        await self._scripts.run("count", [redis_keys.stats(random.choice(PARTITIONS))], args)  # noqa: S311 - no secret

    async def totals(self) -> Counter[str]:
        """Sum the counters of all partitions; the names are those of the scripts, such as `approved:US:sms`."""
        replies = await asyncio.gather(
            *(self._scripts.command("HGETALL", redis_keys.stats(p), key=redis_keys.stats(p)) for p in PARTITIONS)
        )
        totals: Counter[str] = Counter()
        for reply in replies:
            for name, value in zip(reply[::2], reply[1::2], strict=True):
                totals[name.decode()] += int(value)
        return totals
