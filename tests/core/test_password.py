"""The promises of `service.core.actions.password`: uniform passwords, and one form of what people type."""

import math
import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.actions import password as action
from service.core.actions.password import LONGEST, LONGEST_TYPED, SHORTEST, TYPED_PATTERN

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
BETWEEN = " -\t\n\r\u00a0\u2011\u2013\u200f\ufeff"
passwords = st.text(CROCKFORD, min_size=SHORTEST, max_size=LONGEST)


@pytest.mark.parametrize("length", range(SHORTEST, LONGEST + 1))
def test_a_drawn_password_has_its_length_and_alphabet(length: int) -> None:
    """Every drawn password has exactly the requested number of characters of Crockford's alphabet, and differs."""
    drawn = [action.draw(length) for _ in range(50)]
    assert {len(each) for each in drawn} == {length}
    assert set("".join(drawn)) <= set(CROCKFORD)
    assert len(set(drawn)) == 50


@pytest.mark.parametrize("length", [-1, 0, SHORTEST - 1, LONGEST + 1])
def test_other_lengths_are_refused(length: int) -> None:
    """A password under 50 bits, or one that nobody would type, is not drawn."""
    with pytest.raises(ValueError, match="10 to 24 characters"):
        action.draw(length)


def test_the_characters_are_equally_likely() -> None:
    """Over 130,000 characters each of the 32 is drawn as often as chance allows (6 standard deviations)."""
    counts = Counter("".join(action.draw(13) for _ in range(10_000)))
    expected = 130_000 / 32
    assert len(counts) == 32
    assert all(abs(count - expected) < 6 * math.sqrt(expected) for count in counts.values())


@given(passwords)
def test_a_password_is_shown_in_groups_and_found_again(password: str) -> None:
    """The message shows groups of five, which are read back and found in a text as the same password."""
    shown = action.shown(password)
    assert max(map(len, shown.split("-"))) == 5
    assert action.read(shown) == password
    assert list(action.found_in(f"Your Acme password is {shown}. Do not share it.")) == [password]


@given(passwords, st.data())
def test_what_people_type_is_read_kindly(password: str, data: st.DataObject) -> None:
    """Case, hyphens, blanks, O for 0 and I or L for 1 do not change the password."""
    alike = {"0": "0oO", "1": "1iIlL"}
    typed = ""
    for character in password:
        typed += data.draw(st.sampled_from(alike.get(character, character + character.lower())))
        typed += data.draw(st.text(BETWEEN, max_size=1))
    assert action.read(typed) == password


@pytest.mark.parametrize(
    "typed",
    ["", "-", "ABC", "1" * 9, "1" * 25, "ABCDE-FGHJU", "ABCDE_FGHJK", "\u00df" * 5, "\u017f" * 10, "\u0131" * 10,
     "A" * 10 + "\0", "A" * 10 + "!", "A" * 10 + " " * LONGEST_TYPED],
)  # fmt: skip
def test_malformed_passwords_are_refused(typed: str) -> None:
    """Too few or too many characters, U, and letters that only become ASCII in capitals are refused in one sentence."""
    with pytest.raises(ValueError, match=r"^The password has 10 to 24 letters and digits\.$"):
        action.read(typed)


@given(st.text(max_size=30) | st.text(f"{CROCKFORD}oilu{BETWEEN}\uff11", max_size=30) | passwords)
def test_the_published_pattern_accepts_every_valid_password(text: str) -> None:
    """Every password passes the published pattern; for ASCII texts rule and pattern agree exactly."""
    fits = re.search(TYPED_PATTERN, text) is not None and SHORTEST <= len(text) <= LONGEST_TYPED
    try:
        action.read(text)
    except ValueError:
        assert not (fits and text.isascii())
    else:
        assert fits
