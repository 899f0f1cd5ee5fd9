"""Plans believable traffic: how many verifications of each country end how, in each hour of 30 days.

Each country has its share, its time zone and its usual rates. People sleep, and do less at weekends. Some hours are
special: a country whose route breaks, an attack that pumps messages, and a campaign whose codes come late.
"""

import math
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

DAYS = 30
HOUR_SECONDS = 3600
_SENDS_AN_HOUR = 420  # of all countries together, at the busiest time
_WAKE_AT, _AWAKE_HOURS = 6.5, 17
_QUIETEST = 0.12  # at night
_WEEKEND = 0.78
_WHATSAPP_DAYS = 12  # since when it is offered
_WHATSAPP_SHARE = 0.3


class Outcome(StrEnum):
    """How a verification ends."""

    APPROVED = "approved"
    BY_RESEND = "by_resend"  # approved by the code of a second send
    LATE = "late"
    UNUSED = "unused"
    WRONG = "wrong"
    LOCKED = "locked"
    CANCELED = "canceled"
    NOT_DELIVERED = "not_delivered"
    NEITHER = "neither"  # of two sends
    NO_REPORT = "no_report"
    REFUSED = "refused"
    BLOCKED = "blocked"  # by a limit of ours: no send


# What goes wrong in usual traffic, as shares of what is not approved by the first send.
_USUAL = {
    Outcome.BY_RESEND: 0.36,
    Outcome.UNUSED: 0.2,
    Outcome.NOT_DELIVERED: 0.12,
    Outcome.NEITHER: 0.09,
    Outcome.LATE: 0.06,
    Outcome.REFUSED: 0.06,
    Outcome.WRONG: 0.04,
    Outcome.NO_REPORT: 0.04,
    Outcome.CANCELED: 0.02,
    Outcome.LOCKED: 0.01,
}


@dataclass(frozen=True, slots=True)
class Country:
    """The usual traffic of one country."""

    code: str
    share: float
    utc_offset: int
    approved: float  # the share of verifications that the first send's code ends
    seconds: float  # the median of the time to convert


COUNTRIES = (
    Country("US", 0.30, -5, 0.87, 11),
    Country("DE", 0.18, 1, 0.90, 12),
    Country("GB", 0.13, 0, 0.88, 11),
    Country("FR", 0.10, 1, 0.85, 13),
    Country("IN", 0.09, 5, 0.76, 21),
    Country("BR", 0.06, -3, 0.80, 16),
    Country("ES", 0.04, 1, 0.85, 14),
    Country("NL", 0.03, 1, 0.90, 11),
    Country("IT", 0.03, 1, 0.84, 15),
    Country("PL", 0.02, 1, 0.87, 12),
    Country("ID", 0.015, 7, 0.68, 27),
    Country("LV", 0.005, 2, 0.83, 13),
)


@dataclass(frozen=True, slots=True)
class Planned:
    """So many verifications of one kind, of one hour."""

    country: str
    channel: str
    purpose: str
    outcome: Outcome
    count: int
    seconds: float  # the median of the time to convert


@dataclass(frozen=True, slots=True)
class _Hour:
    """One country in one hour, with what is special about it."""

    country: Country
    verifications: float
    failures: dict[Outcome, float]
    has_whatsapp: bool


def planned_hours(last_hour: int, *, seed: int = 20) -> Iterator[tuple[int, list[Planned]]]:
    """Plan every hour before `last_hour`, which counts hours since 1970, oldest first."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    for hour in range(last_hour - DAYS * 24, last_hour):
        yield (
            hour,
            [
                planned
                for country in COUNTRIES
                for planned in _planned(_special(_usual(country, hour, last_hour), last_hour - hour), chance)
            ],
        )


def _usual(country: Country, hour: int, last_hour: int) -> _Hour:
    local = hour + country.utc_offset
    daily = max(_QUIETEST, math.sin((local % 24 - _WAKE_AT) / _AWAKE_HOURS * math.pi))
    weekday = (local // 24 + 3) % 7  # 1 January 1970 was a Thursday
    volume = _SENDS_AN_HOUR * country.share * daily * (_WEEKEND if weekday >= 5 else 1.0)  # noqa: PLR2004 - Saturday
    return _Hour(country, volume, dict(_USUAL), last_hour - hour <= _WHATSAPP_DAYS * 24)


def _special(usual: _Hour, hours_ago: int) -> _Hour:
    """Change the hours of which an operator should find out what happened."""
    country = usual.country
    if country.code == "FR" and hours_ago <= 20:  # noqa: PLR2004 - the route broke yesterday, and still is broken
        broken = {Outcome.NOT_DELIVERED: 0.62, Outcome.NEITHER: 0.2, Outcome.BY_RESEND: 0.08, Outcome.LATE: 0.1}
        return replace(usual, country=replace(country, approved=0.14, seconds=70), failures=broken)
    if country.code == "LV" and 200 <= hours_ago < 236:  # noqa: PLR2004 - somebody pumps messages for 36 hours
        pumped = {Outcome.UNUSED: 0.55, Outcome.BLOCKED: 0.4, Outcome.NO_REPORT: 0.05}
        return replace(usual, country=replace(country, approved=0.02), verifications=190.0, failures=pumped)
    if country.code == "BR" and 122 <= hours_ago < 127:  # noqa: PLR2004 - a campaign: the carriers queue
        slow = {Outcome.BY_RESEND: 0.5, Outcome.LATE: 0.3, Outcome.UNUSED: 0.2}
        volume = usual.verifications + 220.0
        return replace(usual, country=replace(country, approved=0.6, seconds=75), verifications=volume, failures=slow)
    return usual


def _planned(hour: _Hour, chance: random.Random) -> Iterator[Planned]:
    country = hour.country
    rate = min(0.99, max(0.01, chance.gauss(country.approved, 0.012)))
    volume = hour.verifications * chance.uniform(0.9, 1.1)
    shares = {Outcome.APPROVED: rate} | {one: (1 - rate) * share for one, share in hour.failures.items()}
    for channel, of_channel in _channels(hour):
        for purpose, of_purpose in (("login", 0.82), ("signup", 0.13), ("payment", 0.05)):
            for outcome, share in shares.items():
                count = _rounded(volume * of_channel * of_purpose * share, chance)
                if count:
                    yield Planned(country.code, channel, purpose, outcome, count, country.seconds)


def _channels(hour: _Hour) -> Iterable[tuple[str, float]]:
    if not hour.has_whatsapp or hour.country.code not in ("IN", "BR", "ES", "IT", "ID"):
        return [("sms", 1.0)]
    return [("sms", 1 - _WHATSAPP_SHARE), ("whatsapp", _WHATSAPP_SHARE)]


def _rounded(expected: float, chance: random.Random) -> int:
    """Round by chance, so that small shares occur now and then, not never."""
    return math.floor(expected + chance.random())
