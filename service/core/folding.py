"""Folding: converts what people type or paste to plain ASCII before it is validated.

Decimal digits of any script become 0 to 9. Every kind of space and dash becomes the ASCII one, and full-width
characters their ASCII equivalents. Invisible characters are removed. Nothing else changes: ² is not a decimal digit,
and letters stay letters. `core.codes` and `core.phone` decide what they accept.
"""

import unicodedata

_SIGNS = frozenset("+-(). ")  # what the compatibility forms of Unicode may become, such as full-width ones
_MINUS = "\u2212"  # a mathematical sign, and on some keyboards the only dash
_KEYCAP = "\u20e3"  # the frame of an emoji such as 4️⃣
_INVISIBLE = {*range(0x180B, 0x180E), 0x180F, *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)}  # variation selectors


def fold(text: str) -> str:
    """Convert the characters of a text that have an ASCII equivalent."""
    return text if text.isascii() else "".join(map(_folded, text))


def _folded(character: str) -> str:
    if character.isascii():
        return character
    digit = unicodedata.decimal(character, None)
    if digit is not None:
        return str(digit)
    category = unicodedata.category(character)
    if category == "Cf" or character == _KEYCAP or ord(character) in _INVISIBLE:
        return ""
    if category == "Pd" or character == _MINUS:
        return "-"
    if category in ("Zs", "Zl", "Zp"):
        return " "
    plain = unicodedata.normalize("NFKC", character)
    return plain if plain in _SIGNS else character
