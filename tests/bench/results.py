"""The results: one JSON file for each bench in `tests/bench/results/` (git ignores it), with the machine it ran on.

    save("verify", rows, [Budget("throughput", measured=ratio, least=4.0)])

A budget is the limit that the design sets for a number; report.py collects those of all benches in one table.
"""

import json
import os
import platform
import re
import subprocess
from dataclasses import asdict, dataclass, is_dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path

from service.embedded.server import _binary

FOLDER = Path(__file__).with_name("results")


@dataclass(frozen=True, kw_only=True)
class Budget:
    """A measured number with the minimum or maximum that the design sets; `spread` is the range of its readings."""

    what: str
    measured: float
    least: float | None = None
    most: float | None = None
    spread: tuple[float, float] | None = None
    unit: str = ""

    @property
    def is_met(self):
        """Return whether the measured number, the median of the rounds, meets the budget."""
        return (self.least is None or self.measured >= self.least) and (self.most is None or self.measured <= self.most)


def save(name, rows, budgets=()):
    """Write the measured rows of a bench (JSON values and dataclasses) and its budgets."""
    FOLDER.mkdir(exist_ok=True)
    file = FOLDER / f"{name}.json"
    content = {"bench": name, "date": datetime.now(UTC).isoformat(timespec="seconds"), "machine": machine()}
    checked = [asdict(budget) | {"is_met": budget.is_met} for budget in budgets]
    file.write_text(json.dumps(content | {"budgets": checked, "rows": rows}, indent=2, default=_plain) + "\n")
    print(f"  saved {file.relative_to(FOLDER.parents[2])}")


def load(name):
    """Return the saved results of a bench; None if it has not run."""
    try:
        return json.loads((FOLDER / f"{name}.json").read_text())
    except FileNotFoundError:
        return None


@cache
def machine():
    """Describe the machine and the versions of the software."""
    cpuinfo = Path("/proc/cpuinfo").read_text()
    model = re.search(r"^model name\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    printed = subprocess.run([_binary(), "--version"], capture_output=True, text=True, check=True).stdout
    return {
        "cpu": model[1] if model else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "valkey": re.search(r"v=([0-9.]+)", printed)[1],
        **{name: version(name) for name in ("redis", "fastapi", "uvicorn", "uvloop")},
    }


def _plain(value):
    if is_dataclass(value):
        return asdict(value)
    raise TypeError(f"{type(value).__name__} is nothing that is saved")
