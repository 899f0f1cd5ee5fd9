"""The table of docs/reliability.md: each fault run adds its row to a file; `python -m tests.failover.table` prints all.

A run that is repeated replaces its row. The commits of the rows are named, since a table should be of one.
"""

import json
import subprocess
from pathlib import Path

FILE = Path(__file__).parent.parent / "bench" / "results" / "faults.jsonl"
COUNTED = ("lost", "twice", "forgotten", "stuck", "unasked", "immortal", "doubles")
HEAD = ("engine", "fault", "waits", "pairs", "errors", "recovery", *COUNTED)


def line(row):
    """Write a row as one line of the table."""
    errors = ", ".join(f"{status}: {many}" for status, many in sorted(row["errors"].items())) or "none"
    waits = "yes" if row["waits"] else "no"
    cells = [row["engine"], row["fault"], waits, row["pairs"], errors, f"{row['recovery_seconds']:.1f} s"]
    return f"| {' | '.join(map(str, [*cells, *(row[name] for name in COUNTED)]))} |"


def add(row):
    """Add a row to the file, with the commit that it is of."""
    command = ["git", "-C", str(FILE.parent.parent), "describe", "--always", "--dirty"]
    commit = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    FILE.parent.mkdir(exist_ok=True)
    with FILE.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row | {"commit": commit}) + "\n")


def table(rows):
    """Write the newest row of each run, in order."""
    newest = {(row["engine"], row["fault"], row["waits"]): row for row in rows}
    lines = [line(newest[key]) for key in sorted(newest)]
    return "\n".join([f"| {' | '.join(HEAD)} |", "|" + "---|" * len(HEAD), *lines])


if __name__ == "__main__":
    saved = [json.loads(each) for each in FILE.read_text("utf-8").splitlines()]
    print(table(saved))
    print("commit:", ", ".join(sorted({row["commit"] for row in saved})))
