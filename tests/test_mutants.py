"""The promises of `.ci/mutants.py`: what was not run, or not run to its end, never passes for what was noticed."""

import importlib.util
import json
from pathlib import Path

import pytest

MODULES = ["service/core/actions/code.py", "service/http/authentication.py"]
SURVIVED, NOTICED, UNTRIED = 0, 1, None
RAN, RAN_OUT_OF_TIME = 0, 124


@pytest.fixture(scope="module")
def check():
    """Give the result of the script, which is no module of the service."""
    path = Path(__file__).parent.parent / ".ci" / "mutants.py"
    spec = importlib.util.spec_from_file_location("mutants", path)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return script.check


@pytest.fixture
def note(tmp_path):
    """Give a function that writes what mutmut notes of a module: how the tests of each mutant ended."""

    def write(module, *codes):
        meta = tmp_path / f"{module}.meta"
        meta.parent.mkdir(parents=True, exist_ok=True)
        meta.write_text(json.dumps({"exit_code_by_key": {f"mutant_{n}": code for n, code in enumerate(codes)}}))

    return write


@pytest.mark.parametrize("ended", [RAN, RAN_OUT_OF_TIME])
def test_nine_of_ten_suffice_in_every_module(check, note, tmp_path, ended):
    """A module with one survivor in ten passes, with two it does not, and what was not tried counts as a survivor."""
    for module in MODULES:
        note(module, *[NOTICED] * 9, SURVIVED)
    assert check(ended, tmp_path, MODULES)[0] == 0
    note(MODULES[1], *[NOTICED] * 8, SURVIVED, UNTRIED)
    assert check(ended, tmp_path, MODULES) == (
        1,
        [
            *("service/core/actions/code.py\t9 of 10\t90%", "    survived: mutant_9"),
            *("service/http/authentication.py\t8 of 10\t80%", "    survived: mutant_8", "    not tried: 1"),
        ],
    )


def test_a_module_without_mutants_fails_by_name(check, note, tmp_path):
    """An empty folder, a module that mutmut passed over and one without a mutant fail, and are named."""
    missing = [f"{module}\tno mutants" for module in MODULES]
    assert check(RAN, tmp_path, MODULES) == (1, missing)
    note(MODULES[0], NOTICED)
    assert check(RAN, tmp_path, MODULES)[1][1:] == missing[1:]
    note(MODULES[1])
    status, said = check(RAN, tmp_path, MODULES)
    assert (status, said[1:]) == (1, missing[1:])
    assert check(RAN, tmp_path, [])[0] == 1


def test_a_mutmut_that_fails_fails_the_run(check, note, tmp_path):
    """What an earlier run has left is no answer when this one came to nothing; only `timeout` may end it."""
    for module in MODULES:
        note(module, NOTICED)
    for ended in (1, 2, 125, 137):
        assert check(ended, tmp_path, MODULES) == (1, [f"mutmut failed with status {ended}: see mutants.log"])
