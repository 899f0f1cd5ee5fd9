"""The promise of speed, as far as a test can hold it: CPU time, in pairs with a reference in the same run."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.absent import absent

ROOT = Path(__file__).parent.parent
BENCH = ROOT / "tests" / "bench"


@pytest.mark.alone
@pytest.mark.timeout(180)
def test_a_check_stays_cheap_beside_a_plain_handler():
    """With every promise in force, a check costs well under half the CPU time of a plain FastAPI handler."""
    if shutil.which("wrk") is None:
        absent("there is no wrk here")
    environment = os.environ | {"PYTHONPATH": f"{ROOT}:{BENCH}"}
    command = [sys.executable, BENCH / "bench_speed.py"]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=170, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
