"""The action `password`: the person types the temporary password of the message.

A password is 10 to 24 characters of Crockford's Base32 (https://www.crockford.com/base32.html), 5 bits each, shown in
groups of five. The alphabet has no I, L, O and U. So what people type is read kindly: case, hyphens and blanks do not
matter, O is read as 0, I and L as 1, and digits may be of any script.

A password may live for a day. Unlike a code it cannot be filled in by the browser or read by an app.
"""

import re
import secrets
from collections.abc import Iterable
from contextlib import suppress

from service.core.folding import fold
from service.core.keyring import Keyring
from service.core.texts import WORDINGS
from service.core.texts.segments import fitted

SHORTEST = 10  # 50 bits
LONGEST = 24
DEFAULT_LENGTH = 13  # 65 bits: NIST SP 800-63B asks for no limit on guesses from 64 bits
LONGEST_TTL_SECONDS = 86_400
LONGEST_TYPED = 96
NO_PASSWORD = f"The password has {SHORTEST} to {LONGEST} letters and digits."
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_GROUP = 5
_BLANKS = r"\t\n\r "
_LETTER = "[0-9A-TV-Za-tv-z]"  # all but U
# For callers that validate before they send: exact for ASCII, see `code`.
TYPED_PATTERN = (
    rf"^(?:[{_BLANKS}-]*(?:{_LETTER}[{_BLANKS}-]*){{{SHORTEST},{LONGEST}}}"
    rf"|[{_BLANKS}0-9A-TV-Za-tv-z-]*[^\u0000-\u007f](?:[{_BLANKS}0-9A-TV-Za-tv-z-]|[^\u0000-\u007f])*)$"
)
_READ = str.maketrans({"O": "0", "I": "1", "L": "1"} | dict.fromkeys("\t\n\r -", ""))
_IN_A_TEXT = re.compile(rf"(?<![0-9A-Z-])[{_ALPHABET}]{{5}}(?:-[{_ALPHABET}]{{1,5}}){{1,4}}(?![0-9A-Z-])")


def draw(length: int, _partition: str = "", _match: str | None = None) -> str:
    """Draw a password of 10 to 24 characters."""
    if not SHORTEST <= length <= LONGEST:
        raise ValueError(f"a password has {SHORTEST} to {LONGEST} characters, not {length}")
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def match(_keyring: Keyring, _verification_id: str) -> None:
    """Say that the page which started shows nothing: the person types the secret there."""


def repeated(code: str, length: int) -> str:
    """Make the password of a test number: its code, repeated to this length."""
    return (code * length)[:length]


def digests(keyring: Keyring, verification_id: str, password: str) -> tuple[bytes, ...]:
    """Digest a password together with the id of its verification."""
    return keyring.code_digests(verification_id, password)


def shown(password: str, _link_url: str | None = None) -> str:
    """Write a password as the message shows it: in groups of five."""
    return "-".join(password[place : place + _GROUP] for place in range(0, len(password), _GROUP))


def text(shown: str, *, brand: str, locale: str, web_origin: str | None, app_hash: str | None) -> str:
    """Write the message. Raises `ValueError` with an origin or an app's hash: nothing fills a password in."""
    if web_origin is not None or app_hash is not None:
        raise ValueError("a password cannot be filled in: web_origin and app_hash are for codes")
    wording = WORDINGS[locale].password
    return fitted(wording.format(brand=brand, password=shown), wording)


def read(typed: str) -> str:
    """Return a typed password in the form that was drawn. Raises `ValueError` with a sentence for the person."""
    folded = fold(typed)
    if folded.isascii() and len(typed) <= LONGEST_TYPED:  # before `upper`, which makes SS of ß
        password = folded.upper().translate(_READ)
        if SHORTEST <= len(password) <= LONGEST and set(password).issubset(_ALPHABET):
            return password
    raise ValueError(NO_PASSWORD)


def found_in(text: str) -> Iterable[str]:
    """Find what may be a password in a message: groups of five, joined by hyphens."""
    found = []
    for shown_one in _IN_A_TEXT.findall(text):
        with suppress(ValueError):
            found.append(read(shown_one))
    return found
