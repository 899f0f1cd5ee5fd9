"""The figures of a group of sends: sums, rates, quantiles, and what the provider counts. A rate of nothing is None."""

from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any

from service.core.prices import Prices
from service.core.reports.counters import (
    Counters,
    DeliveryState,
    Ending,
    Reason,
    read_state,
    states,
)
from service.core.reports.slots import quantile
from service.core.reports.sums import Part, Sums

_CONFIRMED, _CONFIRMED_LATE = "confirmed", "confirmed_late"
_SEND_STATES = (*DeliveryState, _CONFIRMED, _CONFIRMED_LATE)
_FAILURES = (DeliveryState.REFUSED, DeliveryState.UNDELIVERED, DeliveryState.FAILED)
_STATUS_OK = (DeliveryState.ACCEPTED, DeliveryState.SENT, DeliveryState.DELIVERED)
_QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99}


class Figures:
    """Reads the sums of a group."""

    def __init__(self, sums: Sums) -> None:
        self.verifications: Counter[str] = Counter()
        self.sends: Counter[str] = Counter()
        self.delivery: Counter[str] = Counter()
        self.unconverted: Counter[str] = Counter()
        self.blocked: Counter[str] = Counter()
        self.errors: Counter[int | None] = Counter()
        self.deliver_slots: Counter[int] = Counter()
        self.convert_slots: Counter[int] = Counter()
        self.at_provider: Counter[str] = Counter()
        self.countries = sums.countries
        self.messages = sums.messages
        for part, counters in sums.parts.items():
            self._add(part, counters)

    def _add(self, part: Part, counters: Counters) -> None:
        for name, count in states(counters):
            for counts, counted_as in _meaning(name, part):
                getattr(self, counts)[counted_as] += count
        for name, count in counters.items():
            if name[0] == "b":
                self.blocked[name[1:]] += count
            elif name[0] == "t":
                self.deliver_slots[int(name[1:])] += count

    @property
    def is_empty(self) -> bool:
        """Tell whether nothing was counted."""
        return not self.sends_total and not self.blocked.total()

    @property
    def sends_total(self) -> int:
        """Count the sends."""
        return self.sends.total()

    def shown(self, prices: Prices | None = None) -> dict[str, Any]:
        """Show all figures."""
        sends, approved = self.sends_total, self.verifications[Ending.APPROVED]
        return {
            "verifications": _with_total(self.verifications, Ending),
            "sends": _with_total(self.sends, _SEND_STATES),
            "delivery": {name: self.delivery[name] for name in map(str, DeliveryState)},
            "unconverted": {name: self.unconverted[name] for name in map(str, Reason)},
            "blocked": {
                "total": self.blocked.total(),
                "reasons": [{"reason": reason, "count": count} for reason, count in _most_first(self.blocked)],
            },
            "success_rate": _rate(approved, self.verifications.total()),
            "conversion_rate": _rate(self.sends[_CONFIRMED], sends),
            "delivery_rate": _rate(self.delivery[DeliveryState.DELIVERED], sends),
            "sends_per_approval": _rate(sends, approved),
            "seconds_to_deliver": _quantiles(self.deliver_slots),
            "seconds_to_convert": _quantiles(self.convert_slots),
            "errors": [{"code": code, "count": count} for code, count in _most_first(self.errors)],
            "twilio": {
                **{name: self.at_provider[name] for name in ("attempted", "status_ok", "errors", "conversions")},
                "conversion_rate": _rate(self.at_provider["conversions"], self.at_provider["attempted"]),
                "countries": len(self.countries),
            },
            "cost": None if prices is None else self._cost(prices),
        }

    def _cost(self, prices: Prices) -> dict[str, str | None]:
        """Show what the accepted messages cost. One without a known price costs nothing here."""
        millionths = sum(count * (prices.of(*place) or 0) for place, count in self.messages.items())
        total = Decimal(millionths) / 1_000_000
        shares = {
            "per_status_ok": sum(self.delivery[status] for status in _STATUS_OK),
            "per_confirmed": self.sends[_CONFIRMED],
            "per_approval": self.verifications[Ending.APPROVED],
        }
        return {
            "currency": prices.currency,
            "total": f"{total:.4f}",
            **{name: f"{total / share:.4f}" if share else None for name, share in shares.items()},
        }


@lru_cache(maxsize=16384)
def _meaning(name: str, part: Part) -> Sequence[tuple[str, Any]]:
    """List what a send in this state is counted as: the attribute of `Figures`, and the place there.

    Remembered, because hundreds of groups have the same states.
    """
    state = read_state(name)
    reason = state.reason(is_open=part.is_open)
    meaning: list[tuple[str, Any]] = [("delivery", state.delivery)]
    if reason is None:
        meaning += [("sends", _CONFIRMED), ("convert_slots", state.slot or 0)]
    else:
        meaning += [("sends", _CONFIRMED_LATE if state.is_late else state.delivery), ("unconverted", reason)]
    if part.is_first:
        meaning.append(("verifications", state.ending_at(is_open=part.is_open)))
    if state.error_code is not None or state.delivery in _FAILURES:
        meaning.append(("errors", state.error_code))
    if part.is_confirmable and state.is_accepted:
        ours = ["attempted", "status_ok" if state.delivery in _STATUS_OK else "errors"]
        ours += ["conversions"] if reason in (None, Reason.TOO_LATE) else []
        meaning += [("at_provider", counted_as) for counted_as in ours]
    return tuple(meaning)


def _quantiles(slots: Counter[int]) -> dict[str, float | int | None]:
    return {"count": slots.total(), **{name: quantile(slots, share) for name, share in _QUANTILES.items()}}


def _with_total(counts: Counter[str], names: Any) -> dict[str, int]:
    return {"total": counts.total(), **{name: counts[name] for name in map(str, names)}}


def _rate(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def _most_first(counts: Counter[Any]) -> list[tuple[Any, int]]:
    return sorted(((name, count) for name, count in counts.items() if count), key=lambda one: (-one[1], str(one[0])))
