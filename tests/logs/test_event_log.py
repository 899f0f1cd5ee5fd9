"""The promises of `service.logs.event_log`: one JSON line for an event, and no text that could hold a secret."""

import json
from dataclasses import dataclass
from enum import StrEnum

import pytest

from service.logs.event_log import open_event_log


class Colour(StrEnum):
    """A text with a name, as most values of events are."""

    RED = "red"


@dataclass
class Person:
    """An object that holds a number."""

    number: str


def line_of(**fields):
    """Write one event; return its line as JSON."""
    lines = []
    open_event_log(to=lambda line, _: lines.append(line))("request", **fields)
    [line] = lines
    assert line.endswith(b"\n")
    return json.loads(line)


def test_texts_and_numbers_are_written_as_they_are():
    """Texts, numbers and truth values are written; None and unknown fields are left out."""
    line = line_of(route="/é\n", status=200, duration_ms=0.25, enqueued=True, verdict=Colour.RED, reason=None, code="1")
    del line["timestamp"]
    assert line == {
        "event": "request", "level": "info", "route": "/é\n", "status": 200, "duration_ms": 0.25, "enqueued": True,
        "verdict": "red",
    }  # fmt: skip


@pytest.mark.parametrize("value", [Person("+14155550123"), ValueError("+14155550123"), b"+14155550123"])
def test_a_value_of_another_type_is_never_written(value):
    """It is a programming fault, so the line has the name of its type: no text, and no exception in a request."""
    line = line_of(reason=value)
    assert line["reason"] == f"<{type(value).__name__}>"
    assert "4155550123" not in json.dumps(line)
