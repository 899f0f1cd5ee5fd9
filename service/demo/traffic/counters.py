"""Writes planned hours as the counters that the scripts leave: see `store/lua/funnel.lua` for the names of states.

The report reads both alike. What was planned has no verifications: only counters, and nothing to look up.
"""

import math
import random
from collections.abc import Iterable, Mapping
from typing import Protocol

from service.demo.traffic.plan import HOUR_SECONDS, Outcome, Planned

_TTL_SECONDS = 600
# The times of people spread like a log-normal distribution.
_SPREAD = 0.55
_DELIVERY_SECONDS = 3.0
_ERRORS = {"3u30003": 0.45, "3u30005": 0.2, "3u30008": 0.2, "3u30006": 0.08, "3f30007": 0.07}
_REFUSALS = {"3x21211": 0.4, "3x21614": 0.35, "3x21610": 0.25}
_OVERTAKEN = {"2s": 0.4, "3d": 0.3, **_ERRORS}
_ARRIVED = "3d"
_STATES = {
    Outcome.LATE: "3d.l.p",
    Outcome.UNUSED: "3d.-.p",
    Outcome.WRONG: "3d.w.p",
    Outcome.LOCKED: "3d.w.m",
    Outcome.CANCELED: "3d.-.c",
    Outcome.NO_REPORT: "2s.-.p",
}


class Fillable(Protocol):
    """Takes the counters of a whole hour."""

    async def fill(self, name: str, rows: Mapping[str, Mapping[str, int]], ends: Mapping[str, int]) -> None:
        """Add counters to an hour that has ended."""


async def write_hour(funnel: Fillable, hour: int, planned: Iterable[Planned], *, senders: Mapping[str, str]) -> int:
    """Write one hour; return how many sends it has."""
    chance = random.Random(hour)  # noqa: S311 - no secret
    rows = _Rows(senders, chance)
    for one in planned:
        rows.add(one)
    if rows.counters:
        ends = {"code": (hour + 1) * HOUR_SECONDS + _TTL_SECONDS}
        await funnel.fill(f"h{hour}", rows.counters, ends)
    return rows.sends


class _Rows:
    """The counters of one hour, by labels."""

    def __init__(self, senders: Mapping[str, str], chance: random.Random) -> None:
        self.counters: dict[str, dict[str, int]] = {}
        self.sends = 0
        self._senders = senders
        self._chance = chance

    def add(self, planned: Planned) -> None:
        """Add verifications with their sends."""
        if planned.outcome is Outcome.BLOCKED:
            self._count(planned, 1, "bprefix", planned.count, sender="")
            return
        for _ in range(planned.count):
            for number, state in enumerate(self._states(planned), 1):
                self._send(planned, number, state)

    def _states(self, planned: Planned) -> list[str]:
        """Name the state of each send of a verification."""
        outcome, approved = planned.outcome, f"3d.c{self._slot(planned.seconds)}.a"
        if outcome is Outcome.APPROVED:
            return [approved]
        if outcome is Outcome.BY_RESEND:
            return [f"{self._one_of(_OVERTAKEN)}.-.a", approved]
        if outcome is Outcome.REFUSED:
            return [f"{self._one_of(_REFUSALS)}.-.f"]
        if outcome in _STATES:
            return [_STATES[outcome]]
        return [f"{self._one_of(_ERRORS)}.-.p" for _ in range(2 if outcome is Outcome.NEITHER else 1)]

    def _send(self, planned: Planned, number: int, state: str) -> None:
        self.sends += 1
        has_sender = not state.startswith("3x")
        sender = self._senders[planned.channel] if has_sender else ""
        self._count(planned, number, "n", 1, sender=sender)
        self._count(planned, number, state, 1, sender=sender)
        if state.startswith(_ARRIVED):
            seconds = _DELIVERY_SECONDS * max(1.0, planned.seconds / 20)
            self._count(planned, number, f"t{self._slot(seconds)}", 1, sender=sender)

    def _count(self, planned: Planned, number: int, name: str, count: int, *, sender: str) -> None:
        labels = f"{planned.country}|{planned.channel}|{sender}|{planned.purpose}|code|{number}"
        row = self.counters.setdefault(labels, {})
        row[name] = row.get(name, 0) + count

    def _slot(self, median_seconds: float) -> int:
        """Draw a time, and name its slot: the least whole number for which 2^(slot/2) seconds are not less."""
        seconds = self._chance.lognormvariate(math.log(median_seconds), _SPREAD)
        return max(0, math.ceil(2 * math.log2(seconds)))

    def _one_of(self, weighted: Mapping[str, float]) -> str:
        return self._chance.choices(list(weighted), list(weighted.values()))[0]
