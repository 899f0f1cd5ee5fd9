"""The promises of `service.core.actions.link`: unguessable tokens, whole addresses and two typed digits."""

import re

import pytest

from service.core.actions import link
from service.core.keyring import Keyring

KEYRING = Keyring([b"k" * 32], b"i" * 32)


def test_a_token_names_its_partition_and_is_long_enough() -> None:
    """Beside the partition a token has over 120 random bits, in letters and digits that no phone cuts off a link."""
    tokens = {link.draw(0, "b") for _ in range(200)}
    assert len(tokens) == 200
    assert all(re.fullmatch("b[0-9A-Za-z]{22}", token) for token in tokens)
    assert 62**22 > 2**120
    assert len({token[1:] for token in tokens}) == 200
    assert set("".join(token[1:] for token in tokens)) == set(link._ALPHABET)


def test_a_link_needs_an_address() -> None:
    """Without a public address there are no links, and the sentence says what to set."""
    with pytest.raises(ValueError, match="OTP_LINK_URL or OTP_PUBLIC_URL"):
        link.shown(link.draw(0, "0"), None)


def test_a_link_that_does_not_fit_is_refused() -> None:
    """An address of links that makes the message longer than a segment is refused, not sent in two."""
    shown = link.shown(link.draw(0, "0"), "https://" + "o" * 120)
    with pytest.raises(ValueError, match="one segment"):
        link.text(shown, brand="Acme", locale="en", web_origin=None, app_hash=None)


@pytest.mark.parametrize("typed", ["47", " 47 ", "4 7", "4-7", "\u0664\u0667", "\uff14\uff17"])
def test_a_match_is_read_kindly(typed: str) -> None:
    """Blanks, dashes and digits of any script are the match 47."""
    assert link.read_match(typed) == "47"


@pytest.mark.parametrize("typed", ["", "4", "470", "4x", "\u00b2\u00b2", "47" + " " * 40])
def test_a_malformed_match_is_refused(typed: str) -> None:
    """What is not two digits is refused in one sentence for the person."""
    with pytest.raises(ValueError, match=r"^Type the two digits that the page shows where you started\.$"):
        link.read_match(typed)


@pytest.mark.parametrize("token", ["", "x", "g" + "a" * 22, "0" + "a" * 21, "0" + "a" * 23, "0" + "a" * 21 + "-"])
def test_a_malformed_token_is_refused(token: str) -> None:
    """A token that is cut off, or has another form, is refused before the store is asked."""
    with pytest.raises(ValueError, match="whole link"):
        link.read(token)


def test_a_match_depends_on_the_verification_and_the_index_key() -> None:
    """Two digits, the same for every send and after a rotation, spread over all hundred values."""
    ids = [f"ve_{number:032x}" for number in range(2000)]
    matches = {each: KEYRING.match(each) for each in ids}
    assert set(matches.values()) == {f"{number:02d}" for number in range(100)}
    rotated, other = Keyring([b"n" * 32, b"k" * 32], b"i" * 32), Keyring([b"k" * 32], b"j" * 32)
    assert all(rotated.match(each) == match for each, match in matches.items())
    assert any(other.match(each) != match for each, match in matches.items())


def test_the_digest_of_a_token_survives_a_rotation() -> None:
    """A link is found after the secret keys have rotated, because its name depends on the index key alone."""
    token = link.draw(0, "0")
    assert Keyring([b"n" * 32], b"i" * 32).link_digest(token) == KEYRING.link_digest(token)
    assert Keyring([b"k" * 32], b"j" * 32).link_digest(token) != KEYRING.link_digest(token)
