"""One-time codes: uniform digits from a fresh random secret (HOTP, RFC 4226).

pyotp's HOTP truncates to 31 bits, of which 8 digits are taken: the likeliest of them is 22 to 21 likelier
than the rarest, and beyond 8 the skew grows, so 8 is the limit. Shorter codes are the last of the 8
digits, because pyotp itself makes none under 6.

What people type is folded (`core.folding`) before it is taken for a code: `583 092` and `٥٨٣-٠٩٢` are the code 583092.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from secrets import token_bytes

import pyotp

from service.core.folding import fold

SHORTEST = 4
LONGEST = 8
# [0-9], not \d: \d also takes full-width and Arabic digits.
CODE_PATTERN = rf"^[0-9]{{{SHORTEST},{LONGEST}}}$"
LONGEST_TYPED = 64
_BLANKS = r"\t\n\r "
# What may be typed for a code, for callers who look before they send: exact for ASCII. Of other scripts it lets pass
# whatever has no foreign ASCII beside it, because no two dialects of patterns spell "any decimal digit" alike.
TYPED_PATTERN = (
    rf"^(?:[{_BLANKS}-]*(?:[0-9][{_BLANKS}-]*){{{SHORTEST},{LONGEST}}}"
    rf"|[{_BLANKS}0-9-]*[^\u0000-\u007f](?:[{_BLANKS}0-9-]|[^\u0000-\u007f])*)$"
)
_BETWEEN_DIGITS = str.maketrans("", "", "\t\n\r -")
NO_CODE = f"The code has {SHORTEST} to {LONGEST} digits."
_SECRET_BYTES = 20  # as long as RFC 4226 recommends


def draw_code(length: int) -> str:
    """Draw a code of 4 to 8 digits, zero padded. The secret behind it is thrown away."""
    if not SHORTEST <= length <= LONGEST:
        raise ValueError(f"a code has {SHORTEST} to {LONGEST} digits, not {length}")
    return _Hotp(token_bytes(_SECRET_BYTES)).at(0)[-length:]


class _Hotp(pyotp.HOTP):
    """HOTP whose secret was never text: pyotp would read it from Base32 twice, a letter at a time, for every code."""

    def __init__(self, secret: bytes) -> None:
        self._secret_bytes = secret
        super().__init__("", digits=LONGEST)

    def byte_secret(self) -> bytes:
        """Give the secret."""
        return self._secret_bytes


def read_code(typed: str) -> str:
    """Give the digits of a typed code. Raises `ValueError` with a sentence for the person who typed it."""
    code = typed if typed.isascii() and typed.isdigit() else fold(typed).translate(_BETWEEN_DIGITS)
    if SHORTEST <= len(code) <= LONGEST and code.isascii() and code.isdigit() and len(typed) <= LONGEST_TYPED:
        return code
    raise ValueError(NO_CODE)


@dataclass(frozen=True, slots=True)
class Codes:
    """Where the codes of a service come from: fresh ones for all, but a fixed one for each test number.

    A test number is sent nothing, and whoever knows its code is approved as that number and as no other. All else is as
    ever: limits, attempts, expiry, one use.
    """

    fixed: Mapping[str, str] = field(default_factory=dict, repr=False)  # by test number

    def draw(self, number: str, length: int) -> str:
        """Draw a code for a number; a test number has its own, of its own length."""
        return self.fixed.get(number) or draw_code(length)

    def is_fixed(self, number: str) -> bool:
        """Tell whether a number is a test number."""
        return number in self.fixed
