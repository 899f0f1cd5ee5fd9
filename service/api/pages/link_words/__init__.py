"""The words of the page of a link: one module for each language, listed here.

A message may have a language for which the page has no words; then the page is in English.
"""

from collections.abc import Mapping

from service.api.pages.link_words import de, en, es, fr, it, nl
from service.api.pages.link_words.words import Words

ENGLISH = en.WORDS
WORDS: Mapping[str, Words] = {
    words.language: words for words in (en.WORDS, de.WORDS, es.WORDS, fr.WORDS, it.WORDS, nl.WORDS)
}


def words_of(locale: str) -> Words:
    """Return the words of a locale, or English."""
    return WORDS.get(locale, ENGLISH)
