"""Parses the settings of the channels beside text messages."""

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator
from pydantic_settings import NoDecode

from service.config.forms import Optional, bare, is_sid
from service.core.texts import LOCALES


def _check_whatsapp_sender(text: str | None) -> str | None:
    if text is None:
        return None
    sender = text.removeprefix("whatsapp:")
    if not is_sid("MG", sender) and re.fullmatch(r"\+[1-9][0-9]{6,14}", sender) is None:
        raise ValueError("write the number of your WhatsApp sender in E.164 form, or a Messaging Service (MG…)")
    return sender


def _parse_templates(value: Any) -> Any:
    """Read `en=HX…,de=HX…`."""
    if not isinstance(value, str):
        return value
    pairs = [part.partition("=")[::2] for part in value.split(",") if bare(part)]
    templates = {bare(locale): bare(sid) for locale, sid in pairs}
    if not set(templates) <= set(LOCALES):
        raise ValueError(f"write a language before each =, one of {', '.join(LOCALES)}")
    if not all(is_sid("HX", sid) for sid in templates.values()):
        raise ValueError("write templates by their ContentSid, such as en=HX… with 32 hex digits")
    if len(templates) != len(pairs):
        raise ValueError("it contains a language twice; give each language one template")
    return tuple(templates.items())


WhatsAppSender = Annotated[Optional, AfterValidator(_check_whatsapp_sender)]
Templates = Annotated[tuple[tuple[str, str], ...], NoDecode, BeforeValidator(_parse_templates)]
