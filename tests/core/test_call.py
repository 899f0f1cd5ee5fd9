"""The promises of `service.core.actions.call`: six digits, two more, and a number to call."""

import re

import pytest

from service.core.actions import call


def test_six_digits_are_drawn() -> None:
    """The digits are uniform, with leading zeros."""
    drawn = [call.draw(0, "0") for _ in range(2000)]
    assert all(re.fullmatch("[0-9]{6}", each) for each in drawn)
    assert {each[0] for each in drawn} == set("0123456789")
    assert len(set(drawn)) > 1980


@pytest.mark.parametrize(
    ("keys", "read"),
    [
        ("48291342", ("482913", "42")),
        ("482913#42", ("482913", "42")),
        ("482913*42#", ("482913", "42")),
        ("482913", ("482913", "")),
        ("482913#", ("482913", "")),
    ],
)
def test_keys_are_read(keys: str, read: tuple[str, str]) -> None:
    """Six digits and two more; star and hash do not matter; the match may be missing."""
    assert call.read_keys(keys) == read


@pytest.mark.parametrize("keys", ["", "4", "48291", "4829134", "482913427", "48291x42", "\u0664" * 8, "9" * 10_000])
def test_other_keys_are_no_answer(keys: str) -> None:
    """Too few digits, seven, too many, or others are about no verification."""
    assert call.read_keys(keys) is None
    with pytest.raises(ValueError, match="6 digits"):
        call.read(keys)


def test_a_call_needs_a_number() -> None:
    """Without a number there is nothing to call, and the sentence says what to set."""
    with pytest.raises(ValueError, match="OTP_CALL_NUMBER"):
        call.shown("482913", None)
