"""The report: reads the counters of a span, groups and adds them up.

Whole days (UTC) that have been rolled up are read as such, unless hours are asked for; all others hour by hour. Hours
are kept for 35 days, so what begins earlier is answered by days, which belong to the local day in which they begin.
"""

import asyncio
import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from service.core.instants import instant
from service.core.prices import Prices
from service.core.reports.counters import DAY_MS, HOUR_MS, HOURS_KEPT_MS, Bucket, FunnelStore, read_labels
from service.core.reports.figures import Figures
from service.core.reports.question import TIMES, Grouping, Question

Key = tuple[str, ...]


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

    async def now_ms(self) -> int:
        """Read the clock by which sends are counted. Raises `StoreUnavailable`."""
        return await self._store.now_ms()

    async def report(self, question: Question) -> Report:
        """Answer a question. Raises `StoreUnavailable`."""
        now_ms = await self._store.now_ms()
        buckets = await self._buckets(question, now_ms)
        return await asyncio.to_thread(self._added_up, question, buckets, now_ms)

    async def _buckets(self, question: Question, now_ms: int) -> list[Bucket]:
        since_ms, until_ms = question.from_ms, question.to_ms
        is_old = since_ms < now_ms - HOURS_KEPT_MS
        first_day, last_day = (since_ms if is_old else since_ms + DAY_MS - 1) // DAY_MS, until_ms // DAY_MS
        is_by_utc_day = Grouping.HOUR not in question.group_by and (
            question.tz is UTC or Grouping.DAY not in question.group_by
        )
        days = []
        if is_old or is_by_utc_day:
            days = await self._store.days(day * DAY_MS for day in range(first_day, last_day))
        known = {bucket.start_ms for bucket in days}
        hours = range(max(since_ms, now_ms - HOURS_KEPT_MS) // HOUR_MS * HOUR_MS, until_ms, HOUR_MS)
        return days + await self._store.hours(hour for hour in hours if hour // DAY_MS * DAY_MS not in known)

    def _added_up(self, question: Question, buckets: Iterable[Bucket], now_ms: int) -> Report:
        total, groups = Figures(), {key: Figures() for key in _times_of(question)}
        for bucket in buckets:
            time_key = _time_key(question, bucket.start_ms)
            for text, counters in bucket.rows.items():
                labels = read_labels(text)
                if not question.admits(labels):
                    continue
                is_open = bucket.is_open(labels.action, now_ms)
                total.add(labels, counters, is_open=is_open)
                if question.group_by:
                    key = tuple(
                        time_key if grouping in TIMES else str(getattr(labels, grouping))
                        for grouping in question.group_by
                    )
                    groups.setdefault(key, Figures()).add(labels, counters, is_open=is_open)
        return Report(question, now_ms, total, _in_order(question, groups), self._prices)


def _time_key(question: Question, start_ms: int) -> str:
    at = datetime.fromtimestamp(start_ms / 1000, question.tz)
    if Grouping.HOUR in question.group_by:
        return at.isoformat()
    return at.date().isoformat()


def _times_of(question: Question) -> list[Key]:
    """List every hour or day of a report that is grouped by nothing else: those without sends are shown, too."""
    if len(question.group_by) != 1 or question.group_by[0] not in TIMES:
        return []
    starts = range(question.from_ms, question.to_ms, HOUR_MS)
    return [(key,) for key in dict.fromkeys(_time_key(question, start_ms) for start_ms in starts)]


def _in_order(question: Question, groups: dict[Key, Figures]) -> dict[Key, Figures]:
    """Order groups by time, and those of one time by their sends, most first."""
    places = [place for place, grouping in enumerate(question.group_by) if grouping in TIMES]
    filled = ((key, figures) for key, figures in groups.items() if places or not figures.is_empty)

    def order(group: tuple[Key, Figures]) -> tuple[Any, ...]:
        key, figures = group
        return ([key[place] for place in places], -figures.sends_total, -figures.blocked.total(), key)

    return dict(sorted(filled, key=order))


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
