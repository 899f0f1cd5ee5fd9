"""The promises of `service.core.texts` and the message of a code: one segment, an exact last line, an unforgeable code.

The alphabet is written here a second time, by code point from the tables of 3GPP TS 23.038, so that
a mistake in either place shows.
"""

import re
import unicodedata
from importlib import import_module
from urllib.parse import urlsplit

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from service.core.actions import Action
from service.core.actions.code import LONGEST, text
from service.core.message_texts import MessageTexts
from service.core.texts import LOCALES, UNREVIEWED, WORDINGS
from service.core.texts.segments import LONGEST_BRAND, check_brand, measured, septets
from service.core.verification import VerificationRequest
from service.sandbox.segments import count_segments

LONGEST_ORIGIN = 64
USUAL_ORIGIN = 30
RIGHT_TO_LEFT = ("ar", "fa", "he", "ur")
MOST_SEPTETS = 160  # 3GPP TS 23.038: 140 bytes of seven bits
APP_HASH = "FA+9qCX9VSu"
MOST_RETRIEVER_BYTES = 140
BASIC = frozenset(
    map(
        chr,
        [
            0x40,
            0xA3,
            0x24,
            0xA5,
            0xE8,
            0xE9,
            0xF9,
            0xEC,
            0xF2,
            0xC7,
            0x0A,
            0xD8,
            0xF8,
            0x0D,
            0xC5,
            0xE5,
            0x394,
            0x5F,
            0x3A6,
            0x393,
            0x39B,
            0x3A9,
            0x3A0,
            0x3A8,
            0x3A3,
            0x398,
            0x39E,
            0xC6,
            0xE6,
            0xDF,
            0xC9,
            0x20,
            0x21,
            0x22,
            0x23,
            0xA4,
            *range(0x25, 0x40),
            0xA1,
            *range(0x41, 0x5B),
            0xC4,
            0xD6,
            0xD1,
            0xDC,
            0xA7,
            0xBF,
            *range(0x61, 0x7B),
            0xE4,
            0xF6,
            0xF1,
            0xFC,
            0xE0,
        ],
    )
)
EXTENDED = frozenset(map(chr, [0x0C, 0x5B, 0x5C, 0x5D, 0x5E, 0x7B, 0x7C, 0x7D, 0x7E, 0x20AC]))

gsm_texts = st.text(sorted(BASIC | EXTENDED), max_size=40)
codes = st.from_regex(r"[0-9]{4,8}", fullmatch=True, alphabet=st.characters(codec="ascii"))
origins = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,18}[a-z0-9])?(\.[a-z]{2,12}){1,3}", fullmatch=True).filter(str.isascii)
app_hashes = st.from_regex(r"[A-Za-z0-9+/]{11}", fullmatch=True, alphabet=st.characters(codec="ascii"))
locales = st.sampled_from(LOCALES)


def is_brand(text: str) -> bool:
    try:
        check_brand(text)
    except ValueError:
        return False
    return True


brands = (st.text(sorted((BASIC | EXTENDED) - set("\n\r\f@#")), min_size=1, max_size=LONGEST_BRAND)).filter(is_brand)


def is_gsm(locale: str) -> bool:
    return septets(WORDINGS[locale].code) is not None


def parse_origin_bound(message: str) -> tuple[str, str] | None:
    """Read host and code from the last line, as the WICG text "Origin-bound one-time codes" parses it."""
    last_line = re.sub("\r\n?", "\n", message).split("\n")[-1]
    found = re.fullmatch(r"@([^\t\n\f\r ]+) #([^\t\n\f\r ]+)(?:[\t\n\f\r ].*)?", last_line)
    return None if found is None else (found[1], found[2])


def test_the_alphabet_has_its_size() -> None:
    """GSM-7 has 127 characters of one septet (without the escape) and 10 of two."""
    assert (len(BASIC), len(EXTENDED)) == (127, 10)


def test_every_character_is_counted_by_the_standard() -> None:
    """Every character of the basic plane counts as one septet, two septets, or not in GSM-7."""
    counted = {character: septets(character) for character in map(chr, range(0x10000))}
    assert {character for character, count in counted.items() if count == 1} == BASIC
    assert {character for character, count in counted.items() if count == 2} == EXTENDED
    assert set(counted.values()) == {None, 1, 2}


@given(gsm_texts, gsm_texts)
def test_septets_add_up(left: str, right: str) -> None:
    """A text counts as the sum of its characters, wherever it is split."""
    assert septets(left + right) == (septets(left) or 0) + (septets(right) or 0)
    assert septets(left) == len(left) + sum(character in EXTENDED for character in left)


@given(gsm_texts, gsm_texts, st.characters(exclude_characters=sorted(BASIC | EXTENDED)))
def test_one_character_outside_the_alphabet_is_reported(left: str, right: str, foreign: str) -> None:
    """One character outside the alphabet is reported, because it would halve the length of the segment."""
    assert septets(left + foreign + right) is None


@pytest.mark.parametrize("character", ["`", "\u2019", "\u201c", "\u2013", "\u2026", "\u00e7", "\t", "\x1b", "\uff11"])
def test_look_alikes_are_outside_the_alphabet(character: str) -> None:
    """Typographic quotes and dashes, small c-cedilla, tab and full-width digits are not in GSM-7."""
    assert septets(character) is None


LONG_BRANDS = pytest.mark.parametrize(
    "brand", ["B" * LONGEST_BRAND, "€" * (LONGEST_BRAND // 2)], ids=["basic", "extended"]
)


@pytest.mark.parametrize("locale", LOCALES)
@LONG_BRANDS
@pytest.mark.parametrize("origin", [None, "o" * USUAL_ORIGIN], ids=["plain", "origin"])
def test_the_longest_text_of_every_language_fits_one_segment(locale: str, brand: str, origin: str | None) -> None:
    """With the longest brand and code, and an origin of 30 characters, a message in every language is one segment."""
    message = text("8" * LONGEST, brand=check_brand(brand), locale=locale, web_origin=origin, app_hash=None)
    assert measured(message).segments == 1
    assert (brand in message) is (origin is None or is_gsm(locale)), "only the origin line takes the place of a brand"


@pytest.mark.parametrize("locale", LOCALES)
@LONG_BRANDS
def test_the_longest_origin_costs_a_segment_only_outside_the_alphabet(locale: str, brand: str) -> None:
    """With the longest origin too, a message is one segment in the SMS alphabet, and two in other languages."""
    message = text(
        "8" * LONGEST, brand=check_brand(brand), locale=locale, web_origin="o" * LONGEST_ORIGIN, app_hash=None
    )
    assert measured(message).segments == (1 if is_gsm(locale) else 2)


@pytest.mark.parametrize("locale", LOCALES)
def test_a_usual_message_has_its_brand(locale: str) -> None:
    """With a brand and an origin of usual length, every language names the brand and is one segment."""
    message = text("583092", brand="Acme", locale=locale, web_origin="login.example.com", app_hash=None)
    assert "Acme" in message
    assert measured(message).segments == 1


@pytest.mark.parametrize("locale", LOCALES)
def test_a_brief_text_exists_where_it_is_needed(locale: str) -> None:
    """Languages outside the SMS alphabet, and only they, have a text without the brand."""
    assert (WORDINGS[locale].brief_code == "") is is_gsm(locale)


@pytest.mark.parametrize("locale", LOCALES)
def test_a_language_says_whether_it_is_reviewed(locale: str) -> None:
    """A module says that its language is unreviewed, unless it names two sources of different hosts."""
    wording = WORDINGS[locale]
    module = import_module(f"service.core.texts.{locale.lower().replace('-', '_')}")
    assert module.__doc__ is not None
    assert module.__doc__.endswith(", unreviewed.") is (locale in UNREVIEWED) is (not wording.is_reviewed)
    sources = wording.sources.split()
    assert len({urlsplit(source).hostname for source in sources}) == len(sources)


def test_there_are_enough_languages() -> None:
    """There are texts in at least 34 languages, of which no two are the same."""
    assert len({wording.code for wording in WORDINGS.values()}) >= 34


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("action", Action)
def test_a_text_is_spelled_in_one_way(locale: str, action: Action) -> None:
    """Texts are composed (NFC), have no invisible character, and begin and end with none that is lost on the way."""
    wording = getattr(WORDINGS[locale], action)
    assert unicodedata.normalize("NFC", wording) == wording
    assert [each for each in wording if unicodedata.category(each) in ("Cf", "Cc", "Zl", "Zp") and each != "\n"] == []
    assert wording == wording.strip()
    assert wording.isprintable() or locale in RIGHT_TO_LEFT


@pytest.mark.parametrize("locale", RIGHT_TO_LEFT)
@pytest.mark.parametrize("action", Action)
def test_a_text_from_right_to_left_is_read_so(locale: str, action: Action) -> None:
    """Its first letter sets the direction, so it is of the language; a secret with letters has its own line."""
    wording = getattr(WORDINGS[locale], action)
    secret = re.search(r"\{(?!brand)\w+\}", wording)
    assert secret is not None
    first = next(each for each in re.sub(r"\{code\}", "", wording) if each.isalpha() or each == "{")
    assert unicodedata.bidirectional(first) in ("R", "AL")
    assert f"\n{secret[0]}\n" in wording or wording.startswith("{code} ")


@given(st.text(sorted(BASIC | EXTENDED | set("іदは\U0001f511")), max_size=700))
def test_segments_are_those_that_the_simulator_counts(message: str) -> None:
    """Our count of segments is that of the simulator, which has a table of its own."""
    assert measured(message).segments == count_segments(message)


@given(brand=brands, code=codes, locale=locales, origin=st.none() | origins, app_hash=st.none() | app_hashes)
def test_a_message_is_one_segment_or_refused(
    brand: str, code: str, locale: str, origin: str | None, app_hash: str | None
) -> None:
    """No message is longer than one segment, or two outside the SMS alphabet, whatever the input."""
    try:
        message = text(code, brand=brand, locale=locale, web_origin=origin, app_hash=app_hash)
    except ValueError:
        assert origin is not None
        return
    assert measured(message).segments <= (1 if is_gsm(locale) else 2)
    assert (septets(message) is not None) is is_gsm(locale)


def test_a_text_over_one_segment_is_refused() -> None:
    """An origin too long for the segment is refused with a message, not truncated."""
    with pytest.raises(ValueError, match="does not fit one segment"):
        text("123456", brand="Acme", locale="en", web_origin="o" * 140, app_hash=None)


def test_an_origin_outside_the_alphabet_is_refused() -> None:
    """An origin outside GSM-7 is refused, because it would need two segments."""
    with pytest.raises(ValueError, match="does not fit one segment"):
        text("123456", brand="Acme", locale="en", web_origin="log\u0131n.example", app_hash=None)


def test_the_webotp_message_is_exact() -> None:
    """The origin-bound line is last, after an empty line, with one space inside and nothing after it."""
    message = text("123456", brand="Acme", locale="en", web_origin="login.example.com", app_hash=None)
    assert message == "Your Acme code is 123456. Do not share it.\n\n@login.example.com #123456"


def test_the_message_for_a_frame_is_exact() -> None:
    """The host of the frame follows the code, after a blank and @, without a scheme, as the WICG text has it."""
    request = VerificationRequest("US", web_origin="shop.example", embedded_origin="pay.example")
    message = MessageTexts("Acme").write(request, "123456")
    assert message == "Your Acme code is 123456. Do not share it.\n\n@shop.example #123456 @pay.example"
    assert parse_origin_bound(message) == ("shop.example", "123456")


@pytest.mark.parametrize("locale", LOCALES)
def test_two_usual_hosts_fit_every_language(locale: str) -> None:
    """Two hosts of 30 characters leave room for every text with the longest brand and code."""
    host = "o" * USUAL_ORIGIN
    request = VerificationRequest("US", locale=locale, web_origin=host, embedded_origin=host)
    message = MessageTexts("B" * LONGEST_BRAND).write(request, "8" * LONGEST)
    assert measured(message).segments <= (1 if is_gsm(locale) else 2)
    assert message.endswith(f"@{host} #{'8' * LONGEST} @{host}")


@given(brand=brands, code=codes, locale=locales, origin=origins)
def test_a_browser_reads_origin_and_code(brand: str, code: str, locale: str, origin: str) -> None:
    """A browser finds host and code in every origin-bound message, and no line end after them."""
    assume(len(origin) <= LONGEST_ORIGIN)
    message = text(code, brand=brand, locale=locale, web_origin=origin, app_hash=None)
    assert message.split("\n")[-2:] == ["", f"@{origin} #{code}"]
    assert parse_origin_bound(message) == (origin, code)


@given(brand=brands, code=codes, locale=locales)
def test_a_plain_message_binds_no_origin(brand: str, code: str, locale: str) -> None:
    """Without an origin the message is one line that no browser parses as origin-bound, whatever the brand."""
    message = text(code, brand=brand, locale=locale, web_origin=None, app_hash=None)
    assert parse_origin_bound(message) is None
    assert "\n" not in message
    assert brand in message
    # The brand may consist of digits.
    assert code in message.replace(brand, "", 1) or code in "".join(message.rsplit(brand, 1))


@given(brand=brands, code=codes, locale=locales, app_hash=app_hashes)
def test_a_retriever_message_is_short_and_ends_with_its_hash(brand: str, code: str, locale: str, app_hash: str) -> None:
    """Android's SMS Retriever gets at most 140 bytes, with the code inside and the hash at the very end."""
    message = text(code, brand=brand, locale=locale, web_origin=None, app_hash=app_hash)
    assert len(message.encode()) <= MOST_RETRIEVER_BYTES
    assert message.split("\n")[-1] == app_hash
    assert code in message


@pytest.mark.parametrize("locale", LOCALES)
def test_the_longest_retriever_message_is_short_enough(locale: str) -> None:
    """With the longest brand, even in two-byte letters, every language stays within the Retriever's 140 bytes."""
    message = text(
        "8" * LONGEST, brand=check_brand("é" * LONGEST_BRAND), locale=locale, web_origin=None, app_hash=APP_HASH
    )
    assert len(message.encode()) <= MOST_RETRIEVER_BYTES


def test_origin_and_hash_do_not_interfere() -> None:
    """A message for both browser and app is refused or serves both; it never silently serves only one of them."""
    try:
        message = text("123456", brand="Acme", locale="en", web_origin="a.example", app_hash=APP_HASH)
    except ValueError:
        return
    assert parse_origin_bound(message) == ("a.example", "123456")
    assert message.endswith(APP_HASH)


@given(brands)
def test_a_valid_brand_is_returned_unchanged(brand: str) -> None:
    """A valid brand is returned unchanged, and fits every language."""
    assert check_brand(brand) == brand
    assert (septets(brand) or 999) <= LONGEST_BRAND


@pytest.mark.parametrize(
    "brand",
    [
        "",
        " ",
        "B" * 31,
        "€" * 16,
        "Acme\n@evil.example #000000",
        "Ac\rme",
        "Ac\fme",
        "Ac@me",
        "Acme #1",
        "Acme\u2122",
        "Gar\u00e7on",
        "Acme\t",
        "\U0001f511",
        "Acme\x1b",
        "\uff21cme",
        "\u00a0",
    ],
)
def test_an_invalid_brand_is_refused(brand: str) -> None:
    """A brand that is empty, too long, outside GSM-7 or able to forge an origin line is refused."""
    with pytest.raises(ValueError, match="the brand must be 1 to 30 characters"):
        check_brand(brand)


@pytest.mark.parametrize("brand", ["{code}", "{brand}", "{0}", "{", "}}", "%s", "\\1"])
def test_a_brand_is_not_a_template(brand: str) -> None:
    """Braces in a brand are printed literally."""
    message = text("123456", brand=check_brand(brand), locale="en", web_origin=None, app_hash=None)
    assert message == f"Your {brand} code is 123456. Do not share it."


@pytest.mark.parametrize("brand", ["Bank 1234", "Expo 2026", "12 34 Club", "4-4-4-4", "Acme 583092", "1234"])
def test_a_brand_that_looks_like_a_code_is_refused(brand):
    """A brand with four digits in a row, spaces or hyphens included, is refused: phones may fill it in as the code."""
    with pytest.raises(ValueError, match="four digits in a row"):
        check_brand(brand)


@pytest.mark.parametrize("brand", ["Studio 54", "Forever 21", "7-Eleven", "24/7 Help", "3M", "Route 66 Bar 1"])
def test_a_brand_may_have_a_number(brand):
    """Up to three digits in a row are accepted: no code is that short."""
    assert check_brand(brand) == brand
