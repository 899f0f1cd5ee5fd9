"""What a report is asked for: a span of time, how to group, and which sends."""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from enum import StrEnum
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from service.core.actions import Action
from service.core.channels import Channel
from service.core.reports.counters import DAYS_KEPT_MS, HOUR_MS, HOURS_KEPT_MS, OTHER, Labels, Reason

MOST_GROUPINGS = 2
_DAY = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
_CLOCK = r"[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?"
INSTANT_PATTERN = f"{_DAY}(?:T{_CLOCK}(?:Z|[+ -][0-9]{{2}}:[0-9]{{2}}))?"  # a blank: a plus sign that was not escaped
_YEARS = 1970, 9000
_SPAN = re.compile(r"([1-9][0-9]{0,8})([hd])")
# For the document: at most 400 days, for which figures are kept.
SPAN_PATTERN = "(?:[1-9][0-9]{0,2}|[1-8][0-9]{3}|9[0-5][0-9]{2}|9600)h|(?:[1-9][0-9]?|[1-3][0-9]{2}|400)d"
ZONE_PATTERN = "[A-Za-z0-9_+/-]+"
_LENGTHS_MS = {"h": HOUR_MS, "d": 24 * HOUR_MS}
_DEFAULT_SPAN = "24h"


class Grouping(StrEnum):
    """What figures can be grouped by."""

    HOUR = "hour"
    DAY = "day"
    COUNTRY = "country"
    CHANNEL = "channel"
    SENDER = "sender"
    PURPOSE = "purpose"
    ACTION = "action"
    SEND_NUMBER = "send_number"


TIMES = (Grouping.HOUR, Grouping.DAY)
FILTERS = tuple(grouping for grouping in Grouping if grouping not in TIMES)
GROUPINGS_PATTERN = "|".join(
    f"{first}(?:, *(?:{'|'.join(each for each in Grouping if each is not first)}))?" for first in Grouping
)


class QuestionUnfit(ValueError):
    """No report can be made of this parameter. The text is a sentence."""

    def __init__(self, parameter: str, sentence: str) -> None:
        super().__init__(sentence)
        self.parameter = parameter


@dataclass(frozen=True, slots=True)
class Question:
    """What a report is asked for. The span is in whole hours."""

    from_ms: int
    to_ms: int
    tz_name: str = "UTC"
    group_by: tuple[Grouping, ...] = ()
    filters: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @property
    def tz(self) -> tzinfo:
        """Return the time zone of hours and days."""
        return _zone(self.tz_name)

    def admits(self, labels: Labels) -> bool:
        """Tell whether sends under these labels are asked for."""
        return all(str(getattr(labels, name)) in asked for name, asked in self.filters.items())


def read_question(given: Mapping[str, str], now_ms: int) -> Question:
    """Read the parameters of a report. Raises `QuestionUnfit`."""
    for name in given:
        if name not in _PARAMETERS:
            raise QuestionUnfit(name, "This parameter is not known.")
    tz_name = given.get("tz") or "UTC"
    zone = _zone(tz_name)
    until_ms = _instant_ms("to", given["to"], zone) if given.get("to") else now_ms
    since_ms = _since_ms(given, zone, until_ms)
    if since_ms >= until_ms:
        raise QuestionUnfit("from", "The report must end after it begins.")
    if since_ms >= now_ms + HOUR_MS:
        raise QuestionUnfit("from" if given.get("from") else "to", "The report must begin before now.")
    if since_ms < now_ms - DAYS_KEPT_MS:
        raise QuestionUnfit("since" if given.get("since") else "from", "Figures are kept for 400 days.")
    group_by = _group_by(given.get("group_by", ""))
    from_ms = since_ms // HOUR_MS * HOUR_MS
    if Grouping.HOUR in group_by and since_ms < now_ms - HOURS_KEPT_MS:
        raise QuestionUnfit("group_by", "Hours are kept for 35 days. Group by day, or begin later.")
    return Question(
        from_ms=from_ms,
        to_ms=-(-min(until_ms, now_ms + HOUR_MS) // HOUR_MS) * HOUR_MS,
        tz_name=tz_name,
        group_by=group_by,
        filters={name: frozenset(read_filter(name, given[name])) for name in map(str, FILTERS) if name in given},
    )


def read_filter(name: str, text: str) -> Sequence[str]:
    """Read the values of a filter. One that no send can have is a slip, and its report would be empty."""
    values = _list(text)
    if name in _CHOICES and not set(values) <= {*_CHOICES[name], OTHER}:
        raise QuestionUnfit(name, f"Write some of: {', '.join(_CHOICES[name])}.")
    if name in _FORMS and not all(_FORMS[name][0].fullmatch(value) or value == OTHER for value in values):
        raise QuestionUnfit(name, _FORMS[name][1])
    return [_PLUS_LOST.sub(r"\1+", value) for value in values] if name == Grouping.SENDER else values


def _since_ms(given: Mapping[str, str], zone: tzinfo, until_ms: int) -> int:
    if given.get("from") and given.get("since"):
        raise QuestionUnfit("since", "Send `from` or `since`, not both.")
    if given.get("from"):
        return _instant_ms("from", given["from"], zone)
    found = _SPAN.fullmatch(given.get("since") or _DEFAULT_SPAN)
    if found is None:
        raise QuestionUnfit("since", "Write a number of hours or days, such as 24h or 7d.")
    return until_ms - int(found[1]) * _LENGTHS_MS[found[2]]


def _instant_ms(parameter: str, text: str, zone: tzinfo) -> int:
    """Read an instant of RFC 3339, or a day in the time zone."""
    at = None
    if re.fullmatch(INSTANT_PATTERN, text):
        with suppress(ValueError):
            at = datetime.fromisoformat(text.replace(" ", "+"))
    if at is not None and len(text) == len("2026-11-28"):
        at = at.replace(tzinfo=zone)
    if at is None or at.tzinfo is None or not _YEARS[0] <= at.year <= _YEARS[1]:
        raise QuestionUnfit(parameter, "Write an instant such as 2026-11-28T13:00:00Z, or a day.")
    return round(at.timestamp() * 1000)


def _zone(name: str) -> tzinfo:
    if name == "UTC":
        return UTC
    if name not in _zone_names():
        raise QuestionUnfit("tz", "Write the name of a time zone, such as Europe/Berlin.")
    return ZoneInfo(name)


@cache  # the folder of zones is read once: it takes about 20 ms
def _zone_names() -> frozenset[str]:
    """Return the names of IANA. The folder may also hold the zone of the machine, and one that says "not set"."""
    return frozenset(available_timezones() - {"localtime", "Factory"})


def _group_by(text: str) -> tuple[Grouping, ...]:
    if not text:
        return ()
    if re.fullmatch(GROUPINGS_PATTERN, text) is None:
        choices = ", ".join(Grouping)
        raise QuestionUnfit("group_by", f"Group by at most {MOST_GROUPINGS} of: {choices}.")
    return tuple(map(Grouping, _list(text)))


def _list(text: str) -> Sequence[str]:
    return [part.strip(" ") for part in text.split(",")]


_CHOICES: Mapping[str, Sequence[str]] = {
    "channel": [*Channel],
    "action": [*Action],
    "reason": [reason for reason in Reason if reason is not Reason.OPEN],
}
_FORMS = {
    "country": (re.compile(r"[A-Z]{2}|[0-9]{3}"), "Write two capital letters, such as US."),
    "send_number": (re.compile(r"[1-9][0-9]?"), "Write numbers of sends, such as 1,2."),
}
_PLUS_LOST = re.compile(r"\A(whatsapp:)? ?(?=[0-9]{7})")  # a number, which is longer than a short code
# For the document: what `read_filter` accepts.
FILTER_PATTERNS = {
    name: f" *(?:{value}|{OTHER})(?: *, *(?:{value}|{OTHER}))* *"
    for name, value in {
        **{name: "|".join(choices) for name, choices in _CHOICES.items()},
        **{name: form.pattern for name, (form, _) in _FORMS.items()},
    }.items()
}
_PARAMETERS = frozenset({"from", "to", "since", "tz", "group_by", *map(str, FILTERS)})
