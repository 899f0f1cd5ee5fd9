"""The results: one JSON file a bench in `tests/bench/results/` (git ignores it), with the machine they hold for.

    save("verify", rows, [Budget("throughput", measured=ratio, least=4.0)])

A budget is what the design wants of a number; report.py gathers those of all benches into one table.
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
    """One number that the design wants at least or at most so large, as measured; `spread` is its least and most."""

    what: str
    measured: float
    least: float | None = None
    most: float | None = None
    spread: tuple[float, float] | None = None
    unit: str = ""

    @property
    def is_met(self):
        """Tell whether the measured number, which is a median where there were rounds, keeps to the budget."""
        return (self.least is None or self.measured >= self.least) and (self.most is None or self.measured <= self.most)


def save(name, rows, budgets=()):
    """Write what a bench has measured (anything that JSON can hold, and dataclasses) and what was wanted of it."""
    FOLDER.mkdir(exist_ok=True)
    file = FOLDER / f"{name}.json"
    content = {"bench": name, "date": datetime.now(UTC).isoformat(timespec="seconds"), "machine": machine()}
    checked = [asdict(budget) | {"is_met": budget.is_met} for budget in budgets]
    file.write_text(json.dumps(content | {"budgets": checked, "rows": rows}, indent=2, default=_plain) + "\n")
    print(f"  saved {file.relative_to(FOLDER.parents[2])}")


def load(name):
    """Read what a bench has saved; None when it has not run."""
    try:
        return json.loads((FOLDER / f"{name}.json").read_text())
    except FileNotFoundError:
        return None


@cache
def machine():
    """Describe what the numbers hold for."""
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
