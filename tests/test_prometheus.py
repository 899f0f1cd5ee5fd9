"""The promises of `deploy/prometheus` and `deploy/grafana`: rules fire when they should, and name what exists.

The rules run in Prometheus' own `promtool`, which also parses each query of the Grafana dashboard.
"""

import json
import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from service.metrics import _GAUGE_LABELS, _GAUGES, metrics_text
from tests.absent import absent
from tests.documents import anchors

ROOT = Path(__file__).parent.parent
RULES = ROOT / "deploy" / "prometheus"
DASHBOARD = json.loads((ROOT / "deploy" / "grafana" / "otp-service.json").read_text("utf-8"))
COUNTED = {
    "issued:US:sms": 1, "check:wrong_code": 1, "numbers:stopped": 1, "lookup:found": 1, "store_error:refused": 1,
    "delivered:US:sms:4": 1, "approved:US:sms:6": 1,
}  # fmt: skip
METRIC = re.compile(r"\b(?:[a-z0-9_]+:)*otp_[a-z0-9_]+(?::[a-z0-9_]+)*\b")


def rules(name):
    """Return the rules of a file."""
    return [rule for group in yaml.safe_load((RULES / name).read_text("utf-8"))["groups"] for rule in group["rules"]]


def shown():
    """Return the names of all series that the service shows."""
    gauges = {f"{name}:x" if name in _GAUGE_LABELS else name: 1 for name in _GAUGES}
    text = metrics_text(Counter(COUNTED), gauges).decode()
    return {sample.name for family in text_string_to_metric_families(text) for sample in family.samples}


def queries():
    """Return the queries of the dashboard's panels, with its variables replaced."""
    found = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
    values = {"$__rate_interval": "5m", "$__range": "1d", "$job": "otp", "$country": ".*", "$channel": ".*"}
    for variable, value in values.items():
        found = [expr.replace(variable, value) for expr in found]
    return found


def promtool(*words, folder):
    """Run promtool in a folder; return what it printed if it found a fault, else None."""
    program = shutil.which("promtool")
    if program is None:
        absent("there is no promtool here; on Debian: apt-get install prometheus")
    told = subprocess.run(
        [program, *words], cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )  # fmt: skip
    return None if told.returncode == 0 else told.stdout + told.stderr


@pytest.fixture
def folder(tmp_path):
    """Return a folder with the rules, their tests, and the queries of the dashboard as rules."""
    for path in (*RULES.glob("*.yml"), ROOT / "tests" / "prometheus" / "alerts_test.yml"):
        shutil.copy(path, tmp_path)
    group = {"name": "dashboard", "rules": [{"record": "otp:query", "expr": expr} for expr in queries()]}
    # A record must be unique, so each query gets a label of its own.
    for number, rule in enumerate(group["rules"]):
        rule["labels"] = {"query": str(number)}
    (tmp_path / "queries.yml").write_text(yaml.safe_dump({"groups": [group]}), "utf-8")
    return tmp_path


def test_the_alerts_fire_when_they_should(folder):
    """A broken route, lost confirmations, a stopped worker and the others fire, and usual traffic does not."""
    assert promtool("check", "rules", "rules.yml", "alerts.yml", "queries.yml", folder=folder) is None
    assert promtool("test", "rules", "alerts_test.yml", folder=folder) is None


def test_a_wrong_rule_would_be_noticed(folder):
    """An alert with another threshold fails its test."""
    text = (folder / "alerts.yml").read_text("utf-8")
    (folder / "alerts.yml").write_text(text.replace("> 1.6 and", "> 3 and"), "utf-8")
    assert "OtpManySendsPerApproval" in promtool("test", "rules", "alerts_test.yml", folder=folder)


def test_every_alert_is_complete_and_tested():
    """Each alert has a severity, a summary, a heading in docs/operations.md, and a test in which it fires."""
    alerts, headings = rules("alerts.yml"), anchors(ROOT / "docs" / "operations.md")
    tests = yaml.safe_load((ROOT / "tests" / "prometheus" / "alerts_test.yml").read_text("utf-8"))["tests"]
    firing = {case["alertname"] for test in tests for case in test["alert_rule_test"] if case["exp_alerts"]}
    assert {alert["alert"] for alert in alerts} == firing
    for alert in alerts:
        assert alert["labels"]["severity"] in ("warning", "critical")
        assert alert["annotations"]["summary"]
        page, anchor = alert["annotations"]["runbook_url"].split("#")
        assert (page, anchor) == ("docs/operations.md", alert["alert"].lower())
        assert anchor in headings


def test_rules_and_dashboard_name_what_exists():
    """Each series in a query is shown by the service or recorded by a rule, which is named level:metric:operation."""
    recorded = {rule["record"] for rule in rules("rules.yml")}
    assert all(re.fullmatch(r"[a-z_]+:otp_[a-z_]+:[a-z]+[0-9a-z]*", name) for name in recorded)
    written = [rule["expr"] for name in ("rules.yml", "alerts.yml") for rule in rules(name)]
    variables = [variable["definition"] for variable in DASHBOARD["templating"]["list"] if "definition" in variable]
    named = {name for expr in [*written, *queries(), *variables] for name in METRIC.findall(expr)}
    assert len(named) > 15
    assert named - recorded - shown() == set()


def test_the_dashboard_can_be_provisioned():
    """Each panel has an own id and place within the 24 columns, and takes its data source from the variable."""
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels) > 10
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 24
    assert {part["datasource"]["uid"] for panel in panels for part in (panel, *panel["targets"])} == {"${datasource}"}
    assert "id" not in DASHBOARD


def test_the_dashboard_asks_what_prometheus_can_answer():
    """Each window has four values of what rules record each minute, and a long one is read once, not at each point.

    Grafana makes `$__rate_interval` four times the smallest step, else four times the interval of the data source.
    With its default of 15 s the window would hold one recorded value, and the panel would show nothing.
    """
    [group] = yaml.safe_load((RULES / "rules.yml").read_text("utf-8"))["groups"]
    targets = [target for panel in DASHBOARD["panels"] for target in panel["targets"]]
    recorded = [target for target in targets if re.search(r":otp_\w+:max\{[^}]*\}\[\$__rate_interval]", target["expr"])]
    assert len(recorded) > 3
    assert {target.get("interval") for target in recorded} == {group["interval"]}
    long = [target for target in targets if "[$__range]" in target["expr"]]
    assert len(long) > 3
    assert {(target.get("instant"), target.get("range")) for target in long} == {(True, False)}


def test_labels_stay_bounded():
    """The labels of a send are event, country and channel: no sender, prefix or purpose multiplies the series.

    Those of a time are country, channel and one of at most 15 ends.
    """
    families = list(text_string_to_metric_families(metrics_text(Counter(COUNTED), {}).decode()))
    labels = {family.name: set().union(*(sample.labels for sample in family.samples)) for family in families}
    assert labels["otp_sends"] == {"event", "country", "channel"}
    for name in ("otp_time_to_deliver_seconds", "otp_time_to_convert_seconds"):
        assert labels[name] == {"country", "channel", "le"}
        [times] = [family for family in families if family.name == name]
        assert len({sample.labels["le"] for sample in times.samples if "le" in sample.labels}) == 15
