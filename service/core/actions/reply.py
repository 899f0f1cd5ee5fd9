"""The action `reply`: the person answers the message with its two words, and a third one from the screen.

Providers hold back passcodes that people send to them, so the secret is two words of a list of 2,048 (22 bits). Whoever
started the login would gain from a person who answers every message. So the page that started shows a third word, the
`match`: only who sees both approves. It is the same for all sends of a verification, is derived from the id under
`OTP_INDEX_KEY`, and stored nowhere. The two words of a send are different ones, and neither is the match.

What people send is read kindly: case, punctuation, emoji and other words around them do not matter. The two words must
stand side by side and in order. An answer with more than four words of the list, or more than three pairs of them, is
not compared: a long one could hold thousands. So five answers guess a secret once in 280,000 times.
"""

import re
import secrets
import unicodedata
from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple

from service.core.actions.words import WORDS
from service.core.folding import fold
from service.core.keyring import Keyring
from service.core.texts import WORDINGS
from service.core.texts.segments import fitted

LONGEST_TTL_SECONDS = 600
LONGEST_READ = 1600  # characters; no message is longer
SECRET_WORDS = 2
MOST_WORDS = 4
MOST_PAIRS = 3
MATCH_PATTERN = "[a-z]{3,7}"
LONGEST = " ".join(sorted(WORDS, key=len)[-2:])
NO_REPLY = "Reply with the two words of the message."
_KNOWN = frozenset(WORDS)
_LETTERS = re.compile(r"[^\W\d_]+")


class Reply(NamedTuple):
    """What was found in an answer."""

    pairs: tuple[str, ...]  # each two words that may be those of a message; none: too many words to compare
    words: frozenset[str]  # all words of the list in it


def draw(_length: int, _partition: str = "", match: str | None = None) -> str:
    """Draw two different words, neither of which is the match."""
    while True:
        first, second = secrets.choice(WORDS), secrets.choice(WORDS)
        if first != second and match not in (first, second):
            return f"{first} {second}"


def match(keyring: Keyring, verification_id: str) -> str:
    """Derive the word that the page which started shows."""
    return WORDS[keyring.match_number(verification_id, len(WORDS))]


def digests(keyring: Keyring, verification_id: str, words: str) -> tuple[bytes, ...]:
    """Digest two words together with the id of their verification."""
    return keyring.code_digests(verification_id, words)


def shown(words: str, _link_url: str | None = None) -> str:
    """Write the words as the message shows them: as they are."""
    return words


def text(shown: str, *, brand: str, locale: str, web_origin: str | None, app_hash: str | None) -> str:
    """Write the message. Raises `ValueError` with an origin or an app's hash: nothing fills a reply in."""
    if web_origin is not None or app_hash is not None:
        raise ValueError("a reply is not filled in: web_origin and app_hash are for codes")
    wording = WORDINGS[locale].reply
    return fitted(wording.format(brand=brand, words=shown), wording)


def read(typed: str) -> str:
    """Return the two words of an answer that can hold no others. Raises `ValueError` with a sentence."""
    found = _found(typed[:LONGEST_READ])
    if len(found.pairs) != 1:
        raise ValueError(NO_REPLY)
    return found.pairs[0]


def read_answer(body: str) -> Reply | None:
    """Read an answer; None if no two words of the list stand side by side: then it is not about a verification."""
    found = _found(body[:LONGEST_READ])
    if not found.pairs:
        return None
    may_compare = len(found.words) <= MOST_WORDS and len(found.pairs) <= MOST_PAIRS
    return found if may_compare else found._replace(pairs=())


def found_in(text: str) -> Iterable[str]:
    """Find what may be the two words in a message."""
    return _found(text).pairs


def _found(text: str) -> Reply:
    written = unicodedata.normalize("NFKC", fold(text)).casefold()
    words = _LETTERS.findall(written)
    known = frozenset(words) & _KNOWN
    pairs = (f"{one} {other}" for one, other in pairwise(words) if one != other and one in known and other in known)
    return Reply(tuple(dict.fromkeys(pairs)), known)
