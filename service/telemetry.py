"""Telemetry: one JSON line per event with allow-listed fields, and the text of /metrics.

A field that is not on the list is not written, whatever a caller passes: numbers, codes, keys and
tokens have no way into a line. Business counters are read from Redis at each scrape, so that they
are the same whichever worker answers.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector, CollectorRegistry
from pydantic_core import to_json

from service.core.ports import Journal
from service.log_writer import writer_to

FIELDS = frozenset(
    {
        "event", "level", "timestamp",
        "request_id", "method", "route", "status", "duration_ms", "problem", "api_key",
        "verification_id", "send", "sid", "delivery", "error_code", "verdict", "reason", "limit", "replayed",
        "owes", "tries", "waited_ms", "delay_ms", "pid", "version", "exception", "where",
        "logger", "lines",
        "operation", "operator", "number_tag", "outcome", "connections", "descriptors",
    }
)  # fmt: skip
_LEVELS = ("info", "warning", "error")
# What an operator should be woken for, and what deserves a look; everything else is `info`.
_LEVEL_OF = {
    "sending_halted": "error",
    "confirming_halted": "error",
    "worker_fault": "error",
    "unexpected_error": "error",
    "sid_not_attached": "error",
    "sid_attached_later": "warning",
    "confirmation_fault": "error",
    "service_failed": "error",
    "uncaught_exception": "error",
    "library_error": "error",
    "library_warning": "warning",
    "confirmation_dead": "warning",
    "answer_not_kept": "warning",
    "idempotency_key_not_released": "warning",
    "send_not_taken_back": "warning",
    "send_unknown": "warning",
    "send_postponed": "warning",
    "test_numbers_set": "warning",
    "connections_at_limit": "warning",
    "few_descriptors": "warning",
    "process_lost": "warning",
    "process_hung": "error",
    "reload_failed": "error",
    "lookup_failed": "warning",
    "lost_message_not_found": "warning",
    "worker_waits_for_store": "warning",
    "store_clock_stepped_back": "warning",
    "append_only_file_cut": "warning",
}


def open_journal(level: str = "info", *, to: Callable[[bytes, bool], object] | None = None) -> Journal:
    """Return the way to write events, to standard output or elsewhere; quiet the libraries that log requests.

    `to` gets each line, and whether it is more than `info`. Nobody waits for standard output: `log_writer` says how.
    No logging library: every request comes by here, and one dictionary made into one line is all there is to do.
    """
    logging.getLogger("twilio").setLevel(logging.WARNING)
    add = log_to(1) if to is None else to
    levels = _LEVELS[_LEVELS.index("info" if level == "debug" else level) :]

    def write(event: str, /, **fields: object) -> None:
        level = _LEVEL_OF.get(event, "info")
        if level in levels:
            if None in fields.values() or not fields.keys() <= FIELDS:
                fields = {name: value for name, value in fields.items() if value is not None and name in FIELDS}
            add(_line(event, level, fields), level != "info")

    return write


def log_to(descriptor: int) -> Callable[[bytes, bool], None]:
    """Give the way of lines to a descriptor; where lines had to be dropped, one says how many."""
    writer = writer_to(descriptor)
    writer.notice = lambda count: _line("log_lines_dropped", "warning", {"lines": count})
    return writer.add


def _line(event: str, level: str, fields: Mapping[str, object]) -> bytes:
    return to_json({"event": event, "level": level, "timestamp": _now(), **fields}) + b"\n"


def _now() -> str:
    seconds, microseconds = divmod(time.time_ns() // 1000, 1_000_000)
    return f"{_second(seconds)}.{microseconds:06d}Z"


@lru_cache(maxsize=2)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


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
    "otp_owed": "Confirmations that Twilio has not accepted yet.",
    "otp_owed_oldest_seconds": "How long the oldest confirmation has been owed; an estimate above 100 a partition.",
    "otp_awaiting_sid": "Confirmations of typed codes that wait for the SID of their message.",
    "otp_dead": "Confirmations given up in the last 14 days.",
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
