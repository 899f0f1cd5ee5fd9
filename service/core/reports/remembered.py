"""Remembers the sums of days that have been rolled up: they hardly ever change, and reading a year takes long.

A page that shows a year asks the same again and again. What is remembered is used only while the documents of the days
are the same; so it is never older than what Redis has. It is bounded: what was asked for longest ago is forgotten.
"""

from collections.abc import Hashable, Mapping
from typing import NamedTuple

from service.core.reports.figures import Figures
from service.core.reports.sums import Sums

Key = tuple[str, ...]
_MOST_COUNTERS = 100_000  # a year by day has 30,000


class Past(NamedTuple):
    """The days of a report that can no longer change."""

    digest: bytes  # of their documents
    days: frozenset[int]  # when each begins
    groups: Mapping[Key, Sums]  # not to be changed
    figures: dict[Key, Figures]  # of the groups, once they were read

    @property
    def size(self) -> int:
        """Count the counters."""
        return sum(len(counters) for sums in self.groups.values() for counters in sums.parts.values())


class Remembered:
    """The past of the reports that were asked for last."""

    def __init__(self, most_counters: int = _MOST_COUNTERS) -> None:
        self._most = most_counters
        self._kept: dict[Hashable, tuple[Past, int]] = {}

    def find(self, asked: Hashable, digest: bytes) -> Past | None:
        """Find the past of a report, if the documents are still the same."""
        found = self._kept.pop(asked, None)
        if found is None or found[0].digest != digest:
            return None
        self._kept[asked] = found  # the last one now
        return found[0]

    def keep(self, asked: Hashable, past: Past) -> None:
        """Remember the past of a report."""
        self._kept[asked] = past, past.size
        while sum(size for _, size in self._kept.values()) > self._most:
            self._kept.pop(next(iter(self._kept)))
