"""The report: reads the counters of a span, groups and adds them up.

Whole days (UTC) that have been rolled up are read as such, unless hours are asked for; all others hour by hour. Hours
are kept for 35 days, so what begins earlier is answered by days, which belong to the local day in which they begin.
"""

import asyncio
import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from service.core.instants import instant
from service.core.prices import Prices
from service.core.reports.counters import DAY_MS, HOUR_MS, HOURS_KEPT_MS, OTHER, FunnelStore
from service.core.reports.figures import Figures
from service.core.reports.groups import Groups
from service.core.reports.question import Grouping, Question
from service.core.reports.remembered import Key, Remembered
from service.core.turns import Turns

_MANY_DAYS = 30  # of which it is worth while to remember the sums


@dataclass(frozen=True, slots=True)
class Report:
    """The answer to a question."""

    question: Question
    generated_at_ms: int
    total: Figures
    groups: Mapping[Key, Figures]
    prices: Prices | None = None

    def json(self) -> dict[str, Any]:
        """Write the report as JSON has it."""
        asked = self.question
        return {
            "from": instant(asked.from_ms),
            "to": instant(asked.to_ms),
            "tz": asked.tz_name,
            "group_by": list(map(str, asked.group_by)),
            "filters": {name: sorted(values) for name, values in asked.filters.items()},
            "generated_at": instant(self.generated_at_ms),
            "currency": None if self.prices is None else self.prices.currency,
            "total": self.total.shown(self.prices),
            "groups": [
                {"key": dict(zip(map(str, asked.group_by), key, strict=True)), **figures.shown(self.prices)}
                for key, figures in self.groups.items()
            ],
        }

    def csv(self) -> str:
        """Write one line for each group, or one of all; lists are left out."""
        shown = self.json()
        rows = [{**group.pop("key"), **_flat(group)} for group in shown["groups"]]
        if not self.question.group_by:
            rows = [_flat(shown["total"])]
        text = io.StringIO()
        columns = [*map(str, self.question.group_by), *_flat(shown["total"])]
        writer = csv.DictWriter(text, columns, lineterminator="\r\n")  # RFC 4180
        writer.writeheader()
        writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
        return text.getvalue()


class Conversion:
    """Makes reports."""

    def __init__(self, store: FunnelStore, prices: Prices | None = None) -> None:
        self._store = store
        self._prices = prices
        self._answering = asyncio.Lock()
        self._remembered = Remembered()

    async def now_ms(self) -> int:
        """Read the clock by which sends are counted. Raises `StoreUnavailable`."""
        return await self._store.now_ms()

    async def report(self, question: Question) -> Report:
        """Answer a question. Raises `StoreUnavailable`, and `QuestionUnfit` if there are too many groups.

        One after the other: of many reports at once each would take a turn between those of others. The clock is read
        before that, so that reports do not wait for each other while Redis is away.
        """
        now_ms = await self._store.now_ms()
        async with self._answering:
            groups, turns = Groups(question, now_ms), Turns()
            days = await self._add_days(groups, question, now_ms, turns)
            hours = range(max(question.from_ms, _first_hour_ms(now_ms)), question.to_ms, HOUR_MS)
            async for bucket in self._store.hours(hour for hour in hours if hour // DAY_MS * DAY_MS not in days):
                for _ in groups.add(bucket):
                    await turns.pause()
            total, figures = await groups.figures(turns)
        return Report(question, now_ms, total, figures, self._prices)

    async def _add_days(self, groups: Groups, question: Question, now_ms: int, turns: Turns) -> frozenset[int]:
        """Add the days that have been rolled up; return when each begins."""
        starts_ms = _days_of(question, now_ms)
        asked = (starts_ms, question.tz_name, question.group_by, frozenset(question.filters.items()))
        digest = await self._store.digest(starts_ms) if len(starts_ms) >= _MANY_DAYS else None
        past = self._remembered.find(asked, digest) if digest else None
        if past is not None:
            groups.begin_with(past)
            return past.days
        days, is_past = set(), True
        async for bucket in self._store.days(starts_ms):
            days.add(bucket.start_ms)
            is_past = is_past and not bucket.is_open(OTHER, now_ms)
            for _ in groups.add(bucket):
                await turns.pause()
        if digest and is_past:
            self._remembered.keep(asked, groups.end_past(digest, frozenset(days)))
        return frozenset(days)


def _first_hour_ms(now_ms: int) -> int:
    """Tell when the first hour begins that is kept."""
    return (now_ms - HOURS_KEPT_MS) // HOUR_MS * HOUR_MS


def _days_of(question: Question, now_ms: int) -> range:
    """List the days that may be read as such."""
    since_ms, until_ms = question.from_ms, question.to_ms
    first_hour_ms = _first_hour_ms(now_ms)
    is_old = since_ms < first_hour_ms
    is_by_utc_day = Grouping.HOUR not in question.group_by and (
        question.tz is UTC or Grouping.DAY not in question.group_by
    )
    if not is_old and not is_by_utc_day:
        return range(0)
    first_day, last_day = -(-(_midnight_ms(question) if is_old else since_ms) // DAY_MS), until_ms // DAY_MS
    if last_day * DAY_MS < first_hour_ms:  # the hours of its last day are not kept
        last_day = -(-until_ms // DAY_MS)
    return range(first_day * DAY_MS, last_day * DAY_MS, DAY_MS)


def _midnight_ms(question: Question) -> int:
    """Return when the local day began in which the span begins: in its first hour, to which it was widened."""
    begins = datetime.fromtimestamp((question.from_ms + HOUR_MS) // 1000 - 1, question.tz)
    return int(begins.replace(hour=0, minute=0, second=0).timestamp() * 1000)


def _flat(figures: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in figures.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}_")
        elif not isinstance(value, list):
            flat[prefix + name] = value
    return flat


def _cell(value: Any) -> Any:
    """Keep a spreadsheet from reading a text as a formula."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "-", "@", "\t", "\r") else value
