"""The conversion counters in Redis: how a report reads them; `funnel_upkeep.py` tells how they are kept.

What is not merged yet is read first, and the merged documents after it. What is merged in between is seen twice, and
added once: each document notes the numbers of the takes that it has.
"""

import asyncio
import hashlib
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import NamedTuple

from service.core.partitions import PARTITIONS
from service.core.reports.counters import DAY_MS, HOUR_MS, Bucket, read_labels, read_state
from service.core.reports.unconverted import UnconvertedSend
from service.core.turns import Turns
from service.store import keys as redis_keys
from service.store.merged_counters import Merged, pairs, read_counters
from service.store.scripts import Scripts

_MOST_LOGGED = 500  # as in funnel.lua
_READ_AT_ONCE = 32  # documents: so the memory of a report does not grow with its span


class _Unmerged(NamedTuple):
    """Counters of one partition that were not merged yet when they were read."""

    partition: str
    takes: int  # how often counters had been taken in this partition
    counters: Sequence[bytes]
    taken: Sequence[bytes]

    def add_to(self, merged: Merged) -> None:
        """Add what the document does not have."""
        last = merged.takes.get(self.partition, 0)
        if self.taken and last < int(dict(pairs(self.taken))[b"@"]):
            merged.add(*read_counters(self.taken))
        if last <= self.takes:  # otherwise they were taken and merged since
            merged.add(*read_counters(self.counters))


async def redis_now_ms(scripts: Scripts) -> int:
    """Read Redis' clock."""
    seconds, micros = await scripts.command("TIME", key=redis_keys.funnel_open("0"))
    return int(seconds) * 1000 + int(micros) // 1000


class RedisFunnel:
    """The `FunnelStore` of the core, and its log of what did not convert."""

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts

    async def now_ms(self) -> int:
        """Read the clock by which sends are counted."""
        return await redis_now_ms(self._scripts)

    async def days(self, starts_ms: Iterable[int]) -> AsyncIterator[Bucket]:
        """Read the days that have been rolled up."""
        async for name, merged in self._read([f"d{start_ms // DAY_MS}" for start_ms in starts_ms]):
            if merged.is_rolled_up:
                yield Bucket(int(name[1:]) * DAY_MS, DAY_MS, merged.rows, merged.ends)

    async def digest(self, starts_ms: Iterable[int]) -> bytes | None:
        """Digest the documents of days; None if something of a day is not merged yet.

        What `days` reads later is at least as new: when it is newer, the next digest is another one.
        """
        names, digest, turns = [f"d{start_ms // DAY_MS}" for start_ms in starts_ms], hashlib.sha256(), Turns()
        if await self._unmerged(frozenset(names)):
            return None
        async for name, content in self._contents(names):
            digest.update(b"%b:%d:%b" % (name.encode(), len(content or b""), content or b""))
            await turns.pause()
        return digest.digest()

    async def hours(self, starts_ms: Iterable[int]) -> AsyncIterator[Bucket]:
        """Read hours, merged or not."""
        async for name, merged in self._read([f"h{start_ms // HOUR_MS}" for start_ms in starts_ms]):
            if merged.rows:
                yield Bucket(int(name[1:]) * HOUR_MS, HOUR_MS, merged.rows, merged.ends)

    async def entries(self) -> list[UnconvertedSend]:
        """Read the log of all partitions."""
        keys = map(redis_keys.funnel_unconverted, PARTITIONS)
        logs = await asyncio.gather(*(self._scripts.command("LRANGE", key, 0, _MOST_LOGGED, key=key) for key in keys))
        return await asyncio.to_thread(lambda: [_entry(line.decode()) for log in logs for line in log])

    async def _read(self, names: Sequence[str]) -> AsyncIterator[tuple[str, Merged]]:
        unmerged, turns = await self._unmerged(frozenset(names)), Turns()
        async for name, content in self._contents(names):
            merged = Merged.unpacked(content)
            for counters in unmerged[name]:
                await turns.pause()
                counters.add_to(merged)
            yield name, merged

    async def _contents(self, names: Sequence[str]) -> AsyncIterator[tuple[str, bytes | None]]:
        for start in range(0, len(names), _READ_AT_ONCE):
            some = names[start : start + _READ_AT_ONCE]
            keys = map(redis_keys.funnel_merged, some)
            contents = await asyncio.gather(*(self._scripts.command("HGET", key, "b", key=key) for key in keys))
            for name, content in zip(some, contents, strict=True):
                yield name, content

    async def _unmerged(self, asked: frozenset[str]) -> defaultdict[str, list[_Unmerged]]:
        """Read what is not merged, by name."""
        read = self._scripts.run
        partitions = await asyncio.gather(
            *(read("funnel_read", [redis_keys.funnel_open(p)], [redis_keys.funnel_prefix(p)]) for p in PARTITIONS)
        )
        found = defaultdict(list)
        for p, (takes, *listed) in zip(PARTITIONS, partitions, strict=True):
            for raw_name, counters, taken in listed:
                if (name := raw_name.decode()) in asked:
                    found[name].append(_Unmerged(p, takes, counters, taken))
        return found


def _entry(line: str) -> UnconvertedSend:
    at, verification_id, labels = line.split("|", 2)
    labels, _, state = labels.rpartition("|")
    return UnconvertedSend(verification_id, int(at), read_labels(labels), read_state(state))
