"""Confirmations in Redis: `outbox`, a leased sorted set per partition, and the failed.

The score of a SID is when its entry is due (ms); claiming moves it to the end of the lease. The
timeline of two racing workers is drawn in `claim.lua`. Beside the worker's steps this module gives
operators their view: what is pending, what is failed, and a way to enqueue it again.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from service.core.outbox import Claim, FailedEntry, OutboxEntry
from service.core.verification import PARTITIONS
from service.store import keys as redis_keys
from service.store.scripts import Scripts

_PAGE = 500
_INFO_FIELDS = 6


@dataclass(frozen=True, slots=True)
class OutboxState:
    """The queue at a glance, over all partitions."""

    pending: int
    failed: int
    awaiting_sid: int  # typed, but the SID of their message is not known
    oldest_seconds: float  # how long the oldest entry has been pending; an estimate when there are many
    halted: str | None  # why posting has stopped, as any worker noted it
    is_worked: bool  # whether some worker was alive within the last minute


class RedisConfirmations:
    """The `ConfirmationStore` of the core, and the operators' view of it."""

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts

    async def claim(self, partition: str, *, lease_ms: int, most: int) -> Claim:
        """Lease the due entries of a partition, oldest first."""
        now_ms, next_due_ms, *leased = await self._scripts.run("claim", _entry_keys(partition), [lease_ms, most])
        entries = tuple(
            _entry(partition, _text(sid), int(until_ms), _text(info))
            for sid, until_ms, info in zip(leased[::3], leased[1::3], leased[2::3], strict=True)
        )
        return Claim(entries, now_ms, None if next_due_ms < 0 else next_due_ms)

    async def settle(self, entry: OutboxEntry) -> bool:
        """Remove an entry that Twilio has accepted."""
        return await self._end(entry, "confirmed", "")

    async def fail(self, entry: OutboxEntry, reason: str) -> bool:
        """Move an entry to the failed."""
        return await self._end(entry, "failed", reason)

    async def postpone(self, entry: OutboxEntry, *, delay_ms: int, was_tried: bool) -> bool:
        """Give an entry back, due later."""
        return bool(
            await self._scripts.run(
                "postpone", _entry_keys(entry.partition), [_raw(entry.sid), entry.due_ms, delay_ms, int(was_tried)]
            )
        )

    async def halt(self, reason: str, ttl_seconds: int) -> None:
        """Note for every process that posting has stopped."""
        await self._scripts.command("SET", redis_keys.HALTED, reason, "EX", ttl_seconds, key=redis_keys.HALTED)

    async def resume(self) -> None:
        """Take that note back."""
        await self._scripts.command("DEL", redis_keys.HALTED, key=redis_keys.HALTED)

    async def beat(self, ttl_seconds: int) -> None:
        """Note for every process that a worker is alive."""
        await self._scripts.command("SET", redis_keys.WORKER, "1", "EX", ttl_seconds, key=redis_keys.WORKER)

    async def state(self) -> OutboxState:
        """Look at the whole queue in one pipelined round trip."""
        looks, halted, worker = await asyncio.gather(
            asyncio.gather(*(self._scripts.run("outbox_state", _queue_keys(p)) for p in PARTITIONS)),
            self._scripts.command("GET", redis_keys.HALTED, key=redis_keys.HALTED),
            self._scripts.command("GET", redis_keys.WORKER, key=redis_keys.WORKER),
        )
        ages_ms = [now_ms - oldest_ms for now_ms, _, _, oldest_ms, _ in looks if oldest_ms >= 0]
        return OutboxState(
            pending=sum(look[1] for look in looks),
            failed=sum(look[2] for look in looks),
            awaiting_sid=sum(look[4] for look in looks),
            oldest_seconds=max(ages_ms, default=0) / 1000,
            halted=None if halted is None else halted.decode(),
            is_worked=worker is not None,
        )

    async def pending(self) -> AsyncIterator[OutboxEntry]:
        """Walk through what is pending, partition by partition, those due first first."""
        for partition in PARTITIONS:
            key, info_key = _entry_keys(partition)
            start = 0
            while page := await self._scripts.command("ZRANGE", key, start, start + _PAGE - 1, "WITHSCORES", key=key):
                infos = await self._scripts.command("HMGET", info_key, *page[::2], key=info_key)
                for sid, due_ms, info in zip(page[::2], page[1::2], infos, strict=True):
                    yield _entry(partition, _text(sid), int(float(due_ms)), _text(info or b""))
                start += _PAGE

    async def failed(self) -> AsyncIterator[FailedEntry]:
        """Walk through what was given up, partition by partition, longest failed first."""
        for partition in PARTITIONS:
            key, info_key = redis_keys.outbox_failed(partition), redis_keys.outbox_failed_info(partition)
            start = 0
            while page := await self._scripts.command("ZRANGE", key, start, start + _PAGE - 1, "WITHSCORES", key=key):
                infos = await self._scripts.command("HMGET", info_key, *page[::2], key=info_key)
                for sid, failed_at_ms, info in zip(page[::2], page[1::2], infos, strict=True):
                    yield _dead(partition, _text(sid), int(float(failed_at_ms)), _text(info or b""))
                start += _PAGE

    async def replay(self, entry: OutboxEntry) -> bool:
        """Enqueue a failed confirmation again; False when it is no longer failed."""
        partition = entry.partition
        keys = [redis_keys.outbox_failed(partition), redis_keys.outbox_failed_info(partition), *_entry_keys(partition)]
        return bool(
            await self._scripts.run("retry", keys, [_raw(entry.sid), redis_keys.verification_prefix(partition)])
        )

    async def _end(self, entry: OutboxEntry, outcome: str, reason: str) -> bool:
        keys = [
            *_entry_keys(entry.partition),
            redis_keys.verification_prefix(entry.partition) + entry.verification_id,
            redis_keys.stats(entry.partition),
            redis_keys.outbox_failed(entry.partition),
            redis_keys.outbox_failed_info(entry.partition),
        ]
        return bool(
            await self._scripts.run(
                "settle",
                keys,
                [_raw(entry.sid), entry.send_number, outcome, f"{entry.country}:{entry.channel}", reason, entry.due_ms],
            )
        )


def _entry_keys(partition: str) -> list[str]:
    return [redis_keys.outbox(partition), redis_keys.outbox_info(partition)]


def _queue_keys(partition: str) -> list[str]:
    return [*_entry_keys(partition), redis_keys.outbox_failed(partition), redis_keys.awaiting_sid(partition)]


def _text(raw: bytes) -> str:
    """Read what should be ASCII, one character a byte: a poisoned SID can still be named, and so be removed."""
    return raw.decode("latin-1")


def _raw(sid: str) -> bytes:
    return sid.encode("latin-1")


def _entry(partition: str, sid: str, due_ms: int, info: str) -> OutboxEntry:
    """Read `tries|since|id|send|country|channel`; what is illegible becomes an entry since 0, which fails."""
    fields = info.split("|")
    if len(fields) != _INFO_FIELDS or not (fields[0].isdecimal() and fields[1].isdecimal() and fields[3].isdecimal()):
        return OutboxEntry(partition, sid, due_ms, 0, 0, "", 0, "", "")
    tries, since_ms, verification_id, send, country, channel = fields
    return OutboxEntry(partition, sid, due_ms, int(tries), int(since_ms), verification_id, int(send), country, channel)


def _dead(partition: str, sid: str, failed_at_ms: int, line: str) -> FailedEntry:
    """Read the entry's own line, then `|reason`."""
    *fields, reason = [*line.split("|", _INFO_FIELDS), ""][: _INFO_FIELDS + 1]
    return FailedEntry(_entry(partition, sid, 0, "|".join(fields)), failed_at_ms, reason)
