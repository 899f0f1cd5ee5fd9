"""The texts of messages: one module for each language, listed here. The tests hold each text to one segment."""

from collections.abc import Mapping

from service.core.texts import de, en, es, fr, it, nl
from service.core.texts.wording import Wording

WORDINGS: Mapping[str, Wording] = {
    "en": en.WORDING,
    "de": de.WORDING,
    "es": es.WORDING,
    "fr": fr.WORDING,
    "it": it.WORDING,
    "nl": nl.WORDING,
}
LOCALES = tuple(WORDINGS)
