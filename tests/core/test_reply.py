"""The promises of `service.core.actions.reply`: unmistakable words, and answers that are read kindly."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.actions import reply
from service.core.actions.words import WORDS
from service.core.keyring import Keyring
from service.core.texts import WORDINGS

KEYRING = Keyring([b"k" * 32], b"i" * 32)
PAIR = "maple cabin"
# Words that opt in or out, or ask for help, at Twilio or in a language of its keyword lists (fr, es, pt, de, it, nl …).
KEYWORDS = {
    *("stop", "stopall", "unsubscribe", "cancel", "end", "quit", "revoke", "optout", "remove", "leave", "out", "off"),
    *(
        "start",
        "yes",
        "unstop",
        "join",
        "subscribe",
        "resume",
        "begin",
        "opt",
        "in",
        "on",
        "help",
        "info",
        "ok",
        "okay",
    ),
    *("no", "accept", "decline", "confirm", "arret", "aide", "oui", "non", "debut", "fin", "alto", "baja", "parar"),
    *("ayuda", "si", "inicio", "salir", "sair", "ajuda", "sim", "iniciar", "stopp", "hilfe", "ende", "nein", "ja"),
    *("aiuto", "fine", "basta", "hulp", "einde", "nee"),
}
OFFENSIVE = {"kill", "bomb", "gun", "drug", "hell", "damn", "ass", "sex", "nude", "slave", "dead", "death", "murder"}

words = st.sampled_from(WORDS)


def mistyped(word: str) -> set[str]:
    """Return what one typing mistake makes of a word: a letter more, less or other, or two letters swapped."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    halves = [(word[:place], word[place:]) for place in range(len(word) + 1)]
    less = {left + right[1:] for left, right in halves if right}
    swapped = {left + right[1] + right[0] + right[2:] for left, right in halves if len(right) > 1}
    other = {left + letter + right[1:] for left, right in halves if right for letter in letters}
    more = {left + letter + right for left, right in halves for letter in letters}
    return (less | swapped | other | more) - {word}


def test_the_list_has_2048_short_words() -> None:
    """22 bits for two words of it: 2,048 words of 3 to 7 small letters, each once, in order."""
    assert len(WORDS) == len(set(WORDS)) == 2048
    assert [word for word in WORDS if not re.fullmatch(reply.MATCH_PATTERN, word)] == []
    assert list(WORDS) == sorted(WORDS)


def test_no_typing_mistake_makes_another_word() -> None:
    """No two words are one typing mistake apart."""
    known = frozenset(WORDS)
    assert {word: found for word in WORDS if (found := mistyped(word) & known)} == {}


def test_no_word_is_a_keyword_or_offends() -> None:
    """No word opts in or out, asks for help or agrees, in any language that Twilio lists; none offends."""
    assert set(WORDS) & (KEYWORDS | OFFENSIVE) == set()


def test_no_word_is_in_a_message() -> None:
    """A quoted message adds no word: no text of ours has one, in any language."""
    texts = [text for wording in WORDINGS.values() for text in wording._replace(sources="")]
    told = {word for text in texts for word in re.findall(r"[^\W\d_]+", re.sub(r"\{\w+\}", " ", text).casefold())}
    assert len(told) > 100
    assert set(WORDS) & told == set()


def test_a_secret_is_two_words_without_the_match() -> None:
    """Two different words are drawn, and never the match: who repeats the message alone must not have it."""
    drawn = [reply.draw(0, "0", WORDS[0]).split() for _ in range(300)]
    assert all(len({*pair, WORDS[0]}) == 3 and set(pair) <= set(WORDS) for pair in drawn)
    assert len({word for pair in drawn for word in pair}) > 400
    assert len(WORDS) * (len(WORDS) - 1) > 4_190_000


def test_the_match_is_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A draw that has the match, or one word twice, is not used."""
    draws = iter(["maple", "maple", "river", "cabin", "cabin", "river", "maple", "cabin"])
    monkeypatch.setattr(reply.secrets, "choice", lambda _: next(draws))
    assert reply.draw(0, "0", "river") == PAIR


def test_a_match_depends_on_the_verification_and_the_index_key() -> None:
    """One word, the same for every send and after a rotation, spread over the whole list."""
    ids = [f"ve_{number:032x}" for number in range(8000)]
    matches = {each: reply.match(KEYRING, each) for each in ids}
    assert len(set(matches.values())) > 1900
    rotated, other = Keyring([b"n" * 32, b"k" * 32], b"i" * 32), Keyring([b"k" * 32], b"j" * 32)
    assert all(reply.match(rotated, each) == match for each, match in matches.items())
    assert any(reply.match(other, each) != match for each, match in matches.items())


@pytest.mark.parametrize(
    "body",
    [
        "maple cabin river",
        "Maple Cabin, River!",
        "MAPLE CABIN RIVER",
        "river maple cabin",
        "  maple\ncabin\n\nriver\n-- \nSent from my phone",
        "\u201cmaple cabin\u201d \U0001f44d river \U0001f3de\ufe0f thanks",
        "maple-cabin/river",
        "\uff4d\uff41\uff50\uff4c\uff45 cabin river",
        "ma\u200bple cabin river",
        "> Acme: reply to this message with: maple cabin and the word on your screen.\nriver",
        "1. maple 2. cabin 3. river",
    ],
)
def test_an_answer_is_read_kindly(body: str) -> None:
    """Case, punctuation, emoji, quotes, other words and invisible characters do not matter."""
    found = reply.read_answer(body)
    assert found is not None
    assert PAIR in found.pairs
    assert "river" in found.words


@pytest.mark.parametrize(
    "body",
    [
        "",
        "STOP",
        "yes",
        "who is this?",
        "maple",
        "maple and cabin",
        "maple maple",
        "482913",
        "maplecabin",
        "\x00\ud800",
    ],
)
def test_what_has_no_two_words_side_by_side_is_no_answer(body: str) -> None:
    """A body without two adjacent words of the list is about no verification."""
    assert reply.read_answer(body) is None


def test_too_many_words_are_not_compared() -> None:
    """Four words of the list and three pairs are compared; a fifth word, or a fourth pair, makes a wrong answer."""
    assert reply.read_answer("maple cabin river acorn") == (
        ("maple cabin", "cabin river", "river acorn"), {"maple", "cabin", "river", "acorn"},
    )  # fmt: skip
    assert reply.read_answer("maple cabin river maple cabin").pairs == ("maple cabin", "cabin river", "river maple")
    assert reply.read_answer("maple cabin river acorn maple cabin").pairs == ()
    assert reply.read_answer("maple cabin river acorn abbey").pairs == ()
    assert 5 * reply.MOST_PAIRS / (2048 * 2047) < 5 / 1_000_000


def test_a_long_body_is_read_in_part() -> None:
    """At most 1,600 characters are read."""
    assert reply.read_answer("x" * 1600 + " maple cabin") is None
    assert reply.read_answer("x" * 1588 + " maple cabin") is not None
    assert reply.read_answer("maple cabin " + "x" * 10**6) == (("maple cabin",), {"maple", "cabin"})


@given(st.text(max_size=200), words, words, st.text(max_size=200))
def test_the_words_are_found_anywhere(before: str, one: str, other: str, after: str) -> None:
    """Two words side by side are found, whatever stands around them."""
    found = reply.read_answer(f"{before} {one} {other} {after}")
    assert (found is None) == (one == other) or found is not None
    if one != other:
        assert found is not None
        assert found.pairs == () or f"{one} {other}" in found.pairs


def test_what_is_no_pair_is_refused() -> None:
    """`read` takes an answer that can mean one pair only."""
    assert reply.read("Maple, cabin!") == PAIR
    for typed in ("maple", "maple cabin river"):
        with pytest.raises(ValueError, match="two words"):
            reply.read(typed)
