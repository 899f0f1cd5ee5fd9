"""Segments: how many messages a text costs, and the brand that fits into every text.

One segment holds 160 septets of the GSM 7-bit alphabet (3GPP TS 23.038), or 70 characters if one of them is foreign to
it (UCS-2). A longer text is several segments of 153 septets or 67 characters. What is written in the alphabet stays one
segment; in other languages a text may be two.
"""

import re
from enum import StrEnum
from math import ceil
from typing import NamedTuple

MOST_SEPTETS = 160
MOST_CHARACTERS = 70  # 16-bit units, of which few characters take two
_SEPTETS_OF_SEVERAL = 153
_CHARACTERS_OF_SEVERAL = 67
LONGEST_BRAND = 30
_LIKE_A_CODE = re.compile(r"(?:[0-9][ -]?){4}")  # a phone that looks for the code would fill this in

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED = frozenset("^{}\\[]~|€\f")  # two septets each
_ALPHABET = _BASIC | _EXTENDED


def septets(text: str) -> int | None:
    """Count the GSM-7 septets of a text; None when a character is outside the alphabet."""
    if not _ALPHABET.issuperset(text):
        return None
    return len(text) + sum(map(text.count, _EXTENDED))


class Encoding(StrEnum):
    """How a message travels."""

    GSM_7 = "GSM-7"
    UCS_2 = "UCS-2"


class Size(NamedTuple):
    """What a text takes: its length counts septets in GSM-7, and 16-bit units in UCS-2."""

    encoding: Encoding
    length: int
    segments: int


def measured(text: str) -> Size:
    """Measure a text."""
    length = septets(text)
    if length is not None:
        return Size(Encoding.GSM_7, length, _segments(length, MOST_SEPTETS, _SEPTETS_OF_SEVERAL))
    length = len(text.encode("utf-16-be")) // 2
    return Size(Encoding.UCS_2, length, _segments(length, MOST_CHARACTERS, _CHARACTERS_OF_SEVERAL))


def _segments(length: int, alone: int, of_several: int) -> int:
    return 1 if length <= alone else ceil(length / of_several)


def check_brand(brand: str) -> str:
    """Return a brand that fits every text. Raises `ValueError` with a sentence."""
    if not brand.strip() or (septets(brand) or 999) > LONGEST_BRAND or set(brand) & set("\n\r\f@#"):
        raise ValueError(
            f"the brand must be 1 to {LONGEST_BRAND} characters of the SMS alphabet (GSM-7), no @, # or line break"
        )
    if _LIKE_A_CODE.search(brand):
        raise ValueError("the brand must not hold four digits in a row: phones would take them for the code")
    return brand


def fitted(text: str, wording: str) -> str:
    """Return a text that takes no more than it may: one segment, or two if its wording is outside the SMS alphabet.

    Raises `ValueError` with a sentence.
    """
    size = measured(text)
    if septets(wording) is None:
        if size.segments > 2:  # noqa: PLR2004
            raise ValueError(
                f"the text does not fit two segments of {_CHARACTERS_OF_SEVERAL} characters; "
                "shorten the brand, the origin or the link"
            )
    elif size.segments > 1 or size.encoding is Encoding.UCS_2:
        raise ValueError(
            f"the text does not fit one segment of {MOST_SEPTETS} septets; shorten the brand, the origin or the link"
        )
    return text
