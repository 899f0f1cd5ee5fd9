"""The action `call`: the person calls our number, and keys in the six digits of the message and two from the screen.

Whoever started the login would gain from a person who calls at every message. So the page that started shows two
digits, the `match`: only who sees both approves. It is the same for all sends of a verification, is derived from the id
under `OTP_INDEX_KEY`, and stored nowhere.

The number of a caller can be forged, so it only says which verifications are meant: the digits decide.
"""

import re
import secrets
from collections.abc import Iterable
from typing import NamedTuple

from service.core.keyring import Keyring
from service.core.texts import WORDINGS
from service.core.texts.segments import fitted

LONGEST_TTL_SECONDS = 600
DIGITS = 6
MATCH_DIGITS = 2
NO_DIGITS = f"Key in the {DIGITS} digits of the message."
_KEYED = re.compile(rf"([0-9]{{{DIGITS}}})([0-9]{{{MATCH_DIGITS}}}|)")
_IN_A_TEXT = re.compile(rf"(?<![0-9+])[0-9]{{{DIGITS}}}(?![0-9])")
_OTHER_KEYS = str.maketrans("", "", "*# ")


class Keyed(NamedTuple):
    """What was keyed in."""

    digits: str
    match: str  # empty if the person paused before it


def draw(_length: int, _partition: str = "", _match: str | None = None) -> str:
    """Draw six digits."""
    return f"{secrets.randbelow(10**DIGITS):0{DIGITS}d}"


def match(keyring: Keyring, verification_id: str) -> str:
    """Derive the two digits that the page which started shows."""
    return keyring.match(verification_id)


def digests(keyring: Keyring, verification_id: str, digits: str) -> tuple[bytes, ...]:
    """Digest six digits together with the id of their verification."""
    return keyring.code_digests(verification_id, digits)


def shown(digits: str, number: str | None) -> str:
    """Write what the message shows: the number to call and the digits. Raises `ValueError` if there is no number."""
    if number is None:
        raise ValueError("there is no number to call; set OTP_CALL_NUMBER")
    return f"{number} {digits}"


def text(shown: str, *, brand: str, locale: str, web_origin: str | None, app_hash: str | None) -> str:
    """Write the message. Raises `ValueError` with an origin or an app's hash."""
    if web_origin is not None or app_hash is not None:
        raise ValueError("a call is not filled in: web_origin and app_hash are for codes")
    number, digits = shown.split(" ")
    wording = WORDINGS[locale].call
    return fitted(wording.format(brand=brand, number=number, digits=digits), wording)


def read(typed: str) -> str:
    """Return the six digits of what was keyed in. Raises `ValueError` with a sentence for the person."""
    keyed = read_keys(typed)
    if keyed is None:
        raise ValueError(NO_DIGITS)
    return keyed.digits


def read_keys(keys: str) -> Keyed | None:
    """Read what was keyed in; None if it is neither six digits nor eight, so that it costs nothing."""
    found = _KEYED.fullmatch(keys.translate(_OTHER_KEYS))
    return None if found is None else Keyed(*found.groups())


def found_in(text: str) -> Iterable[str]:
    """Find what may be the digits in a message."""
    return _IN_A_TEXT.findall(text)
