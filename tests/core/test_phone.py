"""The promises of `service.core.phone`: one canonical form for each number, and only numbers of persons."""

import re
import unicodedata

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from phonenumbers import PhoneNumberType

from service.core.phone import (
    FORM,
    LONGEST_TYPED,
    TOO_LONG,
    TOO_SHORT,
    TYPED_PATTERN,
    UNKNOWN_FORM,
    CountryNotAllowed,
    InvalidNumber,
    LineType,
    LineTypeNotAllowed,
    NumberPolicy,
    PhoneNumber,
    canonical_number,
    mask,
    parse_number,
)

NUMBER = "+14155552671"
EVERYWHERE = NumberPolicy()
WELL_FORMED = re.compile(r"\+[1-9][0-9]{6,14}")
REFUSED_KINDS = [
    PhoneNumberType.PREMIUM_RATE,
    PhoneNumberType.SHARED_COST,
    PhoneNumberType.PERSONAL_NUMBER,
    PhoneNumberType.PAGER,
    PhoneNumberType.VOICEMAIL,
    PhoneNumberType.UAN,
]
# Every one of these means NUMBER, and nothing else.
SPELLINGS = [
    "+ 14155552671", "+1 4155552671", "+1 415 555 2671", "+1-415-555-2671", "+1.415.555.2671", "+1 (415) 555-2671",
    "(+1) 415 555 2671", " +14155552671", "+14155552671 ", "\t+14155552671", "+14155552671\n", "+14155552671\r\n",
    "+1 1 415 555 2671",  # the trunk digit behind the country code
    "+1415555267\u0661",  # Arabic-Indic one
    "+\uff11\uff14\uff11\uff15\uff15\uff15\uff15\uff12\uff16\uff17\uff11",  # full-width digits
    "\uff0b14155552671",  # full-width plus
    "\ufe6214155552671",  # small plus
    "+1415555267\u0967",  # Devanagari one
    "+1415555267\U0001d7cf",  # mathematical bold one
    "+1\u200b4155552671",  # zero-width space
    "+1\u200d4155552671",  # zero-width joiner
    "+1\u00a04155552671",  # no-break space
    "+1\u00ad4155552671",  # soft hyphen
    "+1\u20104155552671",  # typographic hyphen
    "+1\u22124155552671",  # minus
    "+1\uff08415\uff095552671",  # full-width parentheses
    "+1\ufe0f4155552671",  # variation selector
    "\ufeff+14155552671",  # byte order mark
    "\u202a+1 415\u00a0555\u20112671\u202c",  # the direction marks that contact apps copy along
    "+14155552671\u2028",  # line separator
]  # fmt: skip
# Some dialler or lenient parser reads these as NUMBER, but they may mean something else.
NOT_SPELLINGS = [
    "14155552671", "4155552671", "0014155552671", "01114155552671", "+0014155552671", "+104155552671",
    "++14155552671", "+1+4155552671", "+1/415/555/2671", "+1_415_555_2671", "+1(0)4155552671", "+1[415]5552671",
    "+1~415~5552671", "+14155552671\0", "+14155552671\v", "tel:+14155552671", "TEL:+14155552671",
    "tel:4155552671;phone-context=+1", "tel:+14155552671;isub=1", "sms:+14155552671", "whatsapp:+14155552671",
    "+14155552671;ext=9", "+14155552671 ext. 9", "+14155552671x9", "+14155552671#9", "+14155552671,,123#",
    "+14155552671,", "+14155552671;", "+14155552671,+14155552671", "+14155552671 +14155552671", "+1415555CMR1",
    "+1-415-555-BOSS", '"+14155552671"', "<+14155552671>", "%2B14155552671", "&#43;14155552671",
    "\u279514155552671",  # heavy plus
    "+1415555267\u00b9",  # superscript one
    "+1415555267\u2460",  # circled one
    "+14155552671\u0301",  # combining accent
    "+14155552671" + " " * 60,
]  # fmt: skip


def examples(kind: int) -> list[tuple[str, str]]:
    """Return the library's example numbers of a kind: (region, E.164) for every region."""
    found = []
    for region in sorted(phonenumbers.SUPPORTED_REGIONS):
        number = phonenumbers.example_number_for_type(region, kind)
        if number is not None:
            found.append((region, phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)))
    return found


def test_a_canonical_number_is_accepted_as_it_is() -> None:
    """An E.164 number is returned unchanged, with its region."""
    assert parse_number(NUMBER, EVERYWHERE) == PhoneNumber(NUMBER, "US")


@pytest.mark.parametrize("spelling", SPELLINGS, ids=ascii)
def test_a_number_has_one_identity(spelling: str) -> None:
    """Every spelling of a number leads to one identity, which is limited, encrypted and dialled (A7)."""
    assert parse_number(spelling, EVERYWHERE) == PhoneNumber(NUMBER, "US")


@pytest.mark.parametrize("text", NOT_SPELLINGS, ids=ascii)
def test_ambiguous_text_is_refused(text: str) -> None:
    """Extensions, letters, addresses and other text beside a number are refused, not dropped."""
    with pytest.raises(InvalidNumber):
        parse_number(text, EVERYWHERE)


@pytest.mark.parametrize(
    ("typed", "country", "e164"),
    [
        ("(415) 555-2671", "US", NUMBER), ("1 415 555 2671", "US", NUMBER),
        ("011 44 7911 123456", "US", "+447911123456"),
        ("07911 123456", "GB", "+447911123456"), ("0044 7911 123456", "GB", "+447911123456"),
        ("+1 415 555 2671", "GB", NUMBER),
        ("8 916 123-45-67", "RU", "+79161234567"), ("06 12345678", "IT", "+390612345678"),
        ("011 15 2345-6789", "AR", "+5491123456789"), ("044 55 1234 5678", "MX", "+525512345678"),
        ("\u0660\u0661\u0660 0123 4567", "EG", "+201001234567"),
    ],
)  # fmt: skip
def test_a_national_number_is_read_in_its_country(typed: str, country: str, e164: str) -> None:
    """Without a plus sign a number is read as its country writes it; with one, the country does not matter."""
    assert parse_number(typed, EVERYWHERE, country=country).e164 == e164


@pytest.mark.parametrize(
    ("typed", "e164"),
    [
        ("+5491123456789", "+5491123456789"), ("+541123456789", "+5491123456789"),
        ("+54111523456789", "+5491123456789"), ("+52 044 5512345678", "+525512345678"),
        ("+5215512345678", "+525512345678"), ("+5201 55 1234 5678", "+525512345678"),
        ("+4407911123456", "+447911123456"), ("+44 (0)7911 123456", "+447911123456"),
        ("+7 8 9161234567", "+79161234567"),
        ("+36 06 20 123 4567", "+36201234567"), ("+39 (0)6 12345678", "+390612345678"),
        ("+548001234567", "+548001234567"),
    ],
)  # fmt: skip
def test_dialling_variants_are_one_number(typed: str, e164: str) -> None:
    """Trunk digits, Argentina's 9 and 15 and Mexico's old 1 create no second identity; Italy's zero stays."""
    assert parse_number(typed, EVERYWHERE).e164 == e164
    assert canonical_number(typed) == e164


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("+55 11 8765-4321", "Brazil have a 9"), ("+225 07 07 07 07", "ten digits"), ("+229 97 12 34 56", "ten digits"),
    ],
)  # fmt: skip
def test_an_outdated_number_is_refused_with_its_new_form(typed: str, sentence: str) -> None:
    """No digit is added by guesswork: an old form may as well be a new form with a missing digit."""
    with pytest.raises(InvalidNumber, match=sentence):
        parse_number(typed, EVERYWHERE)


@given(st.integers(0, len(NUMBER)), st.text(min_size=1, max_size=3))
def test_no_character_is_hidden_inside_a_number(at: int, inserted: str) -> None:
    """A character inserted into a number is ignored, refused, or makes a visibly different number."""
    text = NUMBER[:at] + inserted + NUMBER[at:]
    try:
        number = parse_number(text, EVERYWHERE)
    except (InvalidNumber, CountryNotAllowed):
        return
    if number.e164 != NUMBER:
        assert any(unicodedata.decimal(character, None) is not None for character in inserted)
    assert not any(unicodedata.category(character)[0] in "LM" for character in inserted if not is_selector(character))


def is_selector(character: str) -> bool:
    """Return whether a character only selects the glyph of the one before it."""
    return character == "\u20e3" or "VARIATION SELECTOR" in unicodedata.name(character, "")


@given(st.text("+0123456789", max_size=17) | st.from_regex(r"\+[1-9][0-9]{6,14}", fullmatch=True))
def test_accepted_numbers_are_canonical(text: str) -> None:
    """The result is E.164 in ASCII, the library's own form, and maps to itself."""
    try:
        number = parse_number(text, EVERYWHERE)
    except (InvalidNumber, CountryNotAllowed):
        return
    assert WELL_FORMED.fullmatch(number.e164)
    assert number.e164 == phonenumbers.format_number(
        phonenumbers.parse(number.e164), phonenumbers.PhoneNumberFormat.E164
    )
    assert parse_number(number.e164, EVERYWHERE) == number


def test_every_country_s_mobile_number_is_accepted() -> None:
    """The example mobile number of every region is accepted unchanged, including national zeros."""
    mobiles = examples(PhoneNumberType.MOBILE)
    assert len(mobiles) > 200
    assert [parse_number(number, EVERYWHERE).e164 for _, number in mobiles] == [number for _, number in mobiles]


def test_every_country_s_national_mobile_number_is_accepted() -> None:
    """The same numbers in national form have the same identities."""
    mobiles = examples(PhoneNumberType.MOBILE)
    at_home = [
        phonenumbers.format_number(phonenumbers.parse(number), phonenumbers.PhoneNumberFormat.NATIONAL)
        for _, number in mobiles
    ]
    read = [
        parse_number(national, EVERYWHERE, country=region).e164
        for (region, _), national in zip(mobiles, at_home, strict=True)
    ]
    assert read == [number for _, number in mobiles]


@pytest.mark.parametrize("kind", REFUSED_KINDS, ids=PhoneNumberType.to_string)
def test_costly_kinds_are_refused_in_every_country(kind: int) -> None:
    """Premium-rate, shared-cost, personal, pager, voicemail and company-wide numbers are refused everywhere."""
    numbers = examples(kind)
    assert len(numbers) >= 10
    for _, number in numbers:
        with pytest.raises(InvalidNumber):
            parse_number(number, EVERYWHERE)


@pytest.mark.parametrize("country_code", sorted(phonenumbers.COUNTRY_CODES_FOR_NON_GEO_REGIONS))
def test_numbers_of_no_country_are_refused(country_code: int) -> None:
    """Satellite, freephone and other international numbers belong to no country and are refused."""
    example = phonenumbers.example_number_for_non_geo_entity(country_code)
    assert example is not None
    number = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
    with pytest.raises((InvalidNumber, CountryNotAllowed)):
        parse_number(number, EVERYWHERE)


@pytest.mark.parametrize(
    ("number", "country"), [("+12423591234", "BS"), ("+18762101234", "JM"), ("+15062345678", "CA"), (NUMBER, "US")]
)
def test_countries_with_a_shared_calling_code_are_distinguished(number: str, country: str) -> None:
    """Allowing the United States does not allow the Bahamas, Jamaica or Canada, which share its +1."""
    assert parse_number(number, NumberPolicy(frozenset({country}))).country == country
    with pytest.raises(CountryNotAllowed):
        parse_number(number, NumberPolicy(frozenset({"US", "CA", "BS", "JM"} - {country})))


@pytest.mark.parametrize(
    "number",
    ["+15558675310", "+999123456789", "+1234567", "+14155552", "+141555526711", "+210123456789", "+999999999999999"],
)
def test_numbers_that_cannot_exist_are_refused(number: str) -> None:
    """A well-formed text outside every numbering plan is refused before it costs anything."""
    with pytest.raises(InvalidNumber):
        parse_number(number, EVERYWHERE)


@pytest.mark.parametrize(
    ("typed", "country", "sentence"),
    [
        ("+1 415 555", None, TOO_SHORT),
        ("+1 41", None, TOO_SHORT),
        ("+44 20", None, TOO_SHORT),
        ("555 2671", "US", TOO_SHORT),  # without its area code
        ("+1 415 555 2671 1", None, TOO_LONG),
        ("+49 171 1234567 890123", None, TOO_LONG),
        ("+15558675310", None, UNKNOWN_FORM),
        ("+999123456789", None, "We do not know this country code. Check the number."),
        ("4155552671", None, FORM),
        ("+12", None, TOO_SHORT),
        ("+", None, FORM),
    ],
)
def test_a_wrong_length_is_called_so(typed: str, country: str | None, sentence: str) -> None:
    """A form says whether digits are missing or too many, and speaks of the plus sign only if that is missing."""
    with pytest.raises(InvalidNumber) as refused:
        parse_number(typed, EVERYWHERE, country=country)
    assert str(refused.value) == sentence


@pytest.mark.parametrize("number", ["+19002345678", "+14155552671x", "+999123456789", "+22507070707", "+15558675310"])
def test_a_refusal_does_not_repeat_the_number(number: str) -> None:
    """A refusal contains its reason and never the number, and neither does its cause."""
    with pytest.raises(InvalidNumber) as raised:
        parse_number(number, EVERYWHERE)
    error: BaseException | None = raised.value
    while error is not None:
        assert number.strip("+x")[-7:] not in repr(error)
        error = error.__context__


def test_a_refused_country_does_not_repeat_the_number() -> None:
    """The refusal of a country does not contain the number, either."""
    with pytest.raises(CountryNotAllowed) as raised:
        parse_number(NUMBER, NumberPolicy(frozenset({"DE"})))
    assert NUMBER[-7:] not in repr(raised.value)


@pytest.mark.parametrize(("number", "masked"), [(NUMBER, "•" * 10 + "71"), ("+2908123", "•" * 6 + "23")])
def test_a_mask_shows_two_digits(number: str, masked: str) -> None:
    """A masked number keeps its length and shows its last two digits only."""
    assert mask(number) == masked


@given(st.text(max_size=70) | st.text("+0123456789 -.()\n\u00a0\uff11\u0661\u200fx", max_size=22))
def test_the_published_pattern_accepts_every_valid_number(text: str) -> None:
    """Every accepted number passes the published pattern."""
    try:
        parse_number(text, EVERYWHERE)
    except (InvalidNumber, CountryNotAllowed):
        return
    assert re.search(TYPED_PATTERN, text)
    assert len(text) <= LONGEST_TYPED


@pytest.mark.parametrize("text", [*SPELLINGS, NUMBER, "(415) 555-2671"], ids=ascii)
def test_the_published_pattern_accepts_every_spelling(text: str) -> None:
    """Every accepted spelling passes the pattern."""
    assert re.search(TYPED_PATTERN, text)


@pytest.mark.parametrize(
    "text", ["+1415555CMR1", "+14155552671;ext=9", "tel:+14155552671", "", "+", "++1415", "1/415/5"]
)
def test_the_published_pattern_refuses_other_text(text: str) -> None:
    """For ASCII texts the pattern accepts only digits, separators and one plus sign."""
    assert re.search(TYPED_PATTERN, text) is None


@pytest.mark.parametrize("kind", list(LineType))
def test_an_unlisted_line_type_is_refused(kind: LineType) -> None:
    """`OTP_LINE_TYPES` selects which of mobile, landline, VoIP and toll-free numbers are accepted (default: all)."""
    own = {
        "mobile": "+447911123456",
        "landline": "+442079460123",
        "voip": "+445612345678",
        "toll_free": "+448001234567",
    }
    assert parse_number(own[kind], NumberPolicy(line_types=frozenset({kind}))).e164 == own[kind]
    with pytest.raises(LineTypeNotAllowed):
        parse_number(own[kind], NumberPolicy(line_types=frozenset(LineType) - {kind}))


@pytest.mark.parametrize("kind", [LineType.MOBILE, LineType.LANDLINE])
def test_a_number_of_two_possible_kinds_needs_one_of_them_listed(kind: LineType) -> None:
    """A number that may be of either kind, as in the United States, is refused only if neither kind is listed."""
    assert parse_number(NUMBER, NumberPolicy(line_types=frozenset({kind}))).e164 == NUMBER
    with pytest.raises(LineTypeNotAllowed):
        parse_number(NUMBER, NumberPolicy(line_types=frozenset({LineType.VOIP, LineType.TOLL_FREE})))


NEW_AREA = NumberPolicy(frozenset({"US"}), extra_prefixes={"+1621": "US"})


def test_an_extra_prefix_is_accepted() -> None:
    """A number unknown to the library is accepted if it has an extra prefix, in the region of that prefix."""
    with pytest.raises(InvalidNumber):
        parse_number("+16215550123", EVERYWHERE)
    assert parse_number("+1 (621) 555-0123", NEW_AREA) == PhoneNumber("+16215550123", "US")


@pytest.mark.parametrize("number", ["+162155501", "+162155501234", "+16225550123", "+1621555"])
def test_an_extra_prefix_changes_no_rule_of_length(number: str) -> None:
    """A number that is too short, too long or has another prefix stays unknown."""
    with pytest.raises(InvalidNumber):
        parse_number(number, NEW_AREA)


def test_an_extra_prefix_allows_no_other_country() -> None:
    """A region that is not listed stays refused, and the library's own knowledge takes precedence."""
    with pytest.raises(CountryNotAllowed):
        parse_number("+16215550123", NumberPolicy(frozenset({"CA"}), extra_prefixes={"+1621": "US"}))
    with pytest.raises(InvalidNumber):
        parse_number("+19002345678", NumberPolicy(extra_prefixes={"+1900": "US"}))


def test_a_refusal_does_not_claim_that_no_such_number_exists() -> None:
    """The library may be older than the number, so the message only asks the person to check it."""
    with pytest.raises(InvalidNumber, match=r"^This does not look like .* Check it") as refused:
        parse_number("+16215550123", EVERYWHERE)
    assert str(refused.value).endswith(".")


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        (NUMBER, NUMBER), ("+447911123456", "+447911123456"), ("+4407911123456", "+447911123456"),
        ("+44 7911 123456", "+447911123456"), ("+390612345678", "+390612345678"), ("+15558675310", "+15558675310"),
        ("+19002345678", "+19002345678"), ("+49 (0)151 12345678", "+4915112345678"),
        ("+541123456789", "+5491123456789"),
    ],
)  # fmt: skip
def test_a_number_is_found_by_its_identity(text: str, canonical: str) -> None:
    """An operator finds a number in whatever spelling; whether it exists does not matter."""
    assert canonical_number(text) == canonical


@pytest.mark.parametrize("text", ["", "+999123456789", "447911123456", "+44 7911 123456 ext 1", "not a number"])
def test_a_partial_number_has_no_identity(text: str) -> None:
    """A partial number finds nothing."""
    with pytest.raises(InvalidNumber):
        canonical_number(text)
