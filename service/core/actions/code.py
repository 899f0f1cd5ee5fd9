"""The action `code`: the person types the digits of the message.

A code is uniform digits from a fresh random secret (HOTP, RFC 4226). pyotp's HOTP truncates to 31 bits, of which 8
digits are taken: the most likely of them is 22/21 as likely as the least likely. Beyond 8 digits the skew grows, so 8
is the limit. Shorter codes are the last of the 8 digits, because pyotp makes none under 6.

What people type is folded (`core.folding`) before it is read as a code: `583 092` and `٥٨٣-٠٩٢` are the code 583092.

With `web_origin` the last line of the message is origin-bound (WICG "Origin-bound one-time codes": `@host #code`). If
the code is typed in a frame of another host, `embedded_origin`, it is `@host #code @host-of-the-frame`. With `app_hash`
the message ends as Android's SMS Retriever asks, which reads at most 140 bytes.
"""

import re
from collections.abc import Iterable
from secrets import token_bytes

import pyotp

from service.core.folding import fold
from service.core.keyring import Keyring
from service.core.texts import WORDINGS
from service.core.texts.segments import fitted, measured

SHORTEST = 4
LONGEST = 8
LONGEST_TTL_SECONDS = 600
# [0-9], not \d: \d also takes full-width and Arabic digits.
PATTERN = rf"^[0-9]{{{SHORTEST},{LONGEST}}}$"
LONGEST_TYPED = 64
_BLANKS = r"\t\n\r "
# For callers that validate before they send: exact for ASCII. Of other scripts it accepts every character, because no
# two dialects of patterns write "any decimal digit" alike.
TYPED_PATTERN = (
    rf"^(?:[{_BLANKS}-]*(?:[0-9][{_BLANKS}-]*){{{SHORTEST},{LONGEST}}}"
    rf"|[{_BLANKS}0-9-]*[^\u0000-\u007f](?:[{_BLANKS}0-9-]|[^\u0000-\u007f])*)$"
)
_BETWEEN_DIGITS = str.maketrans("", "", "\t\n\r -")
NO_CODE = f"The code has {SHORTEST} to {LONGEST} digits."
_MOST_RETRIEVER_BYTES = 140
_SECRET_BYTES = 20  # as long as RFC 4226 recommends
_IN_A_TEXT = re.compile(rf"(?<![0-9])[0-9]{{{SHORTEST},{LONGEST}}}(?![0-9])")


def draw(length: int, _partition: str = "", _match: str | None = None) -> str:
    """Draw a code of 4 to 8 digits, zero padded. The secret behind it is not kept."""
    if not SHORTEST <= length <= LONGEST:
        raise ValueError(f"a code has {SHORTEST} to {LONGEST} digits, not {length}")
    return _Hotp(token_bytes(_SECRET_BYTES)).at(0)[-length:]


def match(_keyring: Keyring, _verification_id: str) -> None:
    """Say that the page which started shows nothing: the person types the secret there."""


class _Hotp(pyotp.HOTP):
    """HOTP with a secret in bytes: pyotp would decode it from Base32 twice for every code."""

    def __init__(self, secret: bytes) -> None:
        self._secret_bytes = secret
        super().__init__("", digits=LONGEST)

    def byte_secret(self) -> bytes:
        """Return the secret."""
        return self._secret_bytes


def digests(keyring: Keyring, verification_id: str, code: str) -> tuple[bytes, ...]:
    """Digest a code together with the id of its verification."""
    return keyring.code_digests(verification_id, code)


def shown(code: str, _link_url: str | None = None) -> str:
    """Write a code as the message shows it: as it is."""
    return code


def text(code: str, *, brand: str, locale: str, web_origin: str | None, app_hash: str | None) -> str:
    """Write the message. The locale must be one of `LOCALES`; raises `ValueError` if the text does not fit."""
    return with_ending(code, ending(code, web_origin, app_hash), brand=brand, locale=locale)


def with_ending(code: str, last: str, *, brand: str, locale: str) -> str:
    """Write the message with these last lines; without the brand if only that makes it fit."""
    wording = WORDINGS[locale]
    message = wording.code.format(brand=brand, code=code) + last
    if wording.brief_code and last:
        brief = wording.brief_code.format(code=code) + last
        is_for_app = not last.startswith("\n\n@")
        is_too_long = is_for_app and not fits_retriever(message)
        if is_too_long or measured(brief).segments < measured(message).segments:
            message = brief
    return fitted(message, wording.code)


def fits_retriever(message: str) -> bool:
    """Tell whether Android's SMS Retriever would read a message."""
    return len(message.encode()) <= _MOST_RETRIEVER_BYTES


def ending(code: str, web_origin: str | None, app_hash: str | None, embedded_origin: str | None = None) -> str:
    """Write the last line: for a browser on this host, or for an app with this hash; empty if neither is asked for.

    With an embedded origin the browser fills in the code in a frame of that host, on a page of `web_origin`.
    """
    if web_origin is not None and app_hash is not None:
        raise ValueError("web_origin and app_hash both want the last line")
    if web_origin is not None:
        frame = "" if embedded_origin is None else f" @{embedded_origin}"
        return f"\n\n@{web_origin} #{code}{frame}"
    return "" if app_hash is None else f"\n\n{app_hash}"


def read(typed: str) -> str:
    """Return the digits of a typed code. Raises `ValueError` with a sentence for the person who typed it."""
    code = typed if typed.isascii() and typed.isdigit() else fold(typed).translate(_BETWEEN_DIGITS)
    if SHORTEST <= len(code) <= LONGEST and code.isascii() and code.isdigit() and len(typed) <= LONGEST_TYPED:
        return code
    raise ValueError(NO_CODE)


def found_in(text: str) -> Iterable[str]:
    """Find what may be a code in a message: 4 to 8 digits."""
    return _IN_A_TEXT.findall(text)
