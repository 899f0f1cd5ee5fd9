"""The text of /metrics.

Business counters are read from Redis at each scrape, so they are the same whichever worker answers.
"""

from collections import Counter
from collections.abc import Iterable, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector, CollectorRegistry


def metrics_text(totals: Counter[str] | None, gauges: Mapping[str, float]) -> bytes:
    """Write counters, unless they are unknown, and gauges in the Prometheus text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Snapshot(totals, gauges))
    return generate_latest(registry)


class _Snapshot(Collector):
    """One reading of the counters, in the shape the library asks for."""

    def __init__(self, totals: Counter[str] | None, gauges: Mapping[str, float]) -> None:
        self._totals = totals
        self._gauges = gauges

    def collect(self) -> Iterable[Metric]:
        """Give the counters, unless they are unknown, and pass the gauges on."""
        if self._totals is not None:
            yield from self._counter_families(self._totals)
        yield from self._gauge_families()

    def _counter_families(self, totals: Counter[str]) -> Iterable[Metric]:
        """Group the counters by what stands before the first colon; sends are `<event>:<country>:<channel>`.

        Approvals are counted by country and channel alone: their sum is the verdict's count.
        """
        checks = CounterMetricFamily("otp_checks", "Checks by verdict.", labels=["verdict"])
        events = CounterMetricFamily(
            "otp_sends",
            "Sends by what became of them: issued, resent, accepted, sent, delivered, approved, confirmed, …",
            labels=["event", "country", "channel"],
        )
        dropped = CounterMetricFamily(
            "otp_log_lines_dropped", "Log lines that could not be written, or that nobody read in time."
        )
        dropped.add_metric([], totals["log:dropped"])
        numbers = CounterMetricFamily("otp_numbers", "Numbers by what befell them: stopped.", labels=["event"])
        lookups = CounterMetricFamily(
            "otp_lookups", "Looks at Twilio for lost messages: found, not_found, failed.", labels=["outcome"]
        )
        errors = CounterMetricFamily("otp_store_errors", "Calls to Redis that failed, by cause.", labels=["cause"])
        for name, value in sorted(totals.items()):
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
        """Group the gauges, called `<name>` or `<name>:<value of its label>`."""
        families: dict[str, GaugeMetricFamily] = {}
        for name, reading in self._gauges.items():
            family, _, label = name.partition(":")
            if family not in families:
                families[family] = GaugeMetricFamily(family, _GAUGES[family], labels=_GAUGE_LABELS.get(family))
            families[family].add_metric([label] if label else [], reading)
        return families.values()


_GAUGES = {
    "otp_outbox_pending": "Confirmations that Twilio has not accepted yet.",
    "otp_outbox_oldest_seconds": "How long the oldest confirmation has been pending; estimated above 100 a partition.",
    "otp_awaiting_sid": "Confirmations of typed codes that wait for the SID of their message.",
    "otp_outbox_failed": "Confirmations given up in the last 14 days.",
    "otp_sending_halted": "1 while the process that answers hands Twilio no message: it fails or refuses us.",
    "otp_confirming_halted": "1 while only probes are posted: Twilio refuses the credentials, or many in a row failed.",
    "otp_confirming_worked": "1 while some worker is alive.",
    "otp_retries_waiting": "Steps at Redis that have failed and that the process that answers tries again.",
    "otp_partitions_unavailable": "Partitions of 16 where this process could write no issue and check, by cause.",
    "otp_store_errors_unwritten": "Failed calls of this process that otp_store_errors does not hold yet, by cause.",
}
_GAUGE_LABELS = {
    "otp_retries_waiting": ["step"],
    "otp_partitions_unavailable": ["cause"],
    "otp_store_errors_unwritten": ["cause"],
}
