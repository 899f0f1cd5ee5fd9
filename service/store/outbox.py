"""The outbox in Redis: for each kind of entry a leased sorted set in each partition, and the failed entries.

The score of a key is when its entry is due (ms); a claim sets it to the end of the lease. The timeline of two racing
workers is drawn in `claim.lua`. Besides the worker's steps this module gives operators their view: the pending entries,
the failed ones, and a way to retry those.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from service.core.outbox import Claim, FailedEntry, OutboxEntry
from service.core.partitions import PARTITIONS
from service.store import keys as redis_keys
from service.store.scripts import Scripts

_PAGE = 500
_LINE = re.compile(r"([0-9]{1,9})\|([0-9]{1,15})\|([^\n]*)")


@dataclass(frozen=True, slots=True)
class OutboxState:
    """The queue of one kind at a glance, over all partitions."""

    pending: int
    failed: int
    oldest_seconds: float  # how long the oldest entry has been pending; an estimate when there are many
    halted: str | None  # why delivery is halted, as a worker noted it
    is_worked: bool  # whether some worker was alive within the last minute


class EntryState(Enum):
    """The state that an entry changes to."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


class Effect(NamedTuple):
    """What else changes when an entry changes its state, in the same atomic step. Empty: nothing."""

    record: str = ""  # key of a hash in the entry's partition
    field: str = ""  # of that hash: is set only if it exists
    value: str = ""
    counter: str = ""  # is increased by one


class RedisOutbox:
    """The `OutboxStore` of one kind, and the operators' view of it.

    `kind` is a part of its keys: `""` is that of confirmations. `effect` says what else changes with an entry.
    """

    def __init__(
        self, scripts: Scripts, kind: str, effect: Callable[[OutboxEntry, EntryState], Effect] = lambda *_: Effect()
    ) -> None:
        self._scripts = scripts
        self._kind = kind
        self._effect = effect
        self._halted = redis_keys.halted(kind)
        self._worker = redis_keys.worker(kind)

    async def claim(self, partition: str, *, lease_ms: int, most: int) -> Claim:
        """Lease the due entries of a partition, oldest first."""
        now_ms, next_due_ms, *leased = await self._scripts.run("claim", self._pending(partition), [lease_ms, most])
        entries = tuple(
            _entry(partition, _text(key), int(until_ms), _text(line))
            for key, until_ms, line in zip(leased[::3], leased[1::3], leased[2::3], strict=True)
        )
        return Claim(entries, now_ms, None if next_due_ms < 0 else next_due_ms)

    async def settle(self, entry: OutboxEntry) -> bool:
        """Remove an entry that was delivered."""
        return await self._end(entry, EntryState.DELIVERED, "")

    async def fail(self, entry: OutboxEntry, reason: str) -> bool:
        """Move an entry to the failed."""
        return await self._end(entry, EntryState.FAILED, reason)

    async def postpone(self, entry: OutboxEntry, *, delay_ms: int, was_tried: bool) -> bool:
        """Give an entry back, due later."""
        args: list[bytes | int] = [_raw(entry.key), entry.due_ms, delay_ms, int(was_tried)]
        return bool(await self._scripts.run("postpone", self._pending(entry.partition), args))

    async def halt(self, reason: str, ttl_seconds: int) -> None:
        """Note for every process that delivery is halted."""
        await self._scripts.command("SET", self._halted, reason, "EX", ttl_seconds, key=self._halted)

    async def resume(self) -> None:
        """Remove that note."""
        await self._scripts.command("DEL", self._halted, key=self._halted)

    async def beat(self, ttl_seconds: int) -> None:
        """Note for every process that a worker is alive."""
        await self._scripts.command("SET", self._worker, "1", "EX", ttl_seconds, key=self._worker)

    async def state(self) -> OutboxState:
        """Look at the whole queue in one pipelined round trip."""
        looks, halted, worker = await asyncio.gather(
            asyncio.gather(*(self._scripts.run("outbox_state", self._queue(p)[:3]) for p in PARTITIONS)),
            self._scripts.command("GET", self._halted, key=self._halted),
            self._scripts.command("GET", self._worker, key=self._worker),
        )
        ages_ms = [now_ms - oldest_ms for now_ms, _, _, oldest_ms in looks if oldest_ms >= 0]
        return OutboxState(
            pending=sum(look[1] for look in looks),
            failed=sum(look[2] for look in looks),
            oldest_seconds=max(ages_ms, default=0) / 1000,
            halted=None if halted is None else halted.decode(),
            is_worked=worker is not None,
        )

    async def pending(self) -> AsyncIterator[OutboxEntry]:
        """Iterate over the pending entries, partition by partition, those due first first."""
        for partition in PARTITIONS:
            async for key, due_ms, line in self._walk(*self._pending(partition)):
                yield _entry(partition, key, due_ms, line)

    async def failed(self) -> AsyncIterator[FailedEntry]:
        """Iterate over the failed entries, partition by partition, those that failed first first."""
        for partition in PARTITIONS:
            async for key, failed_at_ms, lines in self._walk(*self._queue(partition)[2:]):
                line, _, reason = lines.partition("\n")
                yield FailedEntry(_entry(partition, key, 0, line), failed_at_ms, reason)

    async def retry(self, entry: OutboxEntry) -> bool:
        """Enqueue a failed entry again; False if it is no longer among the failed."""
        effect = self._effect(entry, EntryState.PENDING)
        keys = [*self._queue(entry.partition), *filter(None, [effect.record])]
        return bool(await self._scripts.run("retry", keys, [_raw(entry.key), effect.field, effect.value]))

    async def _end(self, entry: OutboxEntry, state: EntryState, reason: str) -> bool:
        effect = self._effect(entry, state)
        stats = redis_keys.stats(entry.partition)
        keys = [*self._queue(entry.partition), stats, *filter(None, [effect.record])]
        one_line = reason.replace("\n", " ")  # a line break ends the particulars
        args = [_raw(entry.key), state.value, one_line, entry.due_ms, effect.counter, effect.field, effect.value]
        return bool(await self._scripts.run("settle", keys, args))

    async def _walk(self, key: str, lines_key: str) -> AsyncIterator[tuple[str, int, str]]:
        """Iterate over a sorted set and the lines of its members, page by page."""
        start = 0
        while page := await self._scripts.command("ZRANGE", key, start, start + _PAGE - 1, "WITHSCORES", key=key):
            lines = await self._scripts.command("HMGET", lines_key, *page[::2], key=lines_key)
            for member, score, line in zip(page[::2], page[1::2], lines, strict=True):
                yield _text(member), int(float(score)), _text(line or b"")
            start += _PAGE

    def _pending(self, partition: str) -> list[str]:
        return [redis_keys.outbox(partition, self._kind), redis_keys.outbox_info(partition, self._kind)]

    def _queue(self, partition: str) -> list[str]:
        failed = redis_keys.outbox_failed(partition, self._kind)
        return [*self._pending(partition), failed, redis_keys.outbox_failed_info(partition, self._kind)]


def _text(raw: bytes) -> str:
    """Read what should be ASCII, one character a byte: even a poisoned key can be named, and so removed."""
    return raw.decode("latin-1")


def _raw(text: str) -> bytes:
    return text.encode("latin-1")


def _entry(partition: str, key: str, due_ms: int, line: str) -> OutboxEntry:
    """Read `tries|since|particulars`; an illegible line becomes an entry since 0, which fails."""
    match = _LINE.fullmatch(line)
    if match is None:
        return OutboxEntry(partition, key, due_ms, 0, 0, "")
    tries, since_ms, particulars = match.groups()
    return OutboxEntry(partition, key, due_ms, int(tries), int(since_ms), particulars)
