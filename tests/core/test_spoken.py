"""The promises of `service.core.texts.spoken`: what is said on the phone, in which language and by which voice."""

import re
import string
from importlib import import_module
from xml.sax.saxutils import escape

import pytest

from service.core.texts import LOCALES
from service.core.texts.segments import LONGEST_BRAND
from service.core.texts.spoken import SPOKEN, WITHOUT_VOICE, spoken

WITH_BRAND = ("ask", "press_any_key", "code_is")
LANGUAGES_OF = {"ar": "arb", "zh-Hans": "cmn-CN", "zh-Hant": "cmn-TW", "sr-Latn": "sr-RS"}  # where Twilio names another
MOST_CHARACTERS = 4000  # of TwiML in the request that makes a call


@pytest.mark.parametrize("locale", SPOKEN)
def test_every_sentence_of_a_language_is_said(locale: str) -> None:
    """No sentence is empty, and those to which the brand belongs have it; nothing else is filled in."""
    speech = spoken(locale)._replace(voice="any")
    assert all(speech)
    for name, sentence in speech._asdict().items():
        fields = [field for _, field, _, _ in string.Formatter().parse(sentence) if field is not None]
        assert fields == (["brand"] if name in WITH_BRAND else []), name
        assert sentence == sentence.strip()


@pytest.mark.parametrize("locale", SPOKEN)
def test_a_language_is_said_in_that_language(locale: str) -> None:
    """The voice is one of the language, and Amazon's: of the others Twilio chooses one."""
    speech = spoken(locale)
    assert speech.language == LANGUAGES_OF.get(locale) or speech.language.startswith(locale)
    assert re.fullmatch(r"(?:Polly\.[A-Z][a-z]+)?", speech.voice)


def test_languages_without_a_voice_are_said_in_english() -> None:
    """Six of our languages have no voice, and are said in English; so is what is no language of ours."""
    assert WITHOUT_VOICE == ("et", "fa", "hr", "sl", "sw", "ur")
    assert {spoken(locale) for locale in (*WITHOUT_VOICE, "", "xx")} == {spoken("en")}
    assert set(SPOKEN) | set(WITHOUT_VOICE) == set(LOCALES)


@pytest.mark.parametrize("locale", SPOKEN)
def test_a_spoken_language_says_that_it_is_unreviewed(locale: str) -> None:
    """The module of a language says that its sentences are unreviewed."""
    module = import_module(f"service.core.texts.spoken.{locale.lower().replace('-', '_')}")
    assert module.SPOKEN is SPOKEN[locale]
    assert (module.__doc__ or "").endswith("unreviewed.")


@pytest.mark.parametrize("locale", SPOKEN)
def test_the_sentences_leave_room_in_a_call(locale: str) -> None:
    """With the longest brand all sentences of our call take less than half of the TwiML that Twilio accepts."""
    speech = spoken(locale)
    brand = "&" * LONGEST_BRAND
    said = (speech.press_any_key, speech.code_is, speech.once_more, speech.code_said, speech.nothing_keyed)
    assert sum(len(escape(each.format(brand=brand)).encode()) for each in said) < MOST_CHARACTERS / 2
