"""The promises of SECURITY.md: its tables are complete, and the tests that it names exist."""

import re
from pathlib import Path

import pytest

from service.config.settings import Settings

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "SECURITY.md").read_text("utf-8")
# The number of requirements in each section of ASVS 5.0, chapter V6: 47 in all.
ASVS = {1: 3, 2: 12, 3: 8, 4: 6, 5: 8, 6: 4, 7: 2, 8: 4}


def rows(heading):
    """Return the rows of the first table under a heading, cell by cell."""
    table = PAGE.partition(f"# {heading}\n")[2].partition("\n|---")[2].partition("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[1:]]


def test_every_limit_is_documented():
    """The table of limits names each `OTP_LIMIT_…` and the budget once, and so does the table of defaults."""
    limits = {f"`{name.upper()}`" for name in Settings.model_fields if name.startswith("otp_limit_")}
    limits.add("`OTP_BUDGET_DAY`")
    named = [name for row in rows("What each limit is counted under, and what it stops") for name in row[0].split(", ")]
    assert sorted(named) == sorted(limits)
    defaults = " ".join(row[2] for row in rows("Limits, and how a malicious lock-out is bounded"))
    assert [limit for limit in limits if limit not in defaults] == []


def test_every_requirement_of_asvs_v6_has_a_status():
    """Each of the 47 requirements has one status: met, not met or yours; a range covers every requirement in it."""
    covered = []
    for requirement, _, verdict, _ in rows("OWASP ASVS 5.0, chapter V6"):
        section, first, last = re.match(r"6\.(\d+)\.(\d+)(?: to 6\.\d+\.(\d+))?", requirement).groups()
        covered += [(int(section), number) for number in range(int(first), int(last or first) + 1)]
        assert verdict in ("met", "not met", "yours"), requirement
    assert covered == [(section, number) for section, last in ASVS.items() for number in range(1, last + 1)]


NAMED = re.findall(r"`((?:tests/)?[a-z_/]+\.py)::(\w+)`", PAGE)


@pytest.mark.parametrize(("file", "test"), NAMED, ids=[test for _, test in NAMED])
def test_a_test_that_the_page_names_exists(file, test):
    """Each test in the table of known weaknesses is a test of the suite."""
    path = ROOT / file if "/" in file else ROOT / "tests" / "attacks" / file
    assert re.search(rf"^(?:async )?def {test}\(", path.read_text("utf-8"), re.MULTILINE)
