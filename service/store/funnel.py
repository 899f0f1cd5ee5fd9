"""The conversion counters in Redis: how they are read, merged and rolled up.

The scripts that decide count in one hash for each hour and partition. Once an hour has ended, these hashes are *taken*
one by one, and merged into one compressed document for the hour. In a cluster that is in another slot than most of
them, so no single step can do it. Each take of a partition has a number, and the document notes that of the last one it
has. So a take that is merged twice, by a second worker or after a kill, counts once; a reader who sees both knows.
"""

import asyncio
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from service.core.partitions import PARTITIONS
from service.core.reports.counters import (
    DAY_MS,
    DAYS_KEPT_MS,
    HOUR_MS,
    HOURS_KEPT_MS,
    OTHER,
    Bucket,
    Counters,
    read_labels,
    read_state,
)
from service.core.reports.unconverted import UnconvertedSend
from service.store import keys as redis_keys
from service.store.scripts import Scripts

_MOST_COMBINATIONS = 2000  # as in funnel.lua
_SETTLING_MS = 15 * 60 * 1000  # after the end of an hour: by then most of its codes have ended
_ROLLED_UP_MS = 2 * DAY_MS + _SETTLING_MS  # after the end of a day; the nodes of a cluster have each a clock
_MOST_LAPSED = 200
_MOST_LOGGED = 500  # as in funnel.lua


@dataclass(slots=True)
class Merged:
    """The merged counters of one hour or day."""

    rows: dict[str, dict[str, int]] = field(default_factory=dict)
    ends: dict[str, int] = field(default_factory=dict)
    takes: dict[str, int] = field(default_factory=dict)  # the number of the last take, by partition
    is_rolled_up: bool = False  # only of a day

    def add(self, rows: Mapping[str, Counters], ends: Mapping[str, int]) -> None:
        """Add counters. Beyond the most combinations, new ones are one, but for the number of the send."""
        for labels, counters in rows.items():
            row = self.rows.get(labels)
            if row is None:
                if len(self.rows) >= _MOST_COMBINATIONS:
                    labels = "|".join((*[OTHER] * 5, str(read_labels(labels).send_number)))  # noqa: PLW2901
                row = self.rows.setdefault(labels, {})
            for name, count in counters.items():
                row[name] = row.get(name, 0) + count
        for action, seconds in ends.items():
            self.ends[action] = max(seconds, self.ends.get(action, 0))

    def packed(self) -> bytes:
        """Write the document; what is back at nothing is left out, but a combination stays known."""
        rows = {labels: {name: count for name, count in row.items() if count} for labels, row in self.rows.items()}
        document = {"rows": rows, "ends": self.ends, "takes": self.takes, "rolled_up": self.is_rolled_up}
        return zlib.compress(orjson.dumps(document), 6)

    @classmethod
    def unpacked(cls, content: bytes | None) -> "Merged":
        """Read a document; None is an empty one."""
        if content is None:
            return cls()
        document = orjson.loads(zlib.decompress(content))
        return cls(document["rows"], document["ends"], document["takes"], document["rolled_up"])


class RedisFunnel:
    """The `FunnelStore` and the `FunnelUpkeep` of the core."""

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts
        self._rolled_up: set[int] = set()  # days of which this process knows that nothing is left to do

    async def now_ms(self) -> int:
        """Read Redis' clock."""
        seconds, micros = await self._scripts.command("TIME", key=redis_keys.funnel_open("0"))
        return int(seconds) * 1000 + int(micros) // 1000

    async def days(self, starts_ms: Iterable[int]) -> list[Bucket]:
        """Read the days that have been rolled up."""
        read = await self._read([f"d{start_ms // DAY_MS}" for start_ms in starts_ms])
        return [
            Bucket(int(name[1:]) * DAY_MS, DAY_MS, merged.rows, merged.ends)
            for name, merged in read.items()
            if merged.is_rolled_up
        ]

    async def hours(self, starts_ms: Iterable[int]) -> list[Bucket]:
        """Read hours, merged or not."""
        read = await self._read([f"h{start_ms // HOUR_MS}" for start_ms in starts_ms])
        return [
            Bucket(int(name[1:]) * HOUR_MS, HOUR_MS, merged.rows, merged.ends)
            for name, merged in read.items()
            if merged.rows
        ]

    async def merge_ended_hours(self) -> None:
        """Merge hours that have ended, and what moved later in days."""
        now_ms = await self.now_ms()
        for name in sorted(await self._names()):
            if name[0] == "d" or now_ms >= (int(name[1:]) + 1) * HOUR_MS + _SETTLING_MS:
                await self._merge(name)

    async def roll_up(self) -> None:
        """Roll up the days whose hours no longer move."""
        now_ms = await self.now_ms()
        unmerged = {_day_of(name) for name in await self._names() if name[0] == "h"}
        last = (now_ms - _ROLLED_UP_MS) // DAY_MS
        for day in range((now_ms - HOURS_KEPT_MS) // DAY_MS + 1, last):
            if day not in self._rolled_up and day not in unmerged:
                await self._roll_up(day)
                self._rolled_up.add(day)

    async def log_lapsed(self, partition: str) -> None:
        """Log what did not convert, of verifications whose last code has ended."""
        prefix = redis_keys.verification_prefix(partition)
        looked_at = _MOST_LAPSED
        while looked_at == _MOST_LAPSED:
            looked_at = await self._scripts.run("lapse", [redis_keys.funnel_due(partition)], [prefix, _MOST_LAPSED])

    async def entries(self) -> list[UnconvertedSend]:
        """Read the log of all partitions."""
        keys = map(redis_keys.funnel_unconverted, PARTITIONS)
        logs = await asyncio.gather(*(self._scripts.command("LRANGE", key, 0, _MOST_LOGGED, key=key) for key in keys))
        return await asyncio.to_thread(lambda: [_entry(line.decode()) for log in logs for line in log])

    async def fill(self, name: str, rows: Mapping[str, Counters], ends: Mapping[str, int]) -> None:
        """Add counters to an hour (`h…`) or a day (`d…`) that has ended: for traffic to look at."""
        await self._change(name, lambda merged: merged.add(rows, ends))

    async def _names(self) -> set[str]:
        keys = map(redis_keys.funnel_open, PARTITIONS)
        listed = await asyncio.gather(*(self._scripts.command("SMEMBERS", key, key=key) for key in keys))
        return {name.decode() for names in listed for name in names}

    async def _merge(self, name: str) -> None:
        """Take the counters of every partition, merge them in one step, then forget what was taken."""
        life_seconds = DAYS_KEPT_MS // 1000
        takes = await asyncio.gather(
            *(self._scripts.run("funnel_take", redis_keys.funnel_taking(p, name), [life_seconds]) for p in PARTITIONS)
        )
        taken = {p: take for p, take in zip(PARTITIONS, takes, strict=True) if take}

        def merge(merged: Merged) -> None:
            for p, (number, *pairs) in taken.items():
                if number > merged.takes.get(p, 0):
                    merged.add(*_read_counters(pairs))
                    merged.takes[p] = number

        if taken:
            await self._change(name, merge)
        await asyncio.gather(
            *(
                self._scripts.run("funnel_done", redis_keys.funnel_taken(p, name), [number, name])
                for p, (number, *_) in taken.items()
            )
        )

    async def _roll_up(self, day: int) -> None:
        hours = await self._merged([f"h{hour}" for hour in range(day * 24, day * 24 + 24)])
        if not any(hour.rows for hour in hours.values()):
            return

        def add_up(merged: Merged) -> None:
            if not merged.is_rolled_up:
                for hour in hours.values():
                    merged.add(hour.rows, hour.ends)
                merged.is_rolled_up = True

        await self._change(f"d{day}", add_up)

    async def _change(self, name: str, change: Any) -> None:
        """Change merged counters: read, change and replace them, until no other worker has done so in between."""
        key, is_replaced = redis_keys.funnel_merged(name), False
        length_ms, kept_ms = (HOUR_MS, HOURS_KEPT_MS) if name[0] == "h" else (DAY_MS, DAYS_KEPT_MS)
        expires_at = ((int(name[1:]) + 1) * length_ms + kept_ms) // 1000
        while not is_replaced:
            version, content = await self._scripts.command("HMGET", key, "v", "b", key=key)
            packed = await asyncio.to_thread(_changed, content, change)
            is_replaced = bool(await self._scripts.run("funnel_swap", [key], [version or 0, packed, expires_at]))

    async def _merged(self, names: Sequence[str]) -> dict[str, Merged]:
        keys = map(redis_keys.funnel_merged, names)
        contents = await asyncio.gather(*(self._scripts.command("HGET", key, "b", key=key) for key in keys))
        read = await asyncio.to_thread(lambda: [Merged.unpacked(content) for content in contents])
        return dict(zip(names, read, strict=True))

    async def _read(self, names: Sequence[str]) -> dict[str, Merged]:
        """Read counters: first what is not merged yet. What is merged meanwhile is seen twice, and added once."""
        asked = frozenset(names)
        partitions = await asyncio.gather(
            *(
                self._scripts.run("funnel_read", [redis_keys.funnel_open(p)], [redis_keys.funnel_prefix(p)])
                for p in PARTITIONS
            )
        )
        merged = await self._merged(names)
        for p, (takes, *listed) in zip(PARTITIONS, partitions, strict=True):
            for raw_name, pairs, taken_pairs in listed:
                name = raw_name.decode()
                if name in asked:
                    last = merged[name].takes.get(p, 0)
                    if taken_pairs and last < int(dict(_pairs(taken_pairs))[b"@"]):
                        merged[name].add(*_read_counters(taken_pairs))
                    if last <= takes:  # otherwise they were taken and merged since
                        merged[name].add(*_read_counters(pairs))
        return merged


def _changed(content: bytes | None, change: Any) -> bytes:
    merged = Merged.unpacked(content)
    change(merged)
    return merged.packed()


def _pairs(words: Sequence[bytes]) -> Iterable[tuple[bytes, bytes]]:
    return zip(words[::2], words[1::2], strict=True)


def _read_counters(words: Sequence[bytes]) -> tuple[dict[str, dict[str, int]], dict[str, int]]:
    """Read the counters of a partition: rows by labels, and when the last code of each action ends."""
    rows: dict[str, dict[str, int]] = {}
    ends: dict[str, int] = {}
    for raw_name, value in _pairs(words):
        labels, _, name = raw_name.decode().rpartition("|")
        if labels:
            rows.setdefault(labels, {})[name] = int(value)
        elif name[0] == "^":
            ends[name[1:]] = int(value)
    return rows, ends


def _entry(line: str) -> UnconvertedSend:
    at, verification_id, labels = line.split("|", 2)
    labels, _, state = labels.rpartition("|")
    return UnconvertedSend(verification_id, int(at), read_labels(labels), read_state(state))


def _day_of(name: str) -> int:
    return int(name[1:]) * HOUR_MS // DAY_MS
