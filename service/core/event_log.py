"""What the rules need from the event log. `service.logs.event_log` implements it."""

from collections.abc import Callable, Mapping
from typing import Protocol, TypeAlias

LogValue: TypeAlias = str | int | float | None  # a field that is None is left out
# Writes the event `request`: its id, method, status, duration in milliseconds, and other fields.
RequestLog: TypeAlias = Callable[[str, str, int, float, Mapping[str, LogValue]], None]


class EventLog(Protocol):
    """Writes one event with its fields; what is not on the list of known fields is not written."""

    def __call__(self, event: str, /, **fields: LogValue) -> None:
        """Write an event named like an identifier, such as `confirmation_settled`."""
