"""What is said on the phone: one module for each language that has a voice.

The provider lists no voice for the others (`WITHOUT_VOICE`), so on the phone they are English.
"""

from collections.abc import Mapping

from service.core.texts.languages import LOCALES, module_of
from service.core.texts.spoken.sentences import Spoken

WITHOUT_VOICE = ("et", "fa", "hr", "sl", "sw", "ur")
SPOKEN: Mapping[str, Spoken] = {
    locale: module_of(__name__, locale).SPOKEN for locale in LOCALES if locale not in WITHOUT_VOICE
}


def spoken(locale: str) -> Spoken:
    """Return the sentences of a language, or the English ones."""
    return SPOKEN.get(locale, SPOKEN["en"])
