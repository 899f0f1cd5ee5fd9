"""Limits: at most so many in any window of a length, written as in the settings: `1/30s,5/10m`.

The windows slide: no window of that length holds more than its limit, wherever it begins, so there is no double burst
at a fixed edge. The store counts.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import NamedTuple, Protocol

from service.core.store_health import StoreUnavailable

_UNIT_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_LIMIT = re.compile(r"([1-9][0-9]{0,8})/([1-9][0-9]{0,3})([smhd])")


class Limit(StrEnum):
    """What a limit is counted by."""

    NUMBER = "number"
    FAILED_CHECKS = "failed_checks"
    CLIENT_IP = "client_ip"
    API_KEY = "api_key"
    PREFIX = "prefix"
    COUNTRY = "country"
    DAY = "day"
    PEER = "peer"
    LINK = "link"
    SMS = "sms"  # all sends by one channel
    WHATSAPP = "whatsapp"
    VOICE = "voice"
    BUDGET = "budget"  # money: its limit and amounts are millionths of a currency
    SIGN_IN = "sign_in"  # on the dashboard


@dataclass(frozen=True)
class Limits:
    """Windows, each with its limit; without any window there is no limit."""

    windows: tuple[tuple[int, int], ...] = ()  # (most, window in ms)

    @cached_property
    def policy(self) -> str:
        """The windows as the scripts read them: `limit:window_ms,…`."""
        return ",".join(f"{most}:{window_ms}" for most, window_ms in self.windows)

    def __bool__(self) -> bool:
        return bool(self.windows)


class Unit(NamedTuple):
    """What is reserved of a limit: its kind, the tag that it is counted under, the windows, and how much."""

    kind: Limit
    tag: str
    limits: Limits
    amount: int = 1
    partition: str | None = None  # with which a spare counter lies: see `shared_limits`


class Limited(Exception):
    """A limit is used up: which one, its windows, and when to try again. The HTTP routes decide who is told which."""

    def __init__(self, retry_after_ms: int, limit: Limit, limits: Limits) -> None:
        super().__init__(f"{limit}: retry after {retry_after_ms} ms")
        self.retry_after_ms = retry_after_ms
        self.limit = limit
        self.limits = limits


class Reserved(NamedTuple):
    """The result of reserving one unit: granted at an instant, or a wait."""

    wait_ms: int
    at_ms: int


class LimitStore(Protocol):
    """Counts limits that do not belong to one number. Each unit is an atomic step; all are reserved in parallel."""

    @property
    def has_shards(self) -> bool:
        """Tell whether some counters can fail while others work."""

    async def reserve(self, units: Sequence[Unit]) -> Sequence[Reserved | StoreUnavailable]:
        """Reserve one unit of each limit. Without a grant nothing was counted, or it is unknown whether it was."""

    async def used(self, unit: Unit) -> int:
        """Sum what is counted of a limit of one window. Raises `StoreUnavailable`."""

    async def give_back(self, reserved: Sequence[tuple[Unit, int]]) -> None:
        """Uncount units that were reserved, each at an instant. A unit whose step fails stays counted, silently."""


UNLIMITED = Limits()
# Failed checks of one number in a row, over all its verifications; then it is disabled (NIST SP 800-63B-4 3.2.2).
MOST_FAILED_IN_A_ROW = 100


def parse_limits(text: str) -> Limits:
    """Read `1/30s,5/10m,10/1d`; an empty text is no limit. Raises `ValueError` with a sentence."""
    windows: list[tuple[int, int]] = []
    for part in (piece.strip() for piece in text.split(",") if text.strip()):
        match = _LIMIT.fullmatch(part)
        if match is None:
            raise ValueError("a part of it is not a limit; write it like 5/10m (units s, m, h, d)")
        window = (int(match[1]), int(match[2]) * _UNIT_MS[match[3]])
        if any(window[1] == length for _, length in windows):
            raise ValueError("it names a window twice; write one limit for each window")
        windows.append(window)
    return Limits(tuple(windows))
