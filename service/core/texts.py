"""The text of a message: one GSM-7 segment, readable by a person and by the phone.

A text is at most 160 septets of the GSM 7-bit alphabet (3GPP TS 23.038); one foreign character
would turn it into two messages of 70. With `web_origin` the last line is origin-bound (WICG
"Origin-bound one-time codes": `@host #code`); with `app_hash` it ends as Android's SMS Retriever asks.
"""

import re
from collections.abc import Mapping

MOST_SEPTETS = 160
LONGEST_BRAND = 30
_LIKE_A_CODE = re.compile(r"(?:[0-9][ -]?){4}")  # a phone that looks for the code would fill this in

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED = frozenset("^{}\\[]~|€\f")  # two septets each
_ALPHABET = _BASIC | _EXTENDED

_TEXTS: Mapping[str, str] = {
    "en": "Your {brand} code is {code}. Do not share it.",
    "de": "Dein {brand}-Code lautet {code}. Gib ihn nicht weiter.",
    "es": "Tu clave de {brand} es {code}. No la compartas.",
    "fr": "Votre code {brand} est {code}. Ne le communiquez pas.",
    "it": "Il tuo codice {brand} è {code}. Non condividerlo.",
    "nl": "Je {brand}-code is {code}. Deel deze niet.",
}
LOCALES = tuple(_TEXTS)


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


def message_text(*, brand: str, code: str, locale: str, web_origin: str | None, app_hash: str | None) -> str:
    """Write the message. The locale must be one of `LOCALES`; a text over one segment raises `ValueError`."""
    if web_origin is not None and app_hash is not None:
        raise ValueError("web_origin and app_hash both want the last line")
    text = _TEXTS[locale].format(brand=brand, code=code)
    if web_origin is not None:
        text += f"\n\n@{web_origin} #{code}"
    if app_hash is not None:
        text += f"\n\n{app_hash}"
    length = septets(text)
    if length is None or length > MOST_SEPTETS:
        raise ValueError(
            f"the text does not fit one segment of {MOST_SEPTETS} septets; shorten the brand or the origin"
        )
    return text
