"""Counts the segments of an SMS (3GPP TS 23.038): GSM-7 when every character fits it, else UCS-2."""

from math import ceil

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED = frozenset("^{}\\[~]|€\f")  # an escape and a character: two septets
_GSM7_LIMITS = (160, 153)  # septets in a single segment, and in each of several
_UCS2_LIMITS = (70, 67)  # the same in 16-bit units


def count_segments(body: str) -> int:
    """Return the number of segments of this body; at least 1."""
    if _BASIC.union(_EXTENDED).issuperset(body):
        units, (alone, part) = len(body) + sum(character in _EXTENDED for character in body), _GSM7_LIMITS
    else:
        units, (alone, part) = len(body.encode("utf-16-be")) // 2, _UCS2_LIMITS
    return 1 if units <= alone else ceil(units / part)
