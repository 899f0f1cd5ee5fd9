"""The promises of `.ci/audit.py`: a finding fails the run, a silent network does not, and neither passes unsaid."""

import importlib.util
import json
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def check():
    """Give the result of the script, which is no module of the service."""
    path = Path(__file__).parent.parent / ".ci" / "audit.py"
    spec = importlib.util.spec_from_file_location("audit", path)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return script.check


CLEAN = {"name": "sound", "version": "1.0", "vulns": []}
BAD = {"name": "broken", "version": "2.0", "vulns": [{"id": "CVE-2026-1", "fix_versions": ["2.1"]}]}
SKIPPED = {"name": "unasked", "skip_reason": "not found"}


@pytest.mark.parametrize(
    ("packages", "status", "said"),
    [
        ([CLEAN], 0, "No known vulnerability in 1 packages."),
        ([CLEAN, BAD], 1, "broken 2.0: CVE-2026-1, fixed in 2.1"),
        ([CLEAN, SKIPPED], 0, "NOT AUDITED: 1 of 2 packages; the index here has no advisories."),
    ],
)
def test_a_finding_fails_and_a_gap_is_said(check, packages, status, said):
    """A vulnerability is named with its cure and fails; packages nobody could be asked about are counted aloud."""
    assert check(json.dumps({"dependencies": packages}), "") == (status, [said])


def test_a_gap_hides_no_finding(check):
    """With one package vulnerable and another unasked, the run fails and both are said."""
    status, said = check(json.dumps({"dependencies": [SKIPPED, BAD]}), "")
    assert (status, len(said)) == (1, 2)


@pytest.mark.parametrize(
    ("complaints", "status"),
    [("…\nrequests.exceptions.ConnectionError: Max retries exceeded", 0), ("…\nKeyError: 'info'", 1), ("", 1)],
)
def test_only_the_network_is_forgiven(check, complaints, status):
    """Without a report the run fails, but where the complaint is that nobody answers; either way it is said."""
    assert check("", complaints)[0] == status
    assert check("", complaints)[1][0] in (
        "NOT AUDITED: the advisories cannot be reached from here.",
        "pip-audit failed.",
    )
