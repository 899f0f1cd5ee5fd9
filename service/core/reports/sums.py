"""Adds up counters of any labels, as cheaply as possible: a year has half a million of them.

A sum keeps no labels but those by which figures differ, and reads no states: `Figures` reads those of each sum once.
"""

from collections import Counter, defaultdict
from functools import lru_cache
from typing import NamedTuple

from service.core.channels import CHANNELS, Channel
from service.core.reports.counters import OTHER, AcceptedNames, Counters, Labels

_CONFIRMABLE = frozenset(str(channel) for channel in Channel if CHANNELS[channel].can_be_confirmed) | {OTHER}
_ACCEPTED = AcceptedNames()


class Part(NamedTuple):
    """What states do not say of sends."""

    is_first: bool  # of its verification
    is_confirmable: bool
    is_open: bool  # it may still convert in time


class Sums:
    """The sums of a group."""

    def __init__(self) -> None:
        self.parts: defaultdict[Part, defaultdict[str, int]] = defaultdict(_no_counters)
        self.messages: Counter[tuple[str, str]] = Counter()  # accepted by the provider, by country and channel

    def add(self, labels: Labels, counters: Counters, *, is_open: bool) -> None:
        """Add the counters of one combination of labels."""
        part, accepted = self.parts[_part(labels.send_number, labels.channel, is_open=is_open)], 0
        is_accepted = _ACCEPTED
        for name, count in counters.items():
            part[name] += count
            if is_accepted[name]:
                accepted += count
        if accepted:
            self.messages[labels.country, labels.channel] += accepted

    def merge(self, other: "Sums") -> None:
        """Add the sums of another group."""
        for place, counters in other.parts.items():
            part = self.parts[place]
            for name, count in counters.items():
                part[name] += count
        self.messages.update(other.messages)

    def copy(self) -> "Sums":
        """Make sums of their own that are the same so far."""
        sums = Sums()
        sums.merge(self)
        return sums

    @property
    def countries(self) -> set[str]:
        """List the countries of the messages that can be confirmed."""
        return {country for (country, channel), count in self.messages.items() if count and channel in _CONFIRMABLE}


def _no_counters() -> defaultdict[str, int]:
    return defaultdict(int)


@lru_cache(maxsize=1024)
def _part(send_number: int, channel: str, *, is_open: bool) -> Part:
    return Part(send_number == 1, channel in _CONFIRMABLE, is_open)
