"""The event log: one JSON line per event, with allow-listed fields only.

Any other field is dropped, whatever the caller passes, so no number, code, key or token can reach the log. A value that
is no `LogValue` is a programming fault, which mypy finds. If one gets through, the line has the name of its type.
"""

import logging
import time
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from functools import lru_cache

import orjson

from service.core.event_log import EventLog, LogValue, RequestLog
from service.logs.writer import writer_to

FIELDS = frozenset(
    {
        "event", "level", "timestamp",
        "request_id", "method", "route", "status", "duration_ms", "problem", "api_key",
        "verification_id", "send", "channel", "sid", "delivery", "error_code", "verdict", "reason", "limit", "replayed",
        "enqueued", "tries", "waited_ms", "delay_ms", "pid", "version", "exception", "where",
        "logger", "lines",
        "operation", "operator", "number_tag", "outcome", "connections", "descriptors",
        "command", "address", "processes", "redis", "twilio_account", "twilio_url", "sender", "worker",
    }
)  # fmt: skip
# A dataclass is a value that no event may have.
_OPTIONS = orjson.OPT_APPEND_NEWLINE | orjson.OPT_PASSTHROUGH_DATACLASS
_LEVELS = ("info", "warning", "error")
_MILLISECONDS = [f".{number:03d}Z" for number in range(1000)]  # to look one up takes a fifth of the time
# `error`: an operator must act now; `warning`: an operator should look. All other events are `info`.
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
    "confirmation_failed": "warning",
    "answer_not_kept": "warning",
    "idempotency_key_not_released": "warning",
    "send_not_taken_back": "warning",
    "send_unknown": "warning",
    "send_postponed": "warning",
    "test_numbers_set": "warning",
    "callback_refused": "warning",
    "connections_at_limit": "warning",
    "few_descriptors": "warning",
    "event_loop_late": "warning",
    "process_lost": "warning",
    "start_failed": "error",
    "process_hung": "error",
    "reload_failed": "error",
    "lookup_failed": "warning",
    "lost_message_not_found": "warning",
    "worker_waits_for_store": "warning",
    "worker_continues": "warning",  # as the line that it ends
    "replication_wait_failed": "warning",
    "replication_wait_works": "warning",  # likewise
    "store_clock_stepped_back": "warning",
    "append_only_file_cut": "warning",
    "dashboard_action": "warning",  # so that it is written at the default level, and dropped last
}


class JsonEventLog:
    """Writes each event as a line of JSON. No logging library is used: `request` runs for every request."""

    def __init__(self, add: Callable[[bytes, bool], object], levels: Collection[str]) -> None:
        self._add = add
        self._levels = levels
        self._writes_requests = "info" in levels

    def __call__(self, event: str, /, **fields: LogValue) -> None:
        """Write an event."""
        level = _LEVEL_OF.get(event, "info")
        if level in self._levels:
            self._add(_line(event, level, _listed(fields)), level != "info")

    def request(
        self, request_id: str, method: str, status: int, duration_ms: float, fields: Mapping[str, LogValue]
    ) -> None:
        """Write the event `request`. This path takes half the time of the other one."""
        if self._writes_requests:
            is_listed = FIELDS.issuperset(fields) and None not in fields.values()
            line = {
                "event": "request",
                "level": "info",
                "timestamp": _now(),
                "request_id": request_id,
                "method": method,
                "status": status,
                "duration_ms": duration_ms,
                **(fields if is_listed else _listed(fields)),
            }
            self._add(_as_json(line), False)


def request_log_of(event_log: EventLog) -> RequestLog:
    """Return what writes the event `request` to an event log."""
    if isinstance(event_log, JsonEventLog):
        return event_log.request
    return lambda request_id, method, status, duration_ms, fields: event_log(
        "request", request_id=request_id, method=method, status=status, duration_ms=duration_ms, **fields
    )


def open_event_log(level: str = "info", *, to: Callable[[bytes, bool], object] | None = None) -> EventLog:
    """Return an event log that writes to standard output or to `to`; quiet libraries that log requests.

    `to` gets each line, and whether its level is above `info`. By default `logs.writer` writes the lines without
    blocking.
    """
    logging.getLogger("twilio").setLevel(logging.WARNING)
    levels = _LEVELS[_LEVELS.index("info" if level == "debug" else level) :]
    return JsonEventLog(log_to(1) if to is None else to, levels)


def log_to(descriptor: int) -> Callable[[bytes, bool], None]:
    """Return the function that queues lines for a descriptor; if lines are dropped, the log says how many."""
    writer = writer_to(descriptor)
    writer.notice = lambda count: _line("log_lines_dropped", "warning", {"lines": count})
    return writer.add


def _listed(fields: Mapping[str, LogValue]) -> dict[str, LogValue]:
    """Drop what has no value or is not on the list."""
    return {name: value for name, value in fields.items() if value is not None and name in FIELDS}


def _line(event: str, level: str, fields: Mapping[str, LogValue]) -> bytes:
    return _as_json({"event": event, "level": level, "timestamp": _now(), **fields})


def _as_json(line: Mapping[str, LogValue]) -> bytes:
    return orjson.dumps(line, _type_of, _OPTIONS)


def _type_of(value: object) -> str:
    """Write the type of a value that no event may have. Its text may hold a secret; and no request fails for a line."""
    return f"<{type(value).__name__}>"


def _now() -> str:
    seconds, milliseconds = divmod(time.time_ns() // 1_000_000, 1000)
    return _second(seconds) + _MILLISECONDS[milliseconds]


@lru_cache(maxsize=2)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
