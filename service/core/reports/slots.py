"""Times as the scripts count them: in slots, two for each octave (`slot_of` in `store/lua/funnel.lua`).

Slot n holds the times up to 2^(n/2) seconds that are longer than those of slot n - 1; slot 0 holds all up to a second.
"""

from collections.abc import Iterator, Mapping, Sequence


def longest_seconds(slot: int) -> float:
    """Tell the longest time of a slot."""
    return float(2 ** (slot / 2))


def _shortest_seconds(slot: int) -> float:
    return 0.0 if slot == 0 else longest_seconds(slot - 1)


def quantile(slots: Mapping[int, int], share: float) -> float | None:
    """Tell within how many seconds this share happened; within a slot the times are taken as even. None for nothing."""
    rest = share * sum(slots.values())
    for slot, count in sorted(slots.items()):
        if count >= rest and count > 0:
            shortest = _shortest_seconds(slot)
            return round(shortest + (longest_seconds(slot) - shortest) * rest / count, 2)
        rest -= count
    return None


def estimated_sum(slots: Mapping[int, int]) -> float:
    """Estimate the sum of all times: each counts as the middle of its slot.

    Of times over a second that is at most 21 % off. It never falls while the counters grow.
    """
    return sum(count * (_shortest_seconds(slot) + longest_seconds(slot)) / 2 for slot, count in sorted(slots.items()))


def cumulative(slots: Mapping[int, int], bounds: Sequence[int]) -> Iterator[int]:
    """Count, for each slot of `bounds`, the times up to its end."""
    for bound in bounds:
        yield sum(count for slot, count in slots.items() if slot <= bound)
