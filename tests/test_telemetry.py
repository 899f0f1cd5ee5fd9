"""The promises of `service.telemetry`: listed fields only, levels that wake the right people, a harmless log."""

import asyncio
import io
import json
import re
from collections import Counter
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from service import telemetry
from service.telemetry import FIELDS, metrics_text, open_journal

ROOT = Path(__file__).parent.parent

GAUGES = {
    "otp_owed": 2, "otp_owed_oldest_seconds": 1.5, "otp_dead": 0,
    "otp_confirming_halted": 1, "otp_confirming_worked": 0,
}  # fmt: skip


def written(capsys):
    """Read the lines that were written."""
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_an_event_is_one_line_of_json(capsys):
    """Each event is one line with its name, level and UTC time, even when a value has line breaks."""
    open_journal()("confirmation_dead", sid="SM1", reason="one\ntwo")
    [line] = written(capsys)
    assert (line["event"], line["level"], line["sid"], line["reason"]) == (
        "confirmation_dead", "warning", "SM1", "one\ntwo",
    )  # fmt: skip
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", line["timestamp"])


def test_a_field_that_is_not_listed_is_not_written(capsys):
    """Whatever a caller passes, numbers, codes, keys, tokens and bodies have no way into a line."""
    open_journal()("request", to="+14155550123", code="123456", token="vt_x", body=b"b", exc_info=True, status=200)
    [line] = written(capsys)
    assert set(line) == {"event", "level", "timestamp", "status"}


def test_the_list_has_no_field_for_a_secret():
    """No listed field is called like something that must not be logged."""
    assert not {"to", "number", "phone", "code", "key", "token", "body", "path", "url", "peer", "message"} & FIELDS


def test_a_field_without_a_value_is_left_out(capsys):
    """None says nothing, so it is not written; 0 and False are."""
    open_journal()("request", verdict=None, duration_ms=0, owes=False)
    [line] = written(capsys)
    assert {name: line.get(name, "absent") for name in ("verdict", "duration_ms", "owes")} == {
        "verdict": "absent", "duration_ms": 0, "owes": False,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ("debug", ["info", "warning", "error"]),
        ("info", ["info", "warning", "error"]),
        ("warning", ["warning", "error"]),
        ("error", ["error"]),
    ],
)
def test_the_level_decides_what_is_written(capsys, level, expected):
    """Below `OTP_LOG_LEVEL` nothing is written: halted confirmations are errors, buried ones warnings."""
    journal = open_journal(level)
    for event in ("request", "confirmation_dead", "confirming_halted"):
        journal(event)
    assert [line["level"] for line in written(capsys)] == expected


def test_a_log_that_cannot_be_written_stops_nothing(monkeypatch):
    """With its reader gone the log is lost, and the work that it speaks of goes on."""

    class Broken(io.StringIO):
        def write(self, _):
            raise BrokenPipeError

    monkeypatch.setattr("sys.stdout", Broken())
    assert open_journal()("confirmation_settled", sid="SM1") is None


class Writes(io.StringIO):
    """A stream that keeps each write apart."""

    def __init__(self):
        super().__init__()
        self.all = []

    def write(self, text):
        self.all.append([json.loads(line)["sid"] for line in text.splitlines()])
        return len(text)


async def test_lines_of_one_turn_are_one_write_in_their_order():
    """What happens in one turn of the event loop is written at its end, in order, and the next turn apart from it."""
    stream = Writes()
    journal = open_journal(to=stream)
    journal("confirmation_settled", sid="SM1")
    journal("confirmation_settled", sid="SM2")
    assert stream.all == []
    await asyncio.sleep(0)
    journal("confirmation_settled", sid="SM3")
    await asyncio.sleep(0)
    assert stream.all == [["SM1", "SM2"], ["SM3"]]


def test_without_a_loop_each_line_is_written_at_once():
    """A command that ends after its line has written it."""
    stream = Writes()
    open_journal(to=stream)("confirmation_settled", sid="SM1")
    assert stream.all == [["SM1"]]


def test_every_event_of_the_service_passes_listed_fields_only():
    """Each field that the service's own calls pass to the journal is on the list, so none is lost unseen."""
    for path in (ROOT / "service").rglob("*.py"):
        for call in re.findall(
            r"[_.]?journal\(\s*\n?\s*\"\w+\",?([^()]*(?:\([^()]*\)[^()]*)*)\)", path.read_text("utf-8")
        ):
            for name in re.findall(r"(?:^|[\s(,])(\w+)=(?!=)", call):
                assert name in FIELDS, f"{path.name}: {name}"


def test_every_event_that_wakes_somebody_is_written_somewhere():
    """Each event with a level of its own is written by the service, so that no alarm waits for a name of the past."""
    sources = "".join(path.read_text("utf-8") for path in (ROOT / "service").rglob("*.py") if path.stem != "telemetry")
    named = set(re.findall(r"\"([a-z_]+)\"", sources))
    assert named >= set(telemetry._LEVEL_OF)


def samples(totals, gauges=GAUGES):
    """Write the numbers and read them back as Prometheus does."""
    families = text_string_to_metric_families(metrics_text(Counter(totals), gauges).decode())
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def test_the_counters_of_the_scripts_become_three_families():
    """Checks are told apart by verdict, sends by event, country and channel, numbers by event; gauges stand beside."""
    counted = {"approved:US:sms": 2, "approved:DE:sms": 1, "issued:US:sms": 4, "dead:DE:sms": 1}
    totals = {**counted, "check:wrong_code": 1, "numbers:stopped": 2}
    assert samples(totals) == {
        ("otp_checks_total", "approved"): 3,
        ("otp_checks_total", "wrong_code"): 1,
        ("otp_sends_total", "sms", "US", "approved"): 2,
        ("otp_sends_total", "sms", "DE", "approved"): 1,
        ("otp_sends_total", "sms", "US", "issued"): 4,
        ("otp_sends_total", "sms", "DE", "dead"): 1,
        ("otp_numbers_total", "stopped"): 2,
        **{(name,): value for name, value in GAUGES.items()},
    }


def test_a_gauge_may_have_a_label():
    """Steps that wait for Redis are one family, told apart by step; a name after a colon is the value of the label."""
    waiting = {"otp_retries_waiting:attach_sid": 3, "otp_retries_waiting:another": 0}
    read = samples({}, gauges=waiting)
    assert read == {
        ("otp_checks_total", "approved"): 0,
        ("otp_retries_waiting", "attach_sid"): 3,
        ("otp_retries_waiting", "another"): 0,
    }
    assert metrics_text(Counter(), waiting).count(b"# TYPE otp_retries_waiting gauge") == 1


def test_no_number_yet_is_no_fault():
    """Before the first send the text is whole and has the gauges."""
    assert samples({}) == {("otp_checks_total", "approved"): 0, **{(name,): value for name, value in GAUGES.items()}}


def test_a_counter_of_another_form_is_left_out():
    """A name that is neither a check nor a send breaks no scrape, and odd characters in labels are escaped."""
    read = samples({"odd": 1, "a:b:c:d": 1, 'issued:"\n\\:sms': 2})
    assert read[("otp_sends_total", "sms", '"\n\\', "issued")] == 2
    assert len(read) == 2 + len(GAUGES)
