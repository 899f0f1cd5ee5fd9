"""The conversion counters as the scripts write them (`store/lua/funnel.lua`): labels, states, reasons.

A fresh send is in no counted state: what the states of a combination leave of its sends is fresh.
"""

import re
from collections.abc import AsyncIterator, Iterable, Mapping
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple, Protocol

Counters = Mapping[str, int]  # of one combination of labels, by state
Rows = Mapping[str, Counters]  # by labels

SENDS = "n"
HOUR_MS, DAY_MS = 3_600_000, 86_400_000
HOURS_KEPT_MS, DAYS_KEPT_MS = 35 * DAY_MS, 400 * DAY_MS
OTHER = "other"  # every label of the combinations beyond the most of an hour
FRESH = "0u.-.p"
_MOST_NAMES = 4096  # remembered
_STATE = re.compile(r"(\d[a-z])(\d*)\.(-|w|l|c\d+)\.([a-z])")


class Labels(NamedTuple):
    """What a send is counted under."""

    country: str
    channel: str
    sender: str  # as the callbacks name it; empty while none has
    purpose: str
    action: str
    send_number: int


class DeliveryState(StrEnum):
    """What the provider says of a send."""

    REFUSED = "refused"  # there is no message
    UNKNOWN = "unknown"  # no answer, or none yet
    ACCEPTED = "accepted"
    SENT = "sent"
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    FAILED = "failed"


class Ending(StrEnum):
    """Where a verification stands."""

    OPEN = "open"
    APPROVED = "approved"
    LOCKED = "locked"
    CANCELED = "canceled"
    EXPIRED = "expired"
    FAILED = "failed"  # its only message was refused


class Reason(StrEnum):
    """Why a send did not convert."""

    OPEN = "open"  # it still may
    NOT_ACCEPTED = "not_accepted"
    NOT_DELIVERED = "not_delivered"
    NO_REPORT = "no_report"  # nothing was typed, and nobody knows whether it arrived
    NOTHING_TYPED = "nothing_typed"  # though it arrived
    WRONG_CODES = "wrong_codes"
    TOO_LATE = "too_late"
    ANOTHER_SEND = "another_send"


_DELIVERIES = {
    "3x": DeliveryState.REFUSED,
    "0u": DeliveryState.UNKNOWN,
    "1q": DeliveryState.ACCEPTED,
    "2s": DeliveryState.SENT,
    "3d": DeliveryState.DELIVERED,
    "4r": DeliveryState.DELIVERED,
    "3u": DeliveryState.UNDELIVERED,
    "3f": DeliveryState.FAILED,
    "3c": DeliveryState.FAILED,  # canceled at the provider
}
_ENDINGS = {"a": Ending.APPROVED, "m": Ending.LOCKED, "c": Ending.CANCELED, "f": Ending.FAILED}


class State(NamedTuple):
    """Where a send stands."""

    delivery: DeliveryState
    error_code: int | None
    slot: int | None  # of the time until its secret was approved; None: it was not
    is_late: bool  # its secret was typed, but not approved
    has_wrong: bool  # wrong ones were typed since
    ending: Ending | None  # of its verification; None: nothing has ended it, but perhaps time

    @property
    def is_accepted(self) -> bool:
        """Tell whether the provider accepted the message."""
        return self.delivery not in (DeliveryState.REFUSED, DeliveryState.UNKNOWN)

    def ending_at(self, *, is_open: bool) -> Ending:
        """Tell where the verification stands, when its codes are still open, or not."""
        return self.ending or (Ending.OPEN if is_open else Ending.EXPIRED)

    def reason(self, *, is_open: bool) -> Reason | None:
        """Tell why the send did not convert; None if it did."""
        return None if self.slot is not None else _reason(self, is_open=is_open)


@lru_cache(maxsize=4096)
def _reason(state: State, *, is_open: bool) -> Reason:
    """Return the first reason that holds."""
    delivery = state.delivery
    reasons = {
        Reason.TOO_LATE: state.is_late,
        Reason.NOT_DELIVERED: delivery in (DeliveryState.UNDELIVERED, DeliveryState.FAILED),
        Reason.NOT_ACCEPTED: delivery is DeliveryState.REFUSED,
        Reason.ANOTHER_SEND: state.ending is Ending.APPROVED,
        Reason.OPEN: state.ending is None and is_open,
        Reason.WRONG_CODES: state.has_wrong,
        Reason.NOTHING_TYPED: delivery is DeliveryState.DELIVERED,
        Reason.NO_REPORT: delivery is not DeliveryState.UNKNOWN,
    }
    return next((reason for reason, holds in reasons.items() if holds), Reason.NOT_ACCEPTED)


@lru_cache(maxsize=65536)
def read_labels(text: str) -> Labels:
    """Read labels as the scripts write them."""
    country, channel, sender, purpose, action, number = text.split("|")
    return Labels(country, channel, sender, purpose, action, int(number))


@lru_cache(maxsize=4096)
def read_state(text: str) -> State:
    """Read a state as the scripts write it. Raises `ValueError`."""
    found = _STATE.fullmatch(text)
    if found is None:
        raise ValueError(f"no state of a send: {text}")
    delivery, code, typed, status = found.groups()
    return State(
        delivery=_DELIVERIES[delivery],
        error_code=int(code) if code else None,
        slot=int(typed[1:]) if typed[0] == "c" else None,
        is_late=typed == "l",
        has_wrong=typed == "w",
        ending=_ENDINGS.get(status),
    )


class AcceptedNames(dict[str, bool]):
    """Tells whether what is counted under a name are messages that the provider accepted.

    A table rather than a cached function, because it is looked up half a million times for a year.
    """

    def __missing__(self, name: str) -> bool:
        if len(self) >= _MOST_NAMES:
            self.clear()
        return self.setdefault(name, name[0].isdigit() and read_state(name).is_accepted)


def states(counters: Counters) -> Iterable[tuple[str, int]]:
    """List the states of the sends of one combination, as the scripts write them, with the fresh ones."""
    fresh = counters.get(SENDS, 0)
    for name, count in counters.items():
        if count and name[0].isdigit():
            fresh -= count
            yield name, count
    if fresh:
        yield FRESH, fresh


class Bucket(NamedTuple):
    """The counters of one hour, or of one day (UTC)."""

    start_ms: int
    length_ms: int
    rows: Rows
    ends: Mapping[str, int]  # when the last code of an action ends (s): until then what nobody answered is open

    def is_open(self, action: str, now_ms: int) -> bool:
        """Tell whether a send of this action may still convert in time."""
        ends = max(self.ends.values(), default=0) if action == OTHER else self.ends.get(action, 0)
        return now_ms < ends * 1000


class FunnelStore(Protocol):
    """Reads the counters. Raises `StoreUnavailable`."""

    async def now_ms(self) -> int:
        """Read the clock by which the sends are counted."""

    def days(self, starts_ms: Iterable[int]) -> AsyncIterator[Bucket]:
        """Read those of these days (UTC) that have been rolled up."""

    async def digest(self, starts_ms: Iterable[int]) -> bytes | None:
        """Digest what `days` would read, without reading it; None if some of it is not merged yet."""

    def hours(self, starts_ms: Iterable[int]) -> AsyncIterator[Bucket]:
        """Read these hours; one in which nothing was counted is left out."""
