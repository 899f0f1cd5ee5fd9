"""`otp-service texts`: prints what the messages say, in each language, and what they cost in segments."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Annotated, Any, NamedTuple

import typer

from service.cli.console import refuse
from service.cli.listing import AsJson, Cells, show_list
from service.config.policies import message_texts
from service.config.settings import load_settings
from service.core.actions import ACTIONS, Action, password
from service.core.message_texts import MessageTexts
from service.core.texts import LOCALES, UNREVIEWED
from service.core.texts.negotiation import negotiated
from service.core.texts.segments import Size, measured
from service.core.verification import VerificationRequest

_EXAMPLE_ADDRESS = "https://otp.example.com"


class _Row(NamedTuple):
    locale: str
    action: Action
    text: str
    size: Size


def texts(
    *,
    locale: Annotated[str | None, typer.Option(metavar="TAG", help="Only in the language nearest to this tag.")] = None,
    web_origin: Annotated[str | None, typer.Option(metavar="HOST", help="With the line for browsers on HOST.")] = None,
    as_json: AsJson = False,
) -> None:
    """Print the text of each message in each language with an example secret, its length and its segments.

    Unreviewed texts are marked: no two independent public sources agree with them yet.

    Example: otp-service texts --locale de
    """
    settings = load_settings()
    chosen: Sequence[str] = LOCALES
    if locale is not None:
        found = negotiated(locale, LOCALES)
        if found is None:
            refuse(f"There are no texts in this language; there are: {', '.join(LOCALES)}.")
        chosen = [found]
    written = message_texts(settings)
    if written.link_url is None:
        written = MessageTexts(written.brand, _EXAMPLE_ADDRESS)
    rows = _rows(written, chosen, settings.otp_code_length, web_origin)
    asyncio.run(show_list(rows, as_json=as_json, fields=_fields, cells=_cells, empty="There are no texts."))


async def _rows(
    written: MessageTexts, locales: Sequence[str], code_length: int, web_origin: str | None
) -> AsyncIterator[_Row]:
    for locale in locales:
        for action, module in ACTIONS.items():
            secret = module.draw(code_length if action is Action.CODE else password.DEFAULT_LENGTH, "0", None)
            origin = web_origin if action is Action.CODE else None
            request = VerificationRequest("US", locale=locale, action=action, web_origin=origin)
            text = written.write(request, secret)
            yield _Row(locale, action, text, measured(text))


def _fields(row: _Row) -> Mapping[str, Any]:
    return {
        "locale": row.locale,
        "action": str(row.action),
        "encoding": str(row.size.encoding),
        "length": row.size.length,
        "segments": row.size.segments,
        "reviewed": row.locale not in UNREVIEWED,
        "text": row.text,
    }


def _cells(row: _Row) -> Cells:
    return {
        "locale": row.locale,
        "action": str(row.action),
        "encoding": str(row.size.encoding),
        "length": str(row.size.length),
        "segments": str(row.size.segments),
        "state": "unreviewed" if row.locale in UNREVIEWED else "reviewed",
        "text": row.text.replace("\n", " / "),
    }
