"""Phone numbers: strict E.164 in, or a precise refusal.

What a caller sends is the number that is limited, sealed and dialled: nothing is normalised, so
there is no second spelling of the same number (blanks, full-width digits and extensions all parse
leniently elsewhere). Countries are allowed by region, not by dial prefix: +1 is also the Caribbean.
"""

import re
from dataclasses import dataclass

import phonenumbers

E164_PATTERN = r"^\+[1-9][0-9]{6,14}$"
REGIONS = frozenset(phonenumbers.SUPPORTED_REGIONS)  # ISO 3166-1 alpha-2, and XK
_E164 = re.compile(E164_PATTERN)
_NON_GEOGRAPHIC = "001"
_REFUSED_KINDS = frozenset(
    {
        phonenumbers.PhoneNumberType.PREMIUM_RATE,
        phonenumbers.PhoneNumberType.SHARED_COST,
        phonenumbers.PhoneNumberType.PERSONAL_NUMBER,
        phonenumbers.PhoneNumberType.PAGER,
        phonenumbers.PhoneNumberType.VOICEMAIL,
        phonenumbers.PhoneNumberType.UAN,
    }
)


class InvalidNumber(Exception):
    """The text is not an E.164 number that a person can hold. Carries the reason, never the number."""


class CountryNotAllowed(Exception):
    """The number's country is not in `OTP_COUNTRIES`."""


@dataclass(frozen=True, slots=True)
class PhoneNumber:
    """A number that may be sent to, and the region it belongs to (ISO 3166-1 alpha-2)."""

    e164: str
    country: str


def parse_number(text: str, allowed_countries: frozenset[str]) -> PhoneNumber:
    """Accept an exact E.164 number of an allowed country; an empty set allows every country.

    Raises `InvalidNumber` or `CountryNotAllowed`.
    """
    number = _read(text)
    kind = phonenumbers.number_type(number)
    if kind == phonenumbers.PhoneNumberType.UNKNOWN:  # all that `is_valid_number` says, without finding it out twice
        raise InvalidNumber("no such number can exist in its country's numbering plan")
    if kind in _REFUSED_KINDS:
        raise InvalidNumber("premium, shared-cost, personal, pager and voicemail numbers receive no codes")
    country = phonenumbers.region_code_for_number(number)
    if country is None or country == _NON_GEOGRAPHIC or (allowed_countries and country not in allowed_countries):
        raise CountryNotAllowed("codes are not sent to this number's country")
    return PhoneNumber(text, country)


def is_canonical(text: str) -> bool:
    """Tell whether a text is the one spelling of a number; the number need not exist, nor be one that is sent to."""
    try:
        _read(text)
    except InvalidNumber:
        return False
    return True


def mask(number: str) -> str:
    """Show only the last two digits, as a front end may."""
    return "•" * (len(number) - 2) + number[-2:]


def _read(text: str) -> phonenumbers.PhoneNumber:
    if _E164.fullmatch(text) is None:
        raise InvalidNumber("write the number in E.164: a plus sign, then 7 to 15 ASCII digits, and nothing else")
    try:
        number = phonenumbers.parse(text)
    except phonenumbers.NumberParseException:
        raise InvalidNumber("the number has no known country code") from None
    if phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164) != text:
        raise InvalidNumber("the number is not in its canonical E.164 form")
    return number
