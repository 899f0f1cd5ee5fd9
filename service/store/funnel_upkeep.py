"""The upkeep of the conversion counters in Redis: how they are merged and rolled up.

The scripts that decide count in one hash for each hour and partition. Once an hour has ended, these hashes are *taken*
one by one, and merged into one compressed document for the hour. In a cluster that is in another slot than most of
them, so no single step can do it. Each take of a partition has a number, and the document notes that of the last one it
has. So a take that is merged twice, by a second worker or after a kill, counts once; a reader who sees both knows.
A day is rolled up in the one step that replaces its document, which then says so.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence

from service.core.partitions import PARTITIONS
from service.core.reports.counters import DAY_MS, DAYS_KEPT_MS, HOUR_MS, HOURS_KEPT_MS, Counters
from service.core.store_health import StoreUnavailable
from service.store import keys as redis_keys
from service.store.funnel import redis_now_ms
from service.store.merged_counters import Merged, read_counters
from service.store.scripts import Scripts

_SETTLING_MS = 15 * 60 * 1000  # after the end of an hour: by then most of its codes have ended
_ROLLED_UP_MS = 2 * DAY_MS + _SETTLING_MS  # after the end of a day; the nodes of a cluster have each a clock
_MOST_LAPSED = 200
_MOST_TRIES = 100  # each means that another worker has got on


class RedisFunnelUpkeep:
    """The `FunnelUpkeep` of the core."""

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts
        self._rolled_up: set[int] = set()  # days of which this process knows that nothing is left to do

    async def log_lapsed(self, partition: str) -> None:
        """Log what did not convert, of verifications whose last code has ended."""
        prefix = redis_keys.verification_prefix(partition)
        looked_at = _MOST_LAPSED
        while looked_at == _MOST_LAPSED:
            looked_at = await self._scripts.run("lapse", [redis_keys.funnel_due(partition)], [prefix, _MOST_LAPSED])

    async def merge_ended_hours(self) -> None:
        """Merge hours that have ended, and what moved later in days."""
        now_ms = await redis_now_ms(self._scripts)
        for name in sorted(await self._names()):
            if name[0] == "d" or now_ms >= (int(name[1:]) + 1) * HOUR_MS + _SETTLING_MS:
                await self._merge(name)

    async def roll_up(self) -> None:
        """Roll up the days whose hours no longer move."""
        now_ms = await redis_now_ms(self._scripts)
        unmerged = {_day_of(name) for name in await self._names() if name[0] == "h"}
        last = (now_ms - _ROLLED_UP_MS) // DAY_MS
        for day in range((now_ms - HOURS_KEPT_MS) // DAY_MS + 1, last):
            if day not in self._rolled_up and day not in unmerged:
                await self._roll_up(day)
                self._rolled_up.add(day)

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
                    merged.add(*read_counters(pairs))
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

    async def _change(self, name: str, change: Callable[[Merged], None]) -> None:
        """Change merged counters: read, change and replace them, until no other worker has done so in between."""
        key = redis_keys.funnel_merged(name)
        length_ms, kept_ms = (HOUR_MS, HOURS_KEPT_MS) if name[0] == "h" else (DAY_MS, DAYS_KEPT_MS)
        expires_at = ((int(name[1:]) + 1) * length_ms + kept_ms) // 1000
        for _ in range(_MOST_TRIES):
            version, content = await self._scripts.command("HMGET", key, "v", "b", key=key)
            packed = await asyncio.to_thread(_changed, content, change)
            if await self._scripts.run("funnel_swap", [key], [version or 0, packed, expires_at]):
                return
        raise StoreUnavailable(f"funnel_swap: replaced by others {_MOST_TRIES} times")

    async def _merged(self, names: Sequence[str]) -> dict[str, Merged]:
        keys = map(redis_keys.funnel_merged, names)
        contents = await asyncio.gather(*(self._scripts.command("HGET", key, "b", key=key) for key in keys))
        read = await asyncio.to_thread(lambda: [Merged.unpacked(content) for content in contents])
        return dict(zip(names, read, strict=True))


def _changed(content: bytes | None, change: Callable[[Merged], None]) -> bytes:
    merged = Merged.unpacked(content)
    change(merged)
    return merged.packed()


def _day_of(name: str) -> int:
    return int(name[1:]) * HOUR_MS // DAY_MS
