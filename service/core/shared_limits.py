"""Limits that many numbers share: each is one counter, and this is what counts while the shard of one is down.

In a cluster, a counter that cannot be reached would stop every send that needs it. Instead a spare counter counts,
which lies with the data of the number: so a send needs no shard but that of its number. It allows a sixty-fourth of the
limit to each of the 16 partitions, so that all of them together allow a quarter more than the limit. What a spare
counter refuses is unavailable, not limited. Without shards there are no spare counters.

One request a second asks a counter that failed; the others do not wait for it.
"""

import time
from collections.abc import Sequence

from service.core.limits import Limit, Limits, LimitStore, Reserved, Unit
from service.core.store_health import UNKNOWN, StoreFault, StoreUnavailable

_SPARE_PARTS = 64
_PAUSE_SECONDS = 1.0  # between two requests that ask a counter that failed
_MOST_FAILED = 10_000  # about 500 bytes each; an address or a prefix has a counter of its own

Counted = tuple[Unit, Reserved | StoreUnavailable]


class SharedLimits:
    """Reserves units of shared limits, in spare counters where it must."""

    def __init__(self, store: LimitStore) -> None:
        self._store = store
        # Counters that failed, oldest first: when to ask one again, and why it failed.
        self._failed: dict[tuple[Limit, str], tuple[float, StoreFault]] = {}

    async def reserve(self, units: Sequence[Unit], partition: str | None) -> list[Counted]:
        """Reserve units of a send to a number of a partition; return each as it was counted, with its answer.

        One round trip, and another one when a counter fails. Without a partition there is no spare counter.
        """
        if partition is None or not self._store.has_shards:
            return list(zip(units, await self._store.reserve(units), strict=True))
        asked = [_spare(unit, partition) if self._is_avoided(unit) else unit for unit in units]
        answers = list(await self._store.reserve(asked))
        failed = [place for place, unit in enumerate(asked) if self._note(unit, answers[place])]
        if failed:
            for place in failed:
                asked[place] = _spare(units[place], partition)
            again = await self._store.reserve([asked[place] for place in failed])
            for place, answer in zip(failed, again, strict=True):
                answers[place] = answer
        return [self._counted(*each) for each in zip(units, asked, answers, strict=True)]

    def _is_avoided(self, unit: Unit) -> bool:
        """Tell whether a counter failed a moment ago. If that is a second ago, this request asks it again."""
        known = self._failed.get(unit[:2])
        if known is None or time.monotonic() < known[0]:
            return known is not None
        self._failed[unit[:2]] = time.monotonic() + _PAUSE_SECONDS, known[1]
        return False

    def _note(self, unit: Unit, answer: Reserved | StoreUnavailable) -> bool:
        """Note how a counter answered; tell whether its spare must count."""
        if unit.partition is not None:
            return False
        self._failed.pop(unit[:2], None)
        if not isinstance(answer, StoreUnavailable):
            return False
        self._failed[unit[:2]] = time.monotonic() + _PAUSE_SECONDS, answer.fault
        if len(self._failed) > _MOST_FAILED:
            del self._failed[next(iter(self._failed))]
        return True

    def _counted(self, unit: Unit, asked: Unit, answer: Reserved | StoreUnavailable) -> Counted:
        if asked.partition is not None and isinstance(answer, Reserved) and answer.wait_ms:
            _, fault = self._failed.get(unit[:2], (0, UNKNOWN))
            return asked, StoreUnavailable(f"{unit.kind}: its spare counter is used up", fault)
        return asked, answer

    async def used(self, unit: Unit) -> int:
        """Sum what is counted of a limit, without its spare counters. Raises `StoreUnavailable`."""
        return await self._store.used(unit)

    async def give_back(self, reserved: Sequence[tuple[Unit, int]]) -> None:
        """Uncount units as they were counted; one whose step fails stays counted."""
        await self._store.give_back(reserved)


def _spare(unit: Unit, partition: str) -> Unit:
    windows = tuple((-(-most // _SPARE_PARTS), window_ms) for most, window_ms in unit.limits.windows)
    return unit._replace(limits=Limits(windows), partition=partition)
