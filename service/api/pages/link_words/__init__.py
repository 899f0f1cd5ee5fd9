"""The words of the page of a link: one module for each language of the messages.

None of them is reviewed by an independent source.
"""

from collections.abc import Mapping

from service.api.pages.link_words.words import Words
from service.core.texts.languages import LOCALES, module_of

WORDS: Mapping[str, Words] = {locale: module_of(__name__, locale).WORDS for locale in LOCALES}
ENGLISH = WORDS["en"]


def words_of(locale: str) -> Words:
    """Return the words of a locale, or English."""
    return WORDS.get(locale, ENGLISH)
