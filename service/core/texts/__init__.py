"""The texts of messages: one module for each language. The tests hold each text to its segments.

A language is unreviewed unless its module names two independent public sources.
"""

from collections.abc import Mapping

from service.core.texts.languages import LOCALES, module_of
from service.core.texts.wording import Wording

__all__ = ["LOCALES", "UNREVIEWED", "WORDINGS"]

WORDINGS: Mapping[str, Wording] = {locale: module_of(__name__, locale).WORDING for locale in LOCALES}
UNREVIEWED = tuple(locale for locale, wording in WORDINGS.items() if not wording.is_reviewed)
