"""Comparing by pairs: the targets take turns, in an order that changes each round, and each round gives one ratio.

    compared = alternate({"service": one, "plain": other}, rounds=5, show=lambda reading: f"{reading:.0f}/s")
    print(compared.ratio("service", "plain"))       # Spread(median=4.3, least=4.1, most=4.6)

A machine that others use grows slower and faster by the minute; a pair measured within the same minute suffers from
that alike, so its ratio holds. The first round warms up and counts for nothing.
"""

import statistics
from dataclasses import dataclass


@dataclass(frozen=True)
class Spread:
    """The middle of several readings, with the least and the most of them."""

    median: float
    least: float
    most: float

    def __str__(self):
        return f"{self.median:.2f} ({self.least:.2f} to {self.most:.2f})"


@dataclass(frozen=True)
class Compared:
    """The readings of each target, one a round."""

    readings: dict[str, list]

    def of(self, name, value=float):
        """Give the spread of one target; `value` picks a number out of a reading."""
        return spread(map(value, self.readings[name]))

    def ratio(self, name, reference, value=float):
        """Give the spread of one target's value over the reference's, pair by pair."""
        pairs = zip(self.readings[name], self.readings[reference], strict=True)
        return spread(value(one) / value(other) for one, other in pairs)


def spread(values):
    """Give median, least and most."""
    values = list(values)
    return Spread(statistics.median(values), min(values), max(values))


def alternate(measures, *, rounds, show, warm_up=1):
    """Call each of `measures` (name to function) once a round, A B, then B A, …; print each reading as it comes."""
    readings = {name: [] for name in measures}
    for number in range(rounds + warm_up):
        order = list(measures) if number % 2 == 0 else list(reversed(measures))
        for name in order:
            reading = measures[name]()
            label = f"round {number - warm_up + 1}" if number >= warm_up else "warm-up"
            print(f"  {label:8} {name:12} {show(reading)}", flush=True)
            if number >= warm_up:
                readings[name].append(reading)
    return Compared(readings)
