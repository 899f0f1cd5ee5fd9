"""The promise of `service.core` that its rules apply to every provider."""

from pathlib import Path

import service.core

CITATION = "https://www.twilio.com/"


def test_no_rule_names_a_provider() -> None:
    """The rules never name Twilio, except where they cite a page of its documentation."""
    naming = [
        f"{path.name}:{number}: {line.strip()}"
        for path in sorted(Path(service.core.__file__).parent.rglob("*.py"))
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if "twilio" in line.replace(CITATION, "").lower()
    ]
    assert naming == []
