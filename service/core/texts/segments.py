"""One segment: the most that a single text message holds, and the brand that fits into every text.

A text is at most 160 septets of the GSM 7-bit alphabet (3GPP TS 23.038); one foreign character would turn it into two
messages of 70.
"""

import re

MOST_SEPTETS = 160
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


def check_brand(brand: str) -> str:
    """Return a brand that fits every text. Raises `ValueError` with a sentence."""
    if not brand.strip() or (septets(brand) or 999) > LONGEST_BRAND or set(brand) & set("\n\r\f@#"):
        raise ValueError(
            f"the brand must be 1 to {LONGEST_BRAND} characters of the SMS alphabet (GSM-7), no @, # or line break"
        )
    if _LIKE_A_CODE.search(brand):
        raise ValueError("the brand must not hold four digits in a row: phones would take them for the code")
    return brand


def one_segment(text: str) -> str:
    """Return a text that fits one segment. Raises `ValueError` with a sentence."""
    length = septets(text)
    if length is None or length > MOST_SEPTETS:
        raise ValueError(
            f"the text does not fit one segment of {MOST_SEPTETS} septets; shorten the brand, the origin or the link"
        )
    return text
