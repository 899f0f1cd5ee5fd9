"""The promises of `service.core.actions.code`: uniform codes from fresh secrets, and one form of a code.

The uniformity tests put the chi-square statistic on the scale of a normal one (Wilson and Hilferty,
1931). Chance exceeds a margin of 6 fewer than 3 times in 10^9 on each side, so a dozen statistics
together cause fewer than one false alarm in 10^6 runs.
"""

import base64
import math
import random
import re
import secrets
from collections import Counter
from collections.abc import Iterable
from typing import Annotated

import pyotp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, TypeAdapter, ValidationError

from service.core.actions import code as action
from service.core.actions.code import LONGEST, LONGEST_TYPED, PATTERN, SHORTEST, TYPED_PATTERN

SCHEMA = TypeAdapter(Annotated[str, Field(pattern=PATTERN)])
DRAWS = 100_000
MARGIN = 6.0
# RFC 4226, Appendix D: the key in ASCII, and the HOTP values of counters 0 to 9.
RFC_SECRET = b"12345678901234567890"
RFC_KEY = base64.b32encode(RFC_SECRET).decode()
RFC_VALUES = ["755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"]
# The same appendix lists the 31 bits of counter 0 before they are cut to digits.
RFC_TRUNCATED = 1_284_755_224
FOREIGN_ZEROS = (0x660, 0x6F0, 0x966, 0xFF10, 0x1D7CE)  # Arabic, Persian, Devanagari, full-width, mathematical bold


def is_code(text: str) -> bool:
    """Return whether a text has the form in which codes are drawn, stored and set for test numbers."""
    try:
        SCHEMA.validate_python(text)
    except ValidationError:
        return False
    return True


@pytest.fixture(scope="module")
def codes() -> list[str]:
    return [action.draw(6) for _ in range(DRAWS)]


def unevenness(values: Iterable[str], cells: int) -> float:
    """Return by how many standard deviations the values fill their equally likely cells too unevenly."""
    counts = Counter(values)
    expected = counts.total() / cells
    statistic = sum(count * count for count in counts.values()) / expected - counts.total()
    freedom = cells - 1
    spread = 2 / (9 * freedom)
    return (float(math.cbrt(statistic / freedom)) - (1 - spread)) / math.sqrt(spread)


@pytest.mark.parametrize(("counter", "value"), list(enumerate(RFC_VALUES)))
def test_pyotp_computes_rfc_4226(counter: int, value: str) -> None:
    """The library that computes our codes returns the values of RFC 4226, Appendix D."""
    assert pyotp.HOTP(RFC_KEY).at(counter) == value


@pytest.mark.parametrize("length", range(SHORTEST, LONGEST + 1))
def test_a_code_is_the_hotp_value_of_its_secret(length: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A code of any allowed length is the last digits of the RFC's truncated value, at counter 0."""
    monkeypatch.setattr("service.core.actions.code.token_bytes", lambda _: RFC_SECRET)
    assert action.draw(length) == str(RFC_TRUNCATED)[-length:]


def test_each_code_has_a_fresh_secret_of_160_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each code has its own secret, of the length that RFC 4226 recommends (R6)."""
    drawn: list[bytes] = []

    def recorded(count: int) -> bytes:
        drawn.append(secrets.token_bytes(count))
        return drawn[-1]

    monkeypatch.setattr("service.core.actions.code.token_bytes", recorded)
    for _ in range(50):
        action.draw(6)
    assert len(set(drawn)) == 50
    assert {len(secret) * 8 for secret in drawn} == {160}


@pytest.mark.parametrize("length", range(SHORTEST, LONGEST + 1))
def test_a_drawn_code_has_its_length_and_form(length: int) -> None:
    """Every drawn code has exactly the requested number of digits, and is recognised as a code."""
    drawn = [action.draw(length) for _ in range(200)]
    assert {len(code) for code in drawn} == {length}
    assert all(is_code(code) for code in drawn)


@pytest.mark.parametrize("length", [-6, 0, 1, SHORTEST - 1, LONGEST + 1, 10, 64])
def test_other_code_lengths_are_refused(length: int) -> None:
    """Codes of fewer than 4 digits are easy to guess and those of more than 8 are skewed: neither is drawn."""
    with pytest.raises(ValueError, match="4 to 8 digits"):
        action.draw(length)


def test_no_allowed_code_is_much_likelier_than_another() -> None:
    """Truncating the 31 bits of HOTP to the longest code makes no code likelier by more than a twentieth."""
    rarest, rest = divmod(2**31, 10**LONGEST)
    likeliest = rarest + (rest > 0)
    assert likeliest / rarest < 1.05


@pytest.mark.parametrize("position", range(6))
def test_every_position_is_uniform(codes: list[str], position: int) -> None:
    """At each position of a code the ten digits are equally likely."""
    assert abs(unevenness((code[position] for code in codes), 10)) < MARGIN


def test_all_digits_together_are_uniform(codes: list[str]) -> None:
    """Over all positions the ten digits are equally likely."""
    assert abs(unevenness("".join(codes), 10)) < MARGIN


@pytest.mark.parametrize("part", [slice(3), slice(3, 6)], ids=["first", "last"])
def test_each_half_is_uniform(codes: list[str], part: slice) -> None:
    """The thousand values of either half of a code are equally likely."""
    assert abs(unevenness((code[part] for code in codes), 1_000)) < MARGIN


def test_whole_codes_are_uniform(codes: list[str]) -> None:
    """The million codes are equally likely: they repeat as often as chance predicts."""
    assert abs(unevenness(codes, 1_000_000)) < MARGIN


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_million_codes_are_uniform() -> None:
    """A16: a million codes are uniform as a whole and at each position, and a tenth of them starts with a zero.

    The margin is that of the module, not p > 0.001, which seven statistics would exceed by chance once in 150 runs.
    """
    drawn = [action.draw(6) for _ in range(1_000_000)]
    assert abs(unevenness(drawn, 1_000_000)) < MARGIN
    for position in range(6):
        assert abs(unevenness((code[position] for code in drawn), 10)) < MARGIN
    assert 0.098 < sum(code.startswith("0") for code in drawn) / len(drawn) < 0.102


@pytest.mark.parametrize("length", [SHORTEST, LONGEST])
def test_the_extreme_lengths_are_uniform(length: int) -> None:
    """The shortest and the longest codes are uniform, too."""
    drawn = [action.draw(length) for _ in range(10_000)]
    assert abs(unevenness("".join(drawn), 10)) < MARGIN
    assert abs(unevenness((code[:3] for code in drawn), 1_000)) < MARGIN


def test_leading_zeros_are_kept(codes: list[str]) -> None:
    """One code in ten starts with a zero, one in a hundred with two: none is lost or redrawn."""
    assert 0.09 < sum(code.startswith("0") for code in codes) / DRAWS < 0.11
    assert 0.007 < sum(code.startswith("00") for code in codes) / DRAWS < 0.013


def test_a_skewed_generator_is_detected() -> None:
    """Digits drawn as `byte % 10`, a common mistake, fail the test that ours pass."""
    skewed = random.Random(1).randbytes(6 * DRAWS)
    assert unevenness((str(byte % 10) for byte in skewed), 10) > MARGIN


def test_a_counter_is_detected() -> None:
    """Codes that never repeat, as from a counter, are detected as too even to be random."""
    assert unevenness((f"{n:06}" for n in range(DRAWS)), 1_000_000) < -MARGIN


@given(st.from_regex(r"[0-9]{4,8}", fullmatch=True, alphabet=st.characters(codec="ascii")))
def test_four_to_eight_digits_are_a_code(text: str) -> None:
    """Every text of 4 to 8 ASCII digits has the form of a code."""
    assert is_code(text)


@pytest.mark.parametrize("length", [n for n in range(65) if not SHORTEST <= n <= LONGEST])
def test_texts_of_another_length_are_not_codes(length: int) -> None:
    """Digits of any other length, including none, do not have the form of a code."""
    assert not is_code("7" * length)


@given(st.sampled_from(FOREIGN_ZEROS), st.text("0123456789", min_size=4, max_size=8), st.data())
def test_digits_of_every_script_are_a_code(zero: int, code: str, data: st.DataObject) -> None:
    """A digit of another script, mixed with ASCII digits or not, is read as its value."""
    at = data.draw(st.integers(0, len(code)))
    disguised = code[:at] + "".join(chr(zero + int(digit)) for digit in code[at:])
    assert action.read(disguised) == code


BETWEEN = " -\t\n\r\u00a0\u202f\u2009\u200f\u202a\u2011\u2013\u2212\ufeff\u00ad\ufe0f"


@given(st.text("0123456789", min_size=4, max_size=8), st.data())
def test_separators_between_digits_are_ignored(code: str, data: st.DataObject) -> None:
    """Spaces, dashes and invisible marks before, between and after the digits do not change the code."""
    between = st.text(BETWEEN, max_size=3)
    assert action.read("".join(data.draw(between) + digit for digit in code) + data.draw(between)) == code


@pytest.mark.parametrize(
    "typed",
    ["583 092", "583-092", "583\u00a0092", "\u200f583092", "٥٨٣٠٩٢", "५८३०९२", "\uff15\uff18\uff13\uff10\uff19\uff12"],
)
def test_typed_codes_are_recognised(typed: str) -> None:
    """A code is recognised in the forms in which phones show it and keyboards write it."""
    assert action.read(typed) == "583092"


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "12 3", "1-2-3", "123456789", "1234 5678 9", "12345\0", "+12345", "1e5", "0x1234", "1_000", "nan",
        "null", "[123456]", "123456,123456", "1234.5", "12345\u00b2", "\u2167" * 6, "\u2460" * 6, "12345O",
        "code 12345", "1" * 9, "\u0661" * 9, "123456" + " " * LONGEST_TYPED, "\u200b" * 64,
    ],
)  # fmt: skip
def test_malformed_codes_are_refused(text: str) -> None:
    """Fewer than 4 digits, more than 8, or anything besides digits, spaces and dashes is refused in one sentence."""
    with pytest.raises(ValueError, match=r"^The code has 4 to 8 digits\.$"):
        action.read(text)


@given(st.text(max_size=70) | st.text(f"0123456789{BETWEEN}\uff11\u0661x+", max_size=14))
def test_the_published_pattern_accepts_every_valid_code(text: str) -> None:
    """Every code passes the published pattern; for ASCII texts rule and pattern agree exactly."""
    fits = re.search(TYPED_PATTERN, text) is not None and SHORTEST <= len(text) <= LONGEST_TYPED
    try:
        code = action.read(text)
    except ValueError:
        assert not (fits and text.isascii())
    else:
        assert fits
        assert is_code(code)
