"""Phone numbers: converts what people write to one canonical E.164 number, or refuses it with a precise sentence.

A text is folded (`core.folding`), and blanks, dashes, dots and parentheses are removed; letters, extensions and all
else are refused. A national number is read in the region that comes with it. Limits, records and messages all use the
result, so a number has one identity however it is written:

- A national trunk digit after the country code (`+44 07911 …`, `+7 8 916 …`) is removed; in Italy it is kept.
- Argentina: the 9 of mobiles is added, since messages reach only mobiles (`+54 11 …` becomes `+54 9 11 …`).
- Mexico: the 1 that mobiles had until 2019 and the prefixes of that time are removed (`+52 1 55 …` becomes `+52 55 …`).

No other digits are added: a number in a form that its country has replaced is refused, with the present form in the
sentence. Countries are allowed by region, not by dial prefix: +1 is also the Caribbean.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import phonenumbers
from phonenumbers import PhoneNumberType

from service.core.folding import fold

LONGEST_TYPED = 64
REGIONS = frozenset(phonenumbers.SUPPORTED_REGIONS)  # ISO 3166-1 alpha-2, and XK
UNKNOWN_COUNTRY = "ZZ"  # as in Unicode's CLDR
FORM = "Write the number with a plus sign and the country code, such as +1 415 555 0123."
UNKNOWN_FORM = "This does not look like a phone number of its country. Check it and the country code."
TOO_SHORT = "This number is too short for its country. Check it and the country code."
TOO_LONG = "This number is too long for its country. Check it and the country code."
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_WRITTEN = re.compile(r"\+?[0-9]{4,19}")  # with trunk digits
_BEGUN = re.compile(r"\+[0-9]{1,3}")
_BETWEEN_DIGITS = str.maketrans("", "", "\t\n\r -.()")
_BLANKS = r"\t\n\r .()\-"
# For callers that validate before they send: for ASCII as strict as `_WRITTEN`.
TYPED_PATTERN = (
    rf"^(?:[{_BLANKS}]*\+?[{_BLANKS}]*(?:[0-9][{_BLANKS}]*){{4,19}}"
    rf"|[{_BLANKS}+0-9]*[^\u0000-\u007f](?:[{_BLANKS}+0-9]|[^\u0000-\u007f])*)$"
)
_NON_GEOGRAPHIC = "001"
_ARGENTINE_LINE = re.compile(r"\+54(?!9)([0-9]{10})")
_OLD_MEXICAN = re.compile(r"\+52(?:1|01|044|045)([0-9]{10})")
# Forms from before a country added digits, and the sentence for each.
_OLD_FORMS = (
    (re.compile(r"\+55[1-9]{2}[6-9][0-9]{7}"), "Mobile numbers in Brazil have a 9 behind the area code. Add it."),
    (
        re.compile(r"\+225[0-9]{8}"),
        "Numbers in Côte d'Ivoire have ten digits. Write 01, 05 or 07, then the old number.",
    ),
    (re.compile(r"\+229[0-9]{8}"), "Numbers in Benin have ten digits. Write 01, then the old number."),
)


class LineType(StrEnum):
    """What kind of line a number belongs to, as far as its country's plan tells."""

    MOBILE = "mobile"
    LANDLINE = "landline"
    VOIP = "voip"
    TOLL_FREE = "toll_free"


# Premium, shared-cost, personal, pager, voicemail and company-wide numbers are refused.
_LINE_TYPES: Mapping[int, frozenset[LineType]] = {
    PhoneNumberType.MOBILE: frozenset({LineType.MOBILE}),
    PhoneNumberType.FIXED_LINE: frozenset({LineType.LANDLINE}),
    PhoneNumberType.FIXED_LINE_OR_MOBILE: frozenset({LineType.MOBILE, LineType.LANDLINE}),
    PhoneNumberType.VOIP: frozenset({LineType.VOIP}),
    PhoneNumberType.TOLL_FREE: frozenset({LineType.TOLL_FREE}),
}


_UNREAD = {
    phonenumbers.NumberParseException.TOO_SHORT_AFTER_IDD: TOO_SHORT,
    phonenumbers.NumberParseException.TOO_SHORT_NSN: TOO_SHORT,
    phonenumbers.NumberParseException.TOO_LONG: TOO_LONG,
}
_LENGTHS = {
    phonenumbers.ValidationResult.TOO_SHORT: TOO_SHORT,
    phonenumbers.ValidationResult.IS_POSSIBLE_LOCAL_ONLY: TOO_SHORT,
    phonenumbers.ValidationResult.TOO_LONG: TOO_LONG,
}


class NumberRefused(Exception):
    """No code is sent to this number, whose region is `country`."""

    def __init__(self, sentence: str = "", *, country: str | None = None) -> None:
        super().__init__(sentence)
        self.country = country or UNKNOWN_COUNTRY


class InvalidNumber(NumberRefused):
    """The text is not the number of a person. Carries a sentence for that person, never the number."""


class CountryNotAllowed(NumberRefused):
    """The number's country is not in `OTP_COUNTRIES`."""


class LineTypeNotAllowed(NumberRefused):
    """The number's kind of line is not in `OTP_LINE_TYPES`."""


@dataclass(frozen=True, slots=True)
class NumberPolicy:
    """Which numbers codes are sent to. If no country is listed, all are allowed."""

    countries: frozenset[str] = frozenset()
    line_types: frozenset[LineType] = frozenset(LineType)
    extra_prefixes: Mapping[str, str] = field(default_factory=dict)  # region by prefix, newer than the library


@dataclass(frozen=True, slots=True)
class PhoneNumber:
    """A number that codes may be sent to, and its region (ISO 3166-1 alpha-2)."""

    e164: str
    country: str


def parse_number(typed: str, policy: NumberPolicy, *, country: str | None = None) -> PhoneNumber:
    """Accept a number that codes may be sent to; without a plus sign it is read as a national number of `country`.

    Raises `InvalidNumber`, `CountryNotAllowed` or `LineTypeNotAllowed`.
    """
    e164, number = _canonical(typed, country)
    kind = phonenumbers.number_type(number)
    if kind == PhoneNumberType.UNKNOWN:  # the same as `is_valid_number`, without a second look-up
        region: str | None = _extra_region(e164, number, policy.extra_prefixes)
        kind = PhoneNumberType.FIXED_LINE_OR_MOBILE
    else:
        region = phonenumbers.region_code_for_number(number)
    line_types = _LINE_TYPES.get(kind)
    if line_types is None:
        raise InvalidNumber("Messages are not sent to premium, shared-cost, personal, pager and voicemail numbers.")
    if region is None or region == _NON_GEOGRAPHIC or (policy.countries and region not in policy.countries):
        raise CountryNotAllowed("codes are not sent to this number's country", country=region)
    if not line_types & policy.line_types:
        raise LineTypeNotAllowed("codes are not sent to this kind of line", country=region)
    return PhoneNumber(e164, region)


def canonical_number(typed: str, country: str | None = None) -> str:
    """Return the canonical form of a number, which need not exist or be allowed. Raises `InvalidNumber`."""
    return _canonical(typed, country)[0]


def known_number(typed: str, country: str | None = None) -> str:
    """Return the canonical form of a number that codes may have been sent to, whatever the settings were then.

    Raises `InvalidNumber`, also if the number has too few or too many digits for its country.
    """
    e164, number = _canonical(typed, country)
    if not _is_of_length(number):
        raise InvalidNumber(_what_is_wrong(number))
    return e164


def mask(number: str) -> str:
    """Show only the last two digits, as a front end may."""
    return "•" * (len(number) - 2) + number[-2:]


def _canonical(typed: str, country: str | None) -> tuple[str, phonenumbers.PhoneNumber]:
    written = fold(typed).translate(_BETWEEN_DIGITS) if len(typed) <= LONGEST_TYPED else ""
    if _WRITTEN.fullmatch(written) is None or (country is None and written[0] != "+"):
        raise InvalidNumber(TOO_SHORT if _BEGUN.fullmatch(written) else FORM)
    number = _parsed(written, country)
    e164 = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    if e164.startswith(("+54", "+52")):
        e164, number = _with_present_mobile_prefix(e164, number)
    if _E164.fullmatch(e164) is None:
        raise InvalidNumber(_what_is_wrong(number))
    for old, sentence in _OLD_FORMS:
        if old.fullmatch(e164):
            raise InvalidNumber(sentence)
    return e164, number


def _parsed(text: str, country: str | None) -> phonenumbers.PhoneNumber:
    try:
        return phonenumbers.parse(text, country)
    except phonenumbers.NumberParseException as unread:
        sentence = _UNREAD.get(unread.error_type, "We do not know this country code. Check the number.")
        raise InvalidNumber(sentence) from None


def _with_present_mobile_prefix(e164: str, number: phonenumbers.PhoneNumber) -> tuple[str, phonenumbers.PhoneNumber]:
    """Write an Argentine line as a mobile, and an old Mexican mobile as it is today."""
    if match := _ARGENTINE_LINE.fullmatch(e164):
        present = f"+549{match[1]}"
    elif match := _OLD_MEXICAN.fullmatch(e164):
        present = f"+52{match[1]}"
    else:
        return e164, number
    mobile = _parsed(present, None)
    is_same = phonenumbers.number_type(mobile) in (PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE)
    return (present, mobile) if is_same else (e164, number)


def _extra_region(e164: str, number: phonenumbers.PhoneNumber, prefixes: Mapping[str, str]) -> str:
    """Find the region of a number that the library does not know, by the operator's prefixes."""
    for prefix, region in prefixes.items():
        if e164.startswith(prefix) and _is_of_length(number):
            return region
    raise InvalidNumber(_what_is_wrong(number))


def _what_is_wrong(number: phonenumbers.PhoneNumber) -> str:
    """Say why a number is none of its country: the first thing to look at."""
    return _LENGTHS.get(phonenumbers.is_possible_number_with_reason(number), UNKNOWN_FORM)


def _is_of_length(number: phonenumbers.PhoneNumber) -> bool:
    reason = phonenumbers.is_possible_number_with_reason(number)
    return bool(reason == phonenumbers.ValidationResult.IS_POSSIBLE)
