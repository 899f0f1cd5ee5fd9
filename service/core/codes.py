"""One-time codes: uniform digits from a fresh random secret (HOTP, RFC 4226).

pyotp's HOTP truncates to 31 bits, of which 8 digits are taken: the likeliest of them is 22 to 21 likelier
than the rarest, and beyond 8 the skew grows, so 8 is the limit. Shorter codes are the last of the 8
digits, because pyotp itself makes none under 6.
"""

import pyotp

SHORTEST = 4
LONGEST = 8
# [0-9], not \d: \d also takes full-width and Arabic digits.
CODE_PATTERN = rf"^[0-9]{{{SHORTEST},{LONGEST}}}$"


def draw_code(length: int) -> str:
    """Draw a code of 4 to 8 digits, zero padded. The secret behind it is thrown away."""
    if not SHORTEST <= length <= LONGEST:
        raise ValueError(f"a code has {SHORTEST} to {LONGEST} digits, not {length}")
    return pyotp.HOTP(pyotp.random_base32(), digits=LONGEST).at(0)[-length:]
