"""The promises of `service.core.phone`: one spelling per number, and none that nobody can hold."""

import re
import string
from typing import Annotated

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from phonenumbers import PhoneNumberType
from pydantic import Field, TypeAdapter, ValidationError

from service.core.phone import (
    E164_PATTERN,
    CountryNotAllowed,
    InvalidNumber,
    PhoneNumber,
    is_canonical,
    mask,
    parse_number,
)

NUMBER = "+14155552671"
EVERYWHERE: frozenset[str] = frozenset()
WELL_FORMED = re.compile(r"\+[1-9][0-9]{6,14}")
REFUSED_KINDS = [
    PhoneNumberType.PREMIUM_RATE,
    PhoneNumberType.SHARED_COST,
    PhoneNumberType.PERSONAL_NUMBER,
    PhoneNumberType.PAGER,
    PhoneNumberType.VOICEMAIL,
    PhoneNumberType.UAN,
]
# Every one of these means NUMBER to a person, a dialler or a lenient parser.
SPELLINGS = [
    "14155552671",
    "4155552671",
    "0014155552671",
    "01114155552671",
    "+0014155552671",
    "+104155552671",
    "+114155552671",
    "++14155552671",
    "+ 14155552671",
    "+1+4155552671",
    "+1 4155552671",
    "+1 415 555 2671",
    "+1-415-555-2671",
    "+1.415.555.2671",
    "+1/415/555/2671",
    "+1_415_555_2671",
    "+1 (415) 555-2671",
    "(415) 555-2671",
    "+1(0)4155552671",
    "+1[415]5552671",
    "+1~415~5552671",
    " +14155552671",
    "+14155552671 ",
    "\t+14155552671",
    "+14155552671\t",
    "\n+14155552671",
    "+14155552671\n",
    "+14155552671\r\n",
    "+14155552671\0",
    "+14155552671\v",
    "tel:+14155552671",
    "TEL:+14155552671",
    "tel:+1-415-555-2671",
    "tel:4155552671;phone-context=+1",
    "tel:+14155552671;isub=1",
    "sms:+14155552671",
    "whatsapp:+14155552671",
    "+14155552671;ext=9",
    "+14155552671 ext. 9",
    "+14155552671x9",
    "+14155552671#9",
    "+14155552671,,123#",
    "+14155552671,",
    "+14155552671;",
    "+14155552671,+14155552671",
    "+1415555CMR1",
    "+1-415-555-BOSS",
    '"+14155552671"',
    "<+14155552671>",
    "%2B14155552671",
    "&#43;14155552671",
    "+1415555267\u0661",  # Arabic-Indic one
    "+\uff11\uff14\uff11\uff15\uff15\uff15\uff15\uff12\uff16\uff17\uff11",  # full-width digits
    "\uff0b14155552671",  # full-width plus
    "\ufe6214155552671",  # small plus
    "\u279514155552671",  # heavy plus
    "+1415555267\u0967",  # Devanagari one
    "+1415555267\U0001d7cf",  # mathematical bold one
    "+1415555267\u00b9",  # superscript one
    "+1415555267\u2460",  # circled one
    "+1\u200b4155552671",  # zero-width space
    "+1\u200d4155552671",  # zero-width joiner
    "+1\u00a04155552671",  # no-break space
    "+1\u00ad4155552671",  # soft hyphen
    "+1\u20104155552671",  # typographic hyphen
    "\ufeff+14155552671",  # byte order mark
    "\u202a+14155552671\u202c",  # the direction marks that contact apps copy along
    "+14155552671\u2028",  # line separator
    "+14155552671\u0301",  # combining accent
]


def examples(kind: int) -> list[tuple[str, str]]:
    """List the library's example number of a kind for every region: region, E.164."""
    found = []
    for region in sorted(phonenumbers.SUPPORTED_REGIONS):
        number = phonenumbers.example_number_for_type(region, kind)
        if number is not None:
            found.append((region, phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)))
    return found


def test_a_canonical_number_is_accepted_as_it_is() -> None:
    """An E.164 number comes back unchanged, with its region."""
    assert parse_number(NUMBER, EVERYWHERE) == PhoneNumber(NUMBER, "US")


def test_at_least_forty_spellings_are_tried() -> None:
    """The list of spellings is long, without repeats, and holds no canonical one."""
    assert len(set(SPELLINGS)) == len(SPELLINGS) >= 40
    assert NUMBER not in SPELLINGS


def test_a_lenient_parser_takes_the_spellings_for_one_number() -> None:
    """Most spellings do reach the same number elsewhere, so that refusing them is worth something."""
    same = 0
    for spelling in SPELLINGS:
        try:
            number = phonenumbers.parse(spelling, "US")
        except phonenumbers.NumberParseException:
            continue
        same += phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164) == NUMBER
    assert same >= 40


@pytest.mark.parametrize("spelling", SPELLINGS, ids=ascii)
def test_a_number_has_one_spelling(spelling: str) -> None:
    """No second spelling of a number is accepted, so no limit is evaded by writing it otherwise (A7)."""
    with pytest.raises(InvalidNumber):
        parse_number(spelling, EVERYWHERE)


@pytest.mark.parametrize("spelling", [text for text in SPELLINGS if not WELL_FORMED.fullmatch(text)], ids=ascii)
def test_the_form_alone_refuses_most_spellings(spelling: str) -> None:
    """What is not a plus sign and ASCII digits is refused before a lenient parser sees it."""
    with pytest.raises(InvalidNumber, match=r"write the number in E\.164"):
        parse_number(spelling, EVERYWHERE)


@given(st.integers(0, len(NUMBER)), st.text(min_size=1, max_size=3))
def test_nothing_hides_inside_a_number(at: int, stowaway: str) -> None:
    """Whatever is put into a number, it is refused or it is honestly another number."""
    text = NUMBER[:at] + stowaway + NUMBER[at:]
    try:
        number = parse_number(text, EVERYWHERE)
    except (InvalidNumber, CountryNotAllowed):
        return
    assert number.e164 == text
    assert set(stowaway) <= set(string.digits)


@given(st.text("+0123456789", max_size=17) | st.from_regex(r"\+[1-9][0-9]{6,14}", fullmatch=True))
def test_what_is_accepted_is_canonical(text: str) -> None:
    """Every accepted text is ASCII and is the library's own E.164 form of the number it denotes."""
    try:
        number = parse_number(text, EVERYWHERE)
    except (InvalidNumber, CountryNotAllowed):
        return
    canonical = phonenumbers.format_number(phonenumbers.parse(text), phonenumbers.PhoneNumberFormat.E164)
    assert number.e164 == text == canonical
    assert text.isascii()


def test_every_country_s_mobile_number_is_accepted() -> None:
    """The example mobile number of every region is accepted exactly as it is written, national zeros and all."""
    mobiles = examples(PhoneNumberType.MOBILE)
    assert len(mobiles) > 200
    assert [parse_number(number, EVERYWHERE).e164 for _, number in mobiles] == [number for _, number in mobiles]


@pytest.mark.parametrize("kind", REFUSED_KINDS, ids=PhoneNumberType.to_string)
def test_costly_kinds_are_refused_in_every_country(kind: int) -> None:
    """Premium, shared-cost, personal, pager, voicemail and company-wide numbers get no code anywhere."""
    numbers = examples(kind)
    assert len(numbers) >= 10
    for _, number in numbers:
        with pytest.raises(InvalidNumber):
            parse_number(number, EVERYWHERE)


@pytest.mark.parametrize("country_code", sorted(phonenumbers.COUNTRY_CODES_FOR_NON_GEO_REGIONS))
def test_numbers_of_no_country_are_refused(country_code: int) -> None:
    """Satellite, freephone and other international numbers belong to no country and get no code."""
    example = phonenumbers.example_number_for_non_geo_entity(country_code)
    assert example is not None
    number = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
    with pytest.raises((InvalidNumber, CountryNotAllowed)):
        parse_number(number, EVERYWHERE)


@pytest.mark.parametrize(
    ("number", "country"), [("+12423591234", "BS"), ("+18762101234", "JM"), ("+15062345678", "CA"), (NUMBER, "US")]
)
def test_countries_are_told_apart_behind_one_dial_prefix(number: str, country: str) -> None:
    """Allowing the United States allows neither the Bahamas nor Jamaica nor Canada, which share its +1."""
    assert parse_number(number, frozenset({country})).country == country
    with pytest.raises(CountryNotAllowed):
        parse_number(number, frozenset({"US", "CA", "BS", "JM"} - {country}))


@pytest.mark.parametrize(
    "number",
    ["+15558675310", "+999123456789", "+1234567", "+14155552", "+141555526711", "+210123456789", "+999999999999999"],
)
def test_numbers_that_cannot_exist_are_refused(number: str) -> None:
    """A well-formed text outside every numbering plan is refused before it costs anything."""
    with pytest.raises(InvalidNumber):
        parse_number(number, EVERYWHERE)


@pytest.mark.parametrize("number", ["+19002345678", "+14155552671x", "+999123456789", "+4407911123456", "+15558675310"])
def test_a_refusal_does_not_repeat_the_number(number: str) -> None:
    """A refusal carries its reason and never the number, nor does what it was raised from."""
    with pytest.raises(InvalidNumber) as raised:
        parse_number(number, EVERYWHERE)
    error: BaseException | None = raised.value
    while error is not None:
        assert number.strip("+x")[-7:] not in repr(error)
        error = error.__context__


def test_a_refused_country_does_not_repeat_the_number() -> None:
    """Nor does the refusal of a country."""
    with pytest.raises(CountryNotAllowed) as raised:
        parse_number(NUMBER, frozenset({"DE"}))
    assert NUMBER[-7:] not in repr(raised.value)


@pytest.mark.parametrize(("number", "masked"), [(NUMBER, "•" * 10 + "71"), ("+2908123", "•" * 6 + "23")])
def test_a_mask_shows_two_digits(number: str, masked: str) -> None:
    """A masked number keeps its length and shows its last two digits only."""
    assert mask(number) == masked


@given(st.text(max_size=18) | st.text("+0123456789\n \uff11\u0661", max_size=18))
def test_the_schema_and_the_rule_agree_on_the_form(text: str) -> None:
    """What the published pattern refuses, the rule refuses too, and for its form."""
    try:
        TypeAdapter(Annotated[str, Field(pattern=E164_PATTERN)]).validate_python(text)
    except ValidationError:
        with pytest.raises(InvalidNumber, match=r"write the number in E\.164"):
            parse_number(text, EVERYWHERE)


@pytest.mark.parametrize(
    ("text", "is_so"),
    [
        (NUMBER, True), ("+447911123456", True), ("+390612345678", True), ("+15558675310", True),
        ("+19002345678", True), ("+4407911123456", False), ("+49015112345678", False), ("+114155552671", False),
        ("+999123456789", False), ("447911123456", False), ("+44 7911 123456", False), ("", False),
    ],
)  # fmt: skip
def test_a_canonical_number_is_told_from_other_spellings(text: str, is_so: bool) -> None:  # noqa: FBT001 - a table
    """A national zero behind the country code makes another spelling, except in Italy; existence is not asked."""
    assert is_canonical(text) is is_so


@given(st.from_regex(r"\A\+[1-9][0-9]{6,14}\Z") | st.text("+0123456789 \n\u0663", max_size=17))
def test_what_may_be_issued_may_be_looked_for(text: str) -> None:
    """What is accepted is canonical, so that an operator finds it; what is canonical has the form of a number."""
    try:
        parse_number(text, EVERYWHERE)
    except (InvalidNumber, CountryNotAllowed):
        assert not is_canonical(text) or re.fullmatch(r"\+[1-9][0-9]{6,14}", text)
    else:
        assert is_canonical(text)
