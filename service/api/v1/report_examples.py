"""Examples of the reports, for the OpenAPI document; `examples` has the others."""

from service.api.v1.readiness_examples import Example
from service.core.reports.counters import HOUR_MS, Labels, State, read_state
from service.core.reports.figures import Figures
from service.core.reports.question import Grouping, Question
from service.core.reports.report import Report
from service.core.reports.sums import Sums
from service.core.reports.unconverted import UnconvertedSend

_NOW_MS = 1_795_873_380_000
_LABELS = Labels("US", "sms", "+15005550006", "login", "code", 1)
_COUNTERS = {"n": 100, "3d.c8.a": 60, "3d.c10.a": 24, "3d.-.p": 7, "3d.w.m": 2, "2s.-.p": 3, "3u30003.-.p": 4, "t4": 93}
_UNDELIVERED: State = read_state("3u30003.-.p")


def report_examples() -> dict[str, dict[str, Example]]:
    """Return the responses by operation id and name."""
    sums = Sums()
    sums.add(_LABELS, _COUNTERS, is_open=False)
    figures = Figures(sums)
    end_ms = -(-_NOW_MS // HOUR_MS) * HOUR_MS
    question = Question(end_ms - 24 * HOUR_MS, end_ms, group_by=(Grouping.COUNTRY,))
    report = Report(question, _NOW_MS, figures, {("US",): figures})
    send = UnconvertedSend("ve_3f0917cf2a8b4c5d9e6f7a8b9c0d1e2f", _NOW_MS - 700_000, _LABELS, _UNDELIVERED)
    return {
        "readConversion": {"countries": Example("A day, by country", report.json())},
        "readConversion as a table": {"countries": Example("A day, by country, as a table", report.csv())},
        "listUnconverted": {"undelivered": Example("One that was not delivered", {"sends": [send.json()]})},
    }
