"""The table of docs/reliability.md has rows of fault runs, and with waiting nothing is broken."""

from pathlib import Path

from tests.failover.table import COUNTED, HEAD, table
from tests.failover.test_faults import every_case

DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "reliability.md"
ALLOWED = {"doubles"}


def documented():
    """Return the rows of the table as dictionaries."""
    lines = DOCUMENT.read_text("utf-8").splitlines()
    first = lines.index(f"| {' | '.join(HEAD)} |") + 2
    last = lines.index("", first)
    return [dict(zip(HEAD, line.strip("| ").split(" | "), strict=True)) for line in lines[first:last]]


def test_each_row_is_of_a_run():
    """`make faults` has each run of the table; none is there twice, and they are in order."""
    runs = [(row["engine"], row["fault"], row["waits"]) for row in documented()]
    assert runs == sorted(set(runs))
    assert set(runs) <= {(engine, fault, "yes" if waits else "no") for engine, fault, waits in every_case()}


def test_with_waiting_nothing_is_broken():
    """Where a run waits for replicas, and where there are none, each count but that of doubles is 0."""
    for row in documented():
        if row["waits"] == "yes" or row["engine"] == "standalone":
            assert {row[name] for name in COUNTED if name not in ALLOWED} == {"0"}, row


def test_a_repeated_run_replaces_its_row():
    """The table has the newest row of each run, in order."""
    row = {"engine": "b", "fault": "f", "waits": True, "pairs": 2, "errors": {}, "recovery_seconds": 0.04}
    row |= dict.fromkeys(COUNTED, 0)
    lines = table([row | {"pairs": 1}, row | {"engine": "a", "waits": False, "errors": {"503": 7}}, row]).splitlines()
    assert [line.split(" | ")[:6] for line in lines[2:]] == [
        ["| a", "f", "no", "2", "503: 7", "0.0 s"],
        ["| b", "f", "yes", "2", "none", "0.0 s"],
    ]
