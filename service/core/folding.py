"""Folding: what people type or paste, written in plain ASCII before anything looks at it.

Decimal digits of every script become 0 to 9, blanks and dashes of every kind one of each, full-width signs their
ASCII twins; marks that nobody sees are dropped. Nothing else changes, so that what is wrong stays wrong: ² is no
decimal digit, and a letter is a letter. `core.codes` and `core.phone` say which of it they accept.
"""

import unicodedata

_SIGNS = frozenset("+-(). ")  # what the compatibility forms of Unicode may become, such as full-width ones
_MINUS = "\u2212"  # a mathematical sign, and on some keyboards the only dash
_KEYCAP = "\u20e3"  # the frame of an emoji such as 4️⃣
_INVISIBLE = {*range(0x180B, 0x180E), 0x180F, *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)}  # variation selectors


def fold(text: str) -> str:
    """Write a text in ASCII as far as it has a twin there."""
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
