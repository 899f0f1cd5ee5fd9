"""Renders /metrics.

The counters are read from Redis at each scrape, so every process returns the same values. The histograms are made of
counters too: the scripts count each delivery and each approval by the slot of the time that it took.
"""

from collections import Counter
from collections.abc import Iterable, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector, CollectorRegistry

from service.core.reports.slots import cumulative, estimated_sum, longest_seconds


def metrics_text(totals: Counter[str] | None, gauges: Mapping[str, float]) -> bytes:
    """Render gauges, and counters unless they are unknown, in the Prometheus text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Snapshot(totals, gauges))
    return generate_latest(registry)


class _Snapshot(Collector):
    """The values of one scrape, as a collector of prometheus_client."""

    def __init__(self, totals: Counter[str] | None, gauges: Mapping[str, float]) -> None:
        self._totals = totals
        self._gauges = gauges

    def collect(self) -> Iterable[Metric]:
        """Yield the gauges, and the counters unless they are unknown."""
        if self._totals is not None:
            yield from self._counter_families(self._totals)
            yield from _histograms(self._totals)
        yield from self._gauge_families()

    def _counter_families(self, totals: Counter[str]) -> Iterable[Metric]:
        """Group the counters by the part before the first colon; sends are `<event>:<country>:<channel>[:<slot>]`.

        Approvals are only counted by country and channel. Their sum is the count of the verdict `approved`.
        """
        checks = CounterMetricFamily("otp_checks", "Checks by verdict.", labels=["verdict"])
        events = CounterMetricFamily(
            "otp_sends",
            "Sends by event: issued, resent, fallback, accepted, sent, delivered, rcs, approved, confirmed, …",
            labels=["event", "country", "channel"],
        )
        dropped = CounterMetricFamily(
            "otp_log_lines_dropped", "Log lines dropped because they could not be written, or not fast enough."
        )
        dropped.add_metric([], totals["log:dropped"])
        numbers = CounterMetricFamily("otp_numbers", "Numbers by event: stopped.", labels=["event"])
        lookups = CounterMetricFamily(
            "otp_lookups", "Searches of Twilio for lost messages: found, not_found, failed.", labels=["outcome"]
        )
        errors = CounterMetricFamily("otp_store_errors", "Failed calls to Redis, by cause.", labels=["cause"])
        for name, value in sorted(with_zeros(without_slots(totals)).items()):
            match name.split(":"):
                case ["check", verdict]:
                    checks.add_metric([verdict], value)
                case ["numbers", event]:
                    numbers.add_metric([event], value)
                case ["lookup", outcome]:
                    lookups.add_metric([outcome], value)
                case ["store_error", cause]:
                    errors.add_metric([cause], value)
                case [event, country, channel]:
                    events.add_metric([event, country, channel], value)
        approved = sum(value for name, value in totals.items() if name.startswith("approved:"))
        checks.add_metric(["approved"], approved)
        yield checks
        yield events
        yield numbers
        yield lookups
        yield errors
        yield dropped

    def _gauge_families(self) -> Iterable[Metric]:
        """Group the gauges, which are named `<name>` or `<name>:<value of its label>`."""
        families: dict[str, GaugeMetricFamily] = {}
        for name, reading in self._gauges.items():
            family, _, label = name.partition(":")
            if family not in families:
                families[family] = GaugeMetricFamily(family, _GAUGES[family], labels=_GAUGE_LABELS.get(family))
            families[family].add_metric([label] if label else [], reading)
        return families.values()


def without_slots(totals: Mapping[str, int]) -> Counter[str]:
    """Count the events, however long they took."""
    sums: Counter[str] = Counter()
    for name, value in totals.items():
        without_slot, _, slot = name.rpartition(":")
        sums[without_slot if slot.isdigit() else name] += value
    return sums


def with_zeros(totals: Mapping[str, int]) -> dict[str, int]:
    """Add the events of which the rules want the first one too: Prometheus sees no increase when a series begins."""
    places = {name.partition(":")[2] for name in totals if name.count(":") == 2}  # noqa: PLR2004 - country and channel
    zeros = {f"{event}:{place}": 0 for event in _FROM_ZERO for place in places}
    return {_NOT_REPLICATED: 0} | zeros | dict(totals)


def _histograms(totals: Mapping[str, int]) -> Iterable[HistogramMetricFamily]:
    """Add up the slots of each event, country and channel to the buckets of Prometheus.

    What an earlier version counted has no slot, nor have the approvals of test numbers: they are in no histogram.
    """
    slots: dict[str, dict[tuple[str, str], Counter[int]]] = {name: {} for name in _HISTOGRAMS}
    for name, value in totals.items():
        match name.split(":"):
            case [event, country, channel, slot] if event in _TIMED and slot.isdigit():
                slots[_TIMED[event]].setdefault((country, channel), Counter())[int(slot)] += value
    for name, help_text in _HISTOGRAMS.items():
        family = HistogramMetricFamily(name, help_text, labels=["country", "channel"])
        for place, counted in sorted(slots[name].items()):
            ends = zip(map(longest_seconds, _BOUNDS), cumulative(counted, _BOUNDS), strict=True)
            buckets = [*((str(end), count) for end, count in ends), ("+Inf", counted.total())]
            family.add_metric(place, buckets, estimated_sum(counted))
        yield family


_NOT_REPLICATED = "store_error:not_replicated"
_FROM_ZERO = ("approved", "confirmation_failed", "refused")
_BOUNDS = (*range(0, 20, 2), 20, 24, 28, 32)  # slots: whole seconds, from 1 to 1024, then up to 65536
_TO_DELIVER, _TO_CONVERT = "otp_time_to_deliver_seconds", "otp_time_to_convert_seconds"
_TIMED = {"delivered": _TO_DELIVER, "read": _TO_DELIVER, "approved": _TO_CONVERT}
_HISTOGRAMS = {
    _TO_DELIVER: "From a send to Twilio's word that it arrived. The sum is an estimate.",
    _TO_CONVERT: "From a send to the approval of its secret. The sum is an estimate.",
}
_GAUGES = {
    "otp_outbox_pending": "Confirmations that Twilio has not accepted yet.",
    "otp_outbox_oldest_seconds": "Age of the oldest pending confirmation; an estimate above 100 per partition.",
    "otp_awaiting_sid": "Confirmations of typed codes that wait for the SID of their message.",
    "otp_outbox_failed": "Confirmations that failed in the last 14 days.",
    "otp_budget": "What may be spent within 24 hours (OTP_BUDGET_DAY), in the currency of OTP_PRICES.",
    "otp_budget_used": "What the sends of the last 24 hours cost, by OTP_PRICES.",
    "otp_sending_halted": "1 while this process sends nothing: Twilio fails, or refuses the credentials.",
    "otp_event_loop_lag_seconds": "How late this process ran what was due, at most, within the last minute.",
    "otp_replication_wait_seconds": "How long this process waited for replicas, at most, within the last minute.",
    "otp_confirming_halted": "1 while the worker only probes: Twilio refuses the credentials, or many posts failed.",
    "otp_confirming_worked": "1 if a worker was alive within the last minute.",
    "otp_retries_waiting": "Writes to Redis that failed and that this process retries.",
    "otp_partitions_unavailable": "Partitions, of 16, where this process could not write, by cause.",
    "otp_store_errors_unwritten": "Failed calls of this process that are not yet in otp_store_errors, by cause.",
}
_GAUGE_LABELS = {
    "otp_budget": ["currency"],
    "otp_budget_used": ["currency"],
    "otp_retries_waiting": ["step"],
    "otp_partitions_unavailable": ["cause"],
    "otp_store_errors_unwritten": ["cause"],
}
