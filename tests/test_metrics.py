"""The promises of `service.logs.event_log` and the metrics: listed fields only, and levels that fit."""

import json
import random
import re
from collections import Counter
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from service.logs import event_log as event_log_module
from service.logs.event_log import FIELDS, open_event_log, request_log_of
from service.metrics import metrics_text

ROOT = Path(__file__).parent.parent

GAUGES = {
    "otp_outbox_pending": 2, "otp_outbox_oldest_seconds": 1.5, "otp_outbox_failed": 0,
    "otp_confirming_halted": 1, "otp_confirming_worked": 0,
}  # fmt: skip


@pytest.fixture
def lines():
    """Return `lines`, a target for `open_event_log(to=lines)` that collects lines and alarms."""
    return Lines()


class Lines(list):
    """The parsed lines, and the events that came as alarms."""

    def __init__(self):
        super().__init__()
        self.alarms = []

    def __call__(self, line, is_alarm):
        assert line.endswith(b"\n")
        self.extend(json.loads(text) for text in line.splitlines())
        self.alarms += [self[-1]["event"]] if is_alarm else []


def test_an_event_is_one_line_of_json(lines):
    """Each event is one line with its name, level and UTC time, even when a value contains line breaks."""
    open_event_log(to=lines)("confirmation_failed", sid="SM1", reason="one\ntwo")
    [line] = lines
    assert (line["event"], line["level"], line["sid"], line["reason"]) == (
        "confirmation_failed", "warning", "SM1", "one\ntwo",
    )  # fmt: skip
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["timestamp"])


def test_a_field_that_is_not_listed_is_not_written(lines):
    """Numbers, codes, keys, tokens and bodies never reach a line, whatever a caller passes."""
    event_log = open_event_log(to=lines)
    event_log("request", to="+14155550123", code="123456", token="vt_x", body=b"b", exc_info=True, status=200)
    [line] = lines
    assert set(line) == {"event", "level", "timestamp", "status"}


def test_the_list_has_no_field_for_a_secret():
    """No listed field has the name of something that must not be logged."""
    assert not {"to", "number", "phone", "code", "key", "token", "body", "path", "url", "peer", "message"} & FIELDS


def test_a_field_without_a_value_is_left_out(lines):
    """None is left out; 0 and False are written."""
    open_event_log(to=lines)("request", verdict=None, duration_ms=0, enqueued=False)
    [line] = lines
    assert {name: line.get(name, "absent") for name in ("verdict", "duration_ms", "enqueued")} == {
        "verdict": "absent", "duration_ms": 0, "enqueued": False,
    }  # fmt: skip


@pytest.mark.parametrize(
    "fields",
    [{"route": "/v1", "enqueued": False}, {"route": "/v1", "verdict": None}, {"route": "/v1", "code": "123456"}],
)
def test_the_line_of_a_request_is_that_of_any_event(lines, fields):
    """The faster way to write `request` gives the same line: only listed fields that have a value, at level info."""
    event_log = open_event_log(to=lines)
    request_log_of(event_log)("ab", "GET", 200, 0.5, fields)
    event_log("request", request_id="ab", method="GET", status=200, duration_ms=0.5, **fields)
    one, other = ({name: value for name, value in line.items() if name != "timestamp"} for line in lines)
    assert one == other
    assert "123456" not in str(lines)
    request_log_of(open_event_log("warning", to=lines))("ab", "GET", 200, 0.5, fields)
    assert (len(lines), lines.alarms) == (2, [])


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ("debug", ["info", "warning", "error"]),
        ("info", ["info", "warning", "error"]),
        ("warning", ["warning", "error"]),
        ("error", ["error"]),
    ],
)
def test_the_level_decides_what_is_written(lines, level, expected):
    """Events below `OTP_LOG_LEVEL` are not written: halted confirmations are errors, failed ones warnings."""
    event_log = open_event_log(level, to=lines)
    for event in ("request", "confirmation_failed", "confirming_halted"):
        event_log(event)
    assert [line["level"] for line in lines] == expected


def test_warnings_and_errors_are_alarms(lines):
    """Warnings and errors are marked as alarms, which have more room than request lines when the pipe is full."""
    event_log = open_event_log(to=lines)
    for event in ("request", "confirmation_failed", "confirming_halted"):
        event_log(event)
    assert lines.alarms == ["confirmation_failed", "confirming_halted"]


def test_every_event_of_the_service_passes_listed_fields_only():
    """Each field that the service passes to the event log is on the list, so none is dropped unnoticed."""
    call = re.compile(r"(?<!open_)event_log\(\s*\"\w+\",?([^()]*(?:\([^()]*\)[^()]*)*)\)")
    calls = [
        (path.name, arguments)
        for path in (ROOT / "service").rglob("*.py")
        for arguments in call.findall(path.read_text("utf-8"))
    ]
    assert len(calls) > 30
    for module, arguments in calls:
        for name in re.findall(r"(?:^|[\s(,])(\w+)=(?!=)", arguments):
            assert name in FIELDS, f"{module}: {name}"


def test_every_event_with_a_level_is_written_somewhere():
    """Each event with a level of its own is written by the service, so that no alarm waits for a renamed event."""
    sources = "".join(path.read_text("utf-8") for path in (ROOT / "service").rglob("*.py") if path.stem != "event_log")
    named = set(re.findall(r"\"([a-z_]+)\"", sources))
    assert named >= set(event_log_module._LEVEL_OF)


def samples(totals, gauges=GAUGES):
    """Render the numbers and parse them as Prometheus does."""
    families = text_string_to_metric_families(metrics_text(Counter(totals), gauges).decode())
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def test_the_counters_become_four_families():
    """Checks have a label for the verdict, sends for event, country and channel, numbers for the event."""
    counted = {"approved:US:sms": 2, "approved:DE:sms": 1, "issued:US:sms": 4, "confirmation_failed:DE:sms": 1}
    totals = {**counted, "check:wrong_code": 1, "numbers:stopped": 2, "log:dropped": 7}
    assert samples(totals) == {
        ("otp_checks_total", "approved"): 3,
        ("otp_checks_total", "wrong_code"): 1,
        ("otp_sends_total", "sms", "US", "approved"): 2,
        ("otp_sends_total", "sms", "DE", "approved"): 1,
        ("otp_sends_total", "sms", "US", "issued"): 4,
        ("otp_sends_total", "sms", "DE", "confirmation_failed"): 1,
        ("otp_sends_total", "sms", "US", "confirmation_failed"): 0,
        ("otp_sends_total", "sms", "US", "refused"): 0,
        ("otp_sends_total", "sms", "DE", "refused"): 0,
        ("otp_numbers_total", "stopped"): 2,
        ("otp_store_errors_total", "not_replicated"): 0,
        ("otp_log_lines_dropped_total",): 7,
        **{(name,): value for name, value in GAUGES.items()},
    }


def test_waits_in_vain_begin_at_zero():
    """An alert waits for them, and it must not miss the first one."""
    counted = [samples(totals) for totals in ({}, {"store_error:not_replicated": 3})]
    assert [read[("otp_store_errors_total", "not_replicated")] for read in counted] == [0, 3]


def test_rare_events_begin_at_zero():
    """What alerts wait for is shown from the first send on: Prometheus sees no increase when a series begins at 1."""
    read = samples({"issued:US:voice": 1, "check:wrong_code": 1}, gauges={})
    sends = {key[1:]: value for key, value in read.items() if key[0] == "otp_sends_total"}
    zeros = {("voice", "US", event): 0 for event in ("approved", "confirmation_failed", "refused")}
    assert sends == {("voice", "US", "issued"): 1} | zeros


def test_times_become_histograms():
    """A time is in each bucket that is no less, and in the count; an event without a known time is an event too."""
    timed = {"delivered:US:sms:0": 1, "delivered:US:sms:5": 2, "read:US:sms:34": 1, "approved:DE:voice:7": 3}
    read = samples({**timed, "approved:DE:voice": 4, "read:US:sms": 5}, gauges={})
    name = "otp_time_to_deliver_seconds"
    buckets = {key[3]: value for key, value in read.items() if key[0] == f"{name}_bucket"}
    assert list(map(float, buckets)) == sorted(map(float, buckets))
    assert [buckets[end] for end in ("1.0", "4.0", "8.0", "65536.0", "+Inf")] == [1, 1, 3, 3, 4]
    assert read[(f"{name}_count", "sms", "US")] == 4
    assert read[(f"{name}_sum", "sms", "US")] == pytest.approx(0.5 + 2 * (4 + 2**2.5) / 2 + (2**16.5 + 2**17) / 2)
    assert read[("otp_time_to_convert_seconds_count", "voice", "DE")] == 3
    sends = {key[3]: value for key, value in read.items() if key[0] == "otp_sends_total" and value}
    assert sends == {"delivered": 3, "read": 6, "approved": 7}
    assert read[("otp_checks_total", "approved")] == 7


def test_no_series_falls_while_counters_grow():
    """Of two scrapes, the later one shows no smaller counter, bucket, count or sum."""
    chance, totals, before = random.Random(3), Counter(), {}
    for _ in range(60):
        totals[f"{chance.choice(('delivered', 'approved'))}:US:sms:{chance.randrange(35)}"] += chance.randrange(1, 9)
        now = samples(totals, gauges={})
        assert all(now[name] >= value for name, value in before.items())
        before = now


def test_a_gauge_may_have_a_label():
    """Waiting steps are one family with a label: what follows the colon of a name is the value of the label."""
    waiting = {"otp_retries_waiting:attach_sid": 3, "otp_retries_waiting:another": 0}
    read = samples({}, gauges=waiting)
    assert read == {
        ("otp_checks_total", "approved"): 0,
        ("otp_store_errors_total", "not_replicated"): 0,
        ("otp_log_lines_dropped_total",): 0,
        ("otp_retries_waiting", "attach_sid"): 3,
        ("otp_retries_waiting", "another"): 0,
    }
    assert metrics_text(Counter(), waiting).count(b"# TYPE otp_retries_waiting gauge") == 1


def test_metrics_are_complete_before_the_first_send():
    """Before the first send the text is complete and has the gauges."""
    counters = {("otp_checks_total", "approved"), ("otp_store_errors_total", "not_replicated")}
    nothing = dict.fromkeys([*counters, ("otp_log_lines_dropped_total",)], 0)
    assert samples({}) == nothing | {(name,): value for name, value in GAUGES.items()}


def test_an_unknown_counter_is_left_out():
    """A counter with an unknown name is left out, and special characters in labels are escaped."""
    read = samples({"odd": 1, "a:b:c:d": 1, 'issued:"\n\\:sms': 2})
    assert read[("otp_sends_total", "sms", '"\n\\', "issued")] == 2
    assert len(read) == 7 + len(GAUGES)
