"""One-time codes: uniform digits from a fresh random secret (HOTP, RFC 4226).

pyotp's HOTP truncates to 31 bits; taken modulo 10^n that is even enough up to 8 digits (the
likeliest code is at most 2 % likelier than the rarest) and skewed beyond, so 8 is the limit.
"""

import re

import pyotp

SHORTEST = 4
LONGEST = 8
# [0-9], not \d: \d also takes full-width and Arabic digits.
CODE_PATTERN = rf"^[0-9]{{{SHORTEST},{LONGEST}}}$"
_CODE = re.compile(CODE_PATTERN)


def draw_code(length: int) -> str:
    """Draw a code of 4 to 8 digits, zero padded. The secret behind it is thrown away."""
    if not SHORTEST <= length <= LONGEST:
        raise ValueError(f"a code has {SHORTEST} to {LONGEST} digits, not {length}")
    return pyotp.HOTP(pyotp.random_base32(), digits=length).at(0)


def is_code(text: str) -> bool:
    """Tell whether a text has the form of a code."""
    return _CODE.fullmatch(text) is not None
