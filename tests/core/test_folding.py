"""The promises of `service.core.folding`: typed characters become their ASCII equivalents, and nothing is invented."""

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.folding import fold

CHARACTERS = [chr(point) for point in range(sys.maxunicode + 1)]


def test_the_decimal_digits_of_every_script_are_digits() -> None:
    """Each decimal digit in Unicode, of whatever script, becomes its ASCII equivalent."""
    digits = [character for character in CHARACTERS if unicodedata.decimal(character, None) is not None]
    assert len(digits) >= 600
    assert [fold(digit) for digit in digits] == [str(unicodedata.decimal(digit)) for digit in digits]


def test_nothing_else_becomes_a_digit() -> None:
    """Superscripts, fractions, Roman and circled numerals are not digits, even if `str.isdigit` accepts them."""
    others = [character for character in CHARACTERS if unicodedata.decimal(character, None) is None]
    assert not any(character.isdigit() and fold(character).isascii() for character in others)
    assert not {"²", "①", "Ⅷ", "½", "৴"} & {character for character in others if fold(character) != character}
    assert not any(set(fold(character)) & set("0123456789") for character in others)


def test_invisible_marks_are_dropped() -> None:
    """Direction marks, zero-width characters, byte order marks and variation selectors are removed."""
    marks = "\u200b\u200c\u200d\u200e\u200f\u061c\u202a\u202c\u2066\u2069\u00ad\u2060\ufeff\ufe0f\ufe0e\U000e0100"
    assert fold(f"4{'4'.join(marks)}4") == "4" * (len(marks) + 1)


@pytest.mark.parametrize(
    ("typed", "folded"),
    [
        ("\u00a0", " "), ("\u2009", " "), ("\u202f", " "), ("\u3000", " "), ("\u2028", " "),
        ("\u2010", "-"), ("\u2011", "-"), ("\u2013", "-"), ("\u2014", "-"), ("\u2212", "-"), ("\uff0d", "-"),
        ("\uff0b", "+"), ("\ufb29", "+"), ("\uff08\uff09", "()"), ("\uff0e", "."), ("4\ufe0f\u20e3", "4"),
    ],
)  # fmt: skip
def test_spaces_dashes_and_signs_become_ascii(typed: str, folded: str) -> None:
    """Each space, dash, plus sign, bracket and full stop becomes its ASCII equivalent."""
    assert fold(typed) == folded


@given(st.text(max_size=20))
def test_folding_is_idempotent(text: str) -> None:
    """Folding is idempotent, and leaves ASCII unchanged."""
    assert fold(fold(text)) == fold(text)
    if text.isascii():
        assert fold(text) == text
