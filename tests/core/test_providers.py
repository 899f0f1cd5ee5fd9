"""The promise of `service.core` that its rules apply to every provider."""

from pathlib import Path

import service.core

CITATION = "https://www.twilio.com/"
NAME_IN_REPORTS = '"twilio": {'  # of the field of a report that callers compare with their provider's console


def test_no_rule_names_a_provider() -> None:
    """The rules never name Twilio, except in citations of its documentation and in one name of the API."""
    naming = [
        f"{path.name}:{number}: {line.strip()}"
        for path in sorted(Path(service.core.__file__).parent.rglob("*.py"))
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if "twilio" in line.replace(CITATION, "").replace(NAME_IN_REPORTS, "").lower()
    ]
    assert naming == []
