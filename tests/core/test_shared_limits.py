"""The promises of `service.core.shared_limits`: what counts while the shard of a counter is down."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import pytest

from service.core import shared_limits
from service.core.limits import Limit, Limited, Limits, Reserved, Unit
from service.core.partitions import PARTITIONS
from service.core.reservation import Reservation
from service.core.shared_limits import SharedLimits
from service.core.store_health import StoreUnavailable

DAY = Unit(Limit.DAY, "all", Limits(((50_000, 86_400_000),)))
KEY = Unit(Limit.API_KEY, "shop", Limits(((10, 1000), (200, 60_000))))


@dataclass
class Shards:
    """Counts each unit as the store does, without time; a counter that is `down` fails unless it is a spare one."""

    has_shards: bool = True
    down: frozenset[Limit] = frozenset()
    dead_partitions: frozenset[str] = frozenset()
    counts: dict[tuple[Limit, str | None], int] = field(default_factory=dict)
    asked: list[tuple[Limit, str | None]] = field(default_factory=list)

    async def reserve(self, units: Sequence[Unit]) -> list[Reserved | StoreUnavailable]:
        return [self._reserve(unit) for unit in units]

    def _reserve(self, unit: Unit) -> Reserved | StoreUnavailable:
        counter = unit.kind, unit.partition
        self.asked.append(counter)
        if unit.partition in self.dead_partitions or (unit.partition is None and unit.kind in self.down):
            return StoreUnavailable(f"{unit.kind} is down")
        most = min(most for most, _ in unit.limits.windows)
        if self.counts.get(counter, 0) + unit.amount > most:
            return Reserved(1000, 0)
        self.counts[counter] = self.counts.get(counter, 0) + unit.amount
        return Reserved(0, 1)

    async def give_back(self, reserved: Sequence[tuple[Unit, int]]) -> None:
        for unit, _ in reserved:
            self.counts[unit.kind, unit.partition] -= unit.amount

    async def used(self, unit: Unit) -> int:
        return self.counts.get((unit.kind, None), 0)


async def ask(limits: SharedLimits, *units: Unit, partition: str | None = "7") -> Reservation:
    """Reserve units of one send. Raises what refuses it."""
    reservation = Reservation(limits, units, partition=partition)
    if refusal := await reservation.ask():
        raise refusal
    return reservation


async def test_a_counter_that_is_down_is_replaced_by_one_of_the_partition() -> None:
    """A send is counted in the partition of its number; the limits whose counters work count it as ever."""
    store = Shards(down=frozenset({Limit.DAY}))
    reservation = await ask(SharedLimits(store), DAY, KEY)
    assert store.counts == {(Limit.DAY, "7"): 1, (Limit.API_KEY, None): 1}
    await reservation.give_back()
    assert set(store.counts.values()) == {0}


@pytest.mark.parametrize("most", [1, 5, 64, 65, 300, 50_000])
async def test_the_spare_counters_of_all_partitions_allow_a_quarter_of_the_limit(most: int) -> None:
    """Without its counter a limit allows a quarter more at most, rounded up in each partition; then sends get 503."""
    store = Shards(down=frozenset({Limit.DAY}))
    limits, unit = SharedLimits(store), Unit(Limit.DAY, "all", Limits(((most, 1000),)))
    granted = 0
    for partition in PARTITIONS:
        with suppress(StoreUnavailable):
            while granted <= most:
                await ask(limits, unit, partition=partition)
                granted += 1
    assert most / 4 <= granted < most / 4 + 16


async def test_an_amount_that_a_spare_counter_cannot_hold_is_unavailable() -> None:
    """A message that costs more than the spare part of the budget is refused with 503, not as limited."""
    store = Shards(down=frozenset({Limit.BUDGET}))
    limits = SharedLimits(store)
    for _ in range(2):  # also while the counter is not asked
        with pytest.raises(StoreUnavailable, match="budget"):
            await ask(limits, Unit(Limit.BUDGET, "all", Limits(((6_400, 1000),)), amount=101))


async def test_a_counter_that_failed_is_asked_by_one_request_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other requests do not wait for it; once it answers, all use it again."""
    now = 100.0
    monkeypatch.setattr(shared_limits.time, "monotonic", lambda: now)
    store = Shards(down=frozenset({Limit.DAY}))
    limits = SharedLimits(store)
    for _ in range(3):
        await ask(limits, DAY)
    assert store.asked == [(Limit.DAY, None)] + 3 * [(Limit.DAY, "7")]
    store.asked.clear()
    now += 1
    for _ in range(2):
        await ask(limits, DAY)
    assert store.asked == [(Limit.DAY, None)] + 2 * [(Limit.DAY, "7")]
    store.asked.clear()
    store.down = frozenset()
    now += 1
    for _ in range(2):
        await ask(limits, DAY)
    assert store.asked == 2 * [(Limit.DAY, None)]


@pytest.mark.parametrize(
    ("store", "partition"),
    [(Shards(has_shards=False), "7"), (Shards(dead_partitions=frozenset("7")), "7"), (Shards(), None)],
)
async def test_without_a_counter_that_works_the_send_is_refused(store: Shards, partition: str | None) -> None:
    """One server, a partition that is down too, and what is about no number have no spare counter: 503."""
    store.down = frozenset({Limit.DAY})
    with pytest.raises(StoreUnavailable):
        await ask(SharedLimits(store), KEY, DAY, partition=partition)
    assert sum(store.counts.values()) == 0, "what was granted is given back"


async def test_a_counter_that_works_refuses_as_ever() -> None:
    """A limit that is used up is told as such; no spare counter allows more."""
    store = Shards(down=frozenset({Limit.DAY}))
    limits = SharedLimits(store)
    for _ in range(10):
        await ask(limits, DAY, KEY)
    with pytest.raises(Limited):
        await ask(limits, DAY, KEY)
    assert store.counts == {(Limit.DAY, "7"): 10, (Limit.API_KEY, None): 10}


async def test_the_counters_that_failed_are_known_in_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any number of addresses whose counters fail are remembered up to a maximum, the newest."""
    monkeypatch.setattr(shared_limits, "_MOST_FAILED", 10)
    limits = SharedLimits(Shards(down=frozenset({Limit.CLIENT_IP})))
    for place in range(100):
        await ask(limits, Unit(Limit.CLIENT_IP, str(place), Limits(((6400, 1000),))))
    assert [tag for _, tag in limits._failed] == [str(place) for place in range(90, 100)]
