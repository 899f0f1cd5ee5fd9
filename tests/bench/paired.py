"""Comparing by pairs: the targets take turns, in an order that changes each round, and each round gives one ratio.

    compared = alternate({"service": one, "plain": other}, rounds=5, show=lambda reading: f"{reading:.0f}/s")
    print(compared.ratio("service", "plain"))       # Spread(median=4.3, least=4.1, most=4.6)

The speed of a shared machine changes within minutes; it affects both readings of a pair alike, so their ratio is valid.
The first round warms up and is not counted. Before each reading the bench waits until the machine is idle: all targets
wait then, so that any load comes from other processes.
"""

import os
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

_QUIET_CORES = 0.15  # the load of other processes that counts as idle
_LOOK_SECONDS = 0.2
_TIMEOUT_SECONDS = 5.0
_TRIES = 3
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Spread:
    """The median of several readings, with their minimum and maximum."""

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
        """Return the spread of one target; `value` extracts a number from a reading."""
        return spread(map(value, self.readings[name]))

    def ratio(self, name, reference, value=float):
        """Return the spread of one target's value over the reference's, pair by pair."""
        pairs = zip(self.readings[name], self.readings[reference], strict=True)
        return spread(value(one) / value(other) for one, other in pairs)


def spread(values):
    """Return median, minimum and maximum."""
    values = list(values)
    return Spread(statistics.median(values), min(values), max(values))


def alternate(measures, *, rounds, show, warm_up=1, is_sound=lambda _: True):
    """Call each of `measures` (name to function) once a round, A B, then B A, …; print each reading.

    A reading that is not sound, because it shows that the machine was disturbed, is repeated a few times at most.
    """
    readings = {name: [] for name in measures}
    for number in range(rounds + warm_up):
        order = list(measures) if number % 2 == 0 else list(reversed(measures))
        for name in order:
            label = f"round {number - warm_up + 1}" if number >= warm_up else "warm-up"
            for _ in range(_TRIES):
                busy_cores = wait_until_idle()
                reading = measures[name]()
                others = f"   (others had {busy_cores:.1f} cores)" if busy_cores > _QUIET_CORES else ""
                disturbed = "" if is_sound(reading) else "   (disturbed)"
                print(f"  {label:8} {name:12} {show(reading)}{others}{disturbed}", flush=True)
                if not disturbed:
                    break
            if number >= warm_up:
                readings[name].append(reading)
    return Compared(readings)


def wait_until_idle():
    """Wait for a limited time until no other process uses the machine; return the number of cores still busy."""
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    while True:
        before = _busy_seconds()
        time.sleep(_LOOK_SECONDS)
        busy_cores = (_busy_seconds() - before) / _LOOK_SECONDS
        if busy_cores <= _QUIET_CORES or time.monotonic() > deadline:
            return busy_cores


def _busy_seconds():
    """Return the CPU time of the whole machine so far, without idle time; steal time counts as busy."""
    user, nice, system, _idle, _iowait, irq, softirq, steal, *_ = map(
        int, Path("/proc/stat").read_text().partition("\n")[0].split()[1:]
    )
    return (user + nice + system + irq + softirq + steal) / _TICKS_PER_SECOND
