"""Comparing by pairs: the targets take turns, in an order that changes each round, and each round gives one ratio.

    compared = alternate({"service": one, "plain": other}, rounds=5, show=lambda reading: f"{reading:.0f}/s")
    print(compared.ratio("service", "plain"))       # Spread(median=4.3, least=4.1, most=4.6)

A machine that others use grows slower and faster by the minute; a pair measured within the same minute suffers from
that alike, so its ratio holds. The first round warms up and counts for nothing. Before each reading the machine may
come to rest: whatever is busy then, while all targets wait, is nobody of ours.
"""

import os
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

_QUIET_CORES = 0.15  # what may be busy while nothing of ours is
_LOOK_SECONDS = 0.2
_TIMEOUT_SECONDS = 5.0
_TRIES = 3
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


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


def alternate(measures, *, rounds, show, warm_up=1, is_sound=lambda _: True):
    """Call each of `measures` (name to function) once a round, A B, then B A, …; print each reading as it comes.

    A reading that is not sound, because it shows by itself that the machine was disturbed, is taken again, but not
    for ever.
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
    """Wait, not long, until nobody else uses the machine; tell how many cores were busy in the end."""
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    while True:
        before = _busy_seconds()
        time.sleep(_LOOK_SECONDS)
        busy_cores = (_busy_seconds() - before) / _LOOK_SECONDS
        if busy_cores <= _QUIET_CORES or time.monotonic() > deadline:
            return busy_cores


def _busy_seconds():
    """Give the CPU time of the whole machine so far, but for idling; what a hypervisor took counts as busy."""
    user, nice, system, _idle, _iowait, irq, softirq, steal, *_ = map(
        int, Path("/proc/stat").read_text().partition("\n")[0].split()[1:]
    )
    return (user + nice + system + irq + softirq + steal) / _TICKS_PER_SECOND
