"""How the messages of an API key look, as `otp-service keys` takes it: held to the rules of the settings.

What it refuses is said in a sentence that names the option.
"""

from collections.abc import Callable
from typing import TypeVar

from service.config.forms import check_sender, is_sid, read_locale
from service.config.settings import Settings
from service.config.text_files import read_text
from service.core.api_keys import Look
from service.core.own_texts import parse_own_texts
from service.core.texts.segments import check_brand

Checked = TypeVar("Checked")
_MOST_CHARACTERS = 32_000  # every process reads the texts of all keys twice a minute


def read_look(look: Look, texts_file: str | None, settings: Settings) -> Look:
    """Return a look with the content of a file of texts. Raises `ValueError`; an empty value is as if not given."""
    if texts_file:
        look = look._replace(texts=_checked("--texts", read_text, texts_file))
    look = Look(*(value or None for value in look))
    check_look(look, settings)
    return look._replace(locale=look.locale and read_locale(look.locale))


def check_look(look: Look, settings: Settings) -> None:
    """Refuse what the settings would refuse. Raises `ValueError`."""
    checks: dict[str, Callable[[str], object]] = {
        "brand": check_brand,
        "sender": _check_sender,
        "locale": read_locale,
        "texts": lambda text: _check_texts(text, look.brand or settings.otp_brand, settings),
    }
    for name, value in look.given.items():
        _checked(f"--{name}", checks[name], value)


def _checked(option: str, check: Callable[[str], Checked], value: str) -> Checked:
    try:
        return check(value)
    except ValueError as refusal:
        raise ValueError(f"{option}: {refusal}") from None


def _check_sender(sender: str) -> None:
    if not is_sid("MG", sender):
        check_sender(sender)


def _check_texts(text: str, brand: str, settings: Settings) -> None:
    if len(text) > _MOST_CHARACTERS:
        raise ValueError(f"the file has more than {_MOST_CHARACTERS:,} characters")
    parse_own_texts(text).check(brand, settings.otp_link_url or settings.otp_public_url)
