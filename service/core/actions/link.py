"""The action `link`: the person opens the link of the message, and types two digits on its page.

Whoever started the login would gain from the click of a careless person. So the page that started shows two digits, the
`match`, and the page of the link asks for them: only who sees both approves. The match is the same for all sends of a
verification. It is derived from the id under `OTP_INDEX_KEY`, and stored nowhere.

Opening a link changes nothing, because scanners and previewers open links before people do.

A token is the partition of its verification and 22 random letters and digits (131 bits). It has no hyphen and no
underscore: at the end of an address some phones leave them out of the link. Each send has its own token. Redis has only
its HMAC, which does not depend on the verification: the token is all that the page has.
"""

import re
import secrets
import string
from collections.abc import Iterable

from service.core.folding import fold
from service.core.keyring import Keyring
from service.core.texts import WORDINGS
from service.core.texts.segments import fitted

LONGEST_TTL_SECONDS = 600
PATH = "/l/"
LONGEST_ORIGIN_TEXT = 80
LONGEST_TYPED_MATCH = 32
NO_MATCH = "Type the two digits that the page shows where you started."
_ALPHABET = string.ascii_letters + string.digits
_RANDOM_CHARACTERS = 22
TOKEN_PATTERN = rf"[0-9a-f][0-9A-Za-z]{{{_RANDOM_CHARACTERS}}}"
_TOKEN = re.compile(TOKEN_PATTERN)
_MATCH = re.compile(r"[0-9]{2}")
_IN_A_TEXT = re.compile(rf"{PATH}({TOKEN_PATTERN})(?![0-9A-Za-z])")
_BETWEEN_DIGITS = str.maketrans("", "", "\t\n\r -")


def draw(_length: int, partition: str, _match: str | None = None) -> str:
    """Draw the token of a link."""
    return partition + "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM_CHARACTERS))


def match(keyring: Keyring, verification_id: str) -> str:
    """Derive the two digits that the page of the link asks for."""
    return keyring.match(verification_id)


def digests(keyring: Keyring, _verification_id: str, token: str) -> tuple[bytes, ...]:
    """Digest a token: one digest, under the key that does not rotate."""
    return (keyring.link_digest(token),)


def shown(token: str, link_url: str | None) -> str:
    """Write a token as the message shows it: as an address. Raises `ValueError` if links have none."""
    if link_url is None:
        raise ValueError("links have no https address; set OTP_LINK_URL or OTP_PUBLIC_URL")
    return f"{link_url}{PATH}{token}"


def text(shown: str, *, brand: str, locale: str, web_origin: str | None, app_hash: str | None) -> str:
    """Write the message. Raises `ValueError` if the address of links does not leave room for the rest."""
    if web_origin is not None or app_hash is not None:
        raise ValueError("a link is not filled in: web_origin and app_hash are for codes")
    wording = WORDINGS[locale].link
    return fitted(wording.format(brand=brand, link=shown), wording)


def read(token: str) -> str:
    """Return a token that has the form of one. Raises `ValueError` with a sentence for the person who opened it."""
    if _TOKEN.fullmatch(token) is None:
        raise ValueError("This is not the whole link. Open it again from the message.")
    return token


def read_match(typed: str) -> str:
    """Return the digits of a typed match. Raises `ValueError` with a sentence for the person who typed it."""
    match = fold(typed).translate(_BETWEEN_DIGITS)
    if len(typed) > LONGEST_TYPED_MATCH or _MATCH.fullmatch(match) is None:
        raise ValueError(NO_MATCH)
    return match


def found_in(text: str) -> Iterable[str]:
    """Find what may be a token in a message: the end of an address."""
    return _IN_A_TEXT.findall(text)
