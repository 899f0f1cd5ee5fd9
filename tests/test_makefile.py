"""The promises of the `Makefile` before there is a `.venv`: what it cannot work with, it says in one sentence."""

import shutil
import subprocess
from pathlib import Path

import pytest

MAKEFILE = Path(__file__).parent.parent / "Makefile"


@pytest.fixture
def make_demo(tmp_path):
    """Give a function that runs `make demo` with an interpreter of the test's choice; it gives what is said."""
    shutil.copy(MAKEFILE, tmp_path)
    for needed in ("pyproject.toml", "uv.lock"):
        (tmp_path / needed).touch()

    def run(python):
        command = ["make", "--no-print-directory", "demo", f"PYTHON={python}"]
        told = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=30)
        assert told.returncode != 0
        assert not (tmp_path / ".venv").exists()
        return told.stdout

    return run


def script(path, text):
    """Write a program of one line."""
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_an_interpreter_that_does_not_run_is_named(make_demo, tmp_path):
    """Nothing, a name that nobody has, what ends at once and what is no Python: one sentence says so and what to do."""
    broken = script(tmp_path / "broken", "exit 1")
    advice = "Install Python 3.11 or newer, or name one: make PYTHON=python3.12 …"
    for python in ("", "no-such-python", "true", "echo", broken):
        assert make_demo(python) == f"PYTHON is '{python}', which runs no Python here. {advice}\n"


def test_an_old_interpreter_is_named_with_its_version(make_demo, tmp_path):
    """A Python before 3.11 is told by its version, even where it says that among its errors, as Python 2 does."""
    behaviour = 'case "$*" in *"print(1)") echo 1;; --version) echo Python 2.7.18 >&2;; *) exit 1;; esac'
    advice = "Name one with: make PYTHON=python3.12 …"
    told = make_demo(script(tmp_path / "old", behaviour))
    assert told == f"This is Python 2.7.18; Python 3.11 or newer is needed. {advice}\n"
