"""The promises of the `Makefile`: what it cannot work with, it says in one sentence; what fails, it does not hide."""

import shutil
import subprocess
import sys
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


@pytest.fixture
def installed(tmp_path):
    """Give a function that runs a target where all is installed, but each tool is a script that succeeds."""
    shutil.copy(MAKEFILE, tmp_path)
    shutil.copytree(MAKEFILE.parent / ".ci", tmp_path / ".ci")
    for needed in ("pyproject.toml", "uv.lock"):
        shutil.copy(MAKEFILE.parent / needed, tmp_path)
    tools = tmp_path / ".venv" / "bin"
    tools.mkdir(parents=True)
    for done in ("uv", "service", "installed"):
        (tools.parent / done).touch()
    for tool in ("ruff", "mypy", "lint-imports", "uv", "mutmut"):
        script(tools / tool, "exit 0")
    script(tools / "python", f'exec {sys.executable} "$@"')

    def run(target):
        command = ["make", "--no-print-directory", target]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=30)

    run.tools = tools
    return run


@pytest.mark.parametrize("tool", ["ruff", "mypy", "lint-imports"])
def test_a_check_that_fails_fails_them_all(installed, tool):
    """Lint, types and import contracts each decide whether `make check` passes."""
    assert installed("check").returncode == 0
    script(installed.tools / tool, "exit 1")
    assert installed("check").returncode != 0


def test_mutants_are_judged_with_the_end_of_the_run(installed):
    """A mutmut that fails is named as the cause; one that leaves nothing is no success either."""
    told = installed("mutants")
    assert (told.returncode != 0, "service/core/codes.py\tno mutants" in told.stdout) == (True, True)
    script(installed.tools / "mutmut", "exit 3")
    told = installed("mutants")
    assert (told.returncode != 0, told.stdout) == (True, "mutmut failed with status 3: see mutants.log\n")
