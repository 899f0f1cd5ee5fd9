"""Sorts the counters of a span into the groups of a question, and reads the figures of each."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

from service.core.reports.counters import HOUR_MS, Bucket, Labels, read_labels
from service.core.reports.figures import Figures
from service.core.reports.question import TIMES, Grouping, Question, QuestionUnfit
from service.core.reports.remembered import Key, Past
from service.core.reports.sums import Sums
from service.core.turns import Turns

MOST_GROUPS = 10_000  # about 1 kB and 0.1 ms each
_ROWS_OF_A_STEP = 8


class _Place(NamedTuple):
    """Where the counters of some labels belong, at any time."""

    labels: Labels
    key: tuple[str | None, ...]  # None stands for the time


class Groups:
    """The groups of one question."""

    def __init__(self, question: Question, now_ms: int) -> None:
        self._question = question
        self._now_ms = now_ms
        self._groups = {key: Sums() for key in _empty_times(question)}
        self._past: Past | None = None
        self._place = lru_cache(maxsize=65536)(self._find_place)

    def add(self, bucket: Bucket) -> Iterator[None]:
        """Add the counters of an hour or a day, in short steps. Raises `QuestionUnfit` if there are too many groups."""
        times, is_open = _times_of(self._question, bucket.start_ms), {}
        for number, (text, counters) in enumerate(bucket.rows.items()):
            if number % _ROWS_OF_A_STEP == 0:
                yield
            place = self._place(text)
            if place is None:
                continue
            action = place.labels.action
            if action not in is_open:
                is_open[action] = bucket.is_open(action, self._now_ms)
            key = tuple([time if part is None else part for time, part in zip(times, place.key, strict=True)])
            sums = self._groups.get(key)
            if sums is None:
                if len(self._groups) >= MOST_GROUPS:
                    raise QuestionUnfit("group_by", f"It has more than {MOST_GROUPS} groups. Begin later, or filter.")
                sums = self._groups[key] = Sums()
            elif self._past is not None and sums is self._past.groups.get(key):
                sums = self._groups[key] = sums.copy()
            sums.add(place.labels, counters, is_open=is_open[action])

    def begin_with(self, past: Past) -> None:
        """Begin with the sums of past days, which stay as they are; what is added to a group is added to a copy."""
        self._groups |= past.groups
        self._past = past

    def end_past(self, digest: bytes, days: frozenset[int]) -> Past:
        """Make a past of all that was added so far."""
        past = Past(digest, days, {key: sums for key, sums in self._groups.items() if sums.parts}, {})
        self.begin_with(past)
        return past

    async def figures(self, turns: Turns) -> tuple[Figures, dict[Key, Figures]]:
        """Read the figures of all together, and of each group in its order."""
        total, groups = Sums(), {}
        for key, sums in self._groups.items():
            total.merge(sums)
            if self._question.group_by:
                groups[key] = self._figures_of(key, sums)
            await turns.pause()
        return Figures(total), _in_order(self._question, groups)

    def _figures_of(self, key: Key, sums: Sums) -> Figures:
        past = self._past
        if past is None or sums is not past.groups.get(key):
            return Figures(sums)
        if key not in past.figures:
            past.figures[key] = Figures(sums)
        return past.figures[key]

    def _find_place(self, text: str) -> _Place | None:
        """Tell where labels belong; None: they are not asked for."""
        labels = read_labels(text)
        if not self._question.admits(labels):
            return None
        asked = self._question.group_by
        return _Place(labels, tuple(None if one in TIMES else str(getattr(labels, one)) for one in asked))


def _times_of(question: Question, start_ms: int) -> Key:
    """Write what the key of something that begins then has for each grouping: the hour, the day, or nothing."""
    at = datetime.fromtimestamp(start_ms / 1000, question.tz)
    times = {Grouping.HOUR: at.isoformat(), Grouping.DAY: at.date().isoformat()}
    return tuple(times.get(grouping, "") for grouping in question.group_by)


def _empty_times(question: Question) -> list[Key]:
    """List every hour or day of a report that is grouped by nothing else: those without sends are shown, too."""
    if len(question.group_by) != 1 or question.group_by[0] not in TIMES:
        return []
    starts = range(question.from_ms, question.to_ms, HOUR_MS)
    if Grouping.HOUR in question.group_by:
        return [_times_of(question, start_ms) for start_ms in starts]
    first, last = (date.fromisoformat(*_times_of(question, start_ms)) for start_ms in (starts[0], starts[-1]))
    return [((first + timedelta(days=number)).isoformat(),) for number in range((last - first).days + 1)]


def _in_order(question: Question, groups: dict[Key, Figures]) -> dict[Key, Figures]:
    """Order groups by time, and those of one time by their sends, most first."""
    places = [place for place, grouping in enumerate(question.group_by) if grouping in TIMES]
    filled = ((key, figures) for key, figures in groups.items() if places or not figures.is_empty)

    def order(group: tuple[Key, Figures]) -> tuple[Any, ...]:
        key, figures = group
        return ([_instant(key[place]) for place in places], -figures.sends_total, -figures.blocked.total(), key)

    return dict(sorted(filled, key=order))


@lru_cache(maxsize=2048)
def _instant(time_key: str) -> datetime:
    """Read an hour or a day: when clocks go back, the later of two hours of one name may have the earlier text."""
    return datetime.fromisoformat(time_key)
