"""The languages of the messages, and where each of them is.

A language is an entry here and one module in each package of texts: `core.texts`, `core.texts.spoken` (but for those
without a voice) and `api.pages.link_words`. The module of `pt-BR` is `pt_br.py`.
"""

from importlib import import_module
from types import ModuleType

LOCALES = (
    "en", "af", "ar", "bg", "bn", "ca", "cs", "da", "de", "el", "es", "et", "eu", "fa", "fi", "fil", "fr", "he",
    "hi", "hr", "hu", "id", "it", "ja", "ko", "lt", "lv", "ms", "nb", "nl", "pl", "pt-BR", "pt-PT", "ro", "ru", "sk",
    "sl", "sr-Latn", "sv", "sw", "th", "tr", "uk", "ur", "vi", "zh-Hans", "zh-Hant",
)  # fmt: skip


def module_of(package: str, locale: str) -> ModuleType:
    """Import the module of a language from a package of texts."""
    return import_module(f"{package}.{locale.lower().replace('-', '_')}")
