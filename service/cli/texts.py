"""`otp-service texts`: prints what the messages say, in each language, and what they cost in segments."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, NamedTuple

import typer

from service.app import open_redis
from service.cli.console import refuse
from service.cli.listing import AsJson, Cells, show_list
from service.config.policies import default_profile, message_texts
from service.config.settings import Settings, load_settings
from service.core.actions import ACTIONS, Action, password
from service.core.api_keys import read_api_keys
from service.core.hosts import read_host
from service.core.message_texts import MessageTexts
from service.core.own_texts import Place, longest_secret
from service.core.profiles import profile_of
from service.core.texts import LOCALES, UNREVIEWED
from service.core.texts.negotiation import negotiated
from service.core.texts.segments import Size, measured
from service.core.verification import VerificationRequest
from service.store.ledgers import RedisApiKeys

_STATES = {None: "own", False: "unreviewed", True: "reviewed"}
_EXAMPLE_ADDRESS = "https://otp.example.com"
_EXAMPLE_NUMBER = "+14155550123"


class _Row(NamedTuple):
    country: str | None  # None: of all for which there is no text of their own
    locale: str | None  # None: any
    action: Action
    is_own: bool
    text: str
    size: Size  # with the longest secret


def texts(
    *,
    locale: Annotated[str | None, typer.Option(metavar="TAG", help="Only in the language nearest to this tag.")] = None,
    web_origin: Annotated[str | None, typer.Option(metavar="HOST", help="With the line for browsers on HOST.")] = None,
    key: Annotated[str | None, typer.Option(metavar="NAME", help="As the API key of this name sends them.")] = None,
    as_json: AsJson = False,
) -> None:
    """Print the text of each message in each language with an example secret.

    Length and segments are those with the longest secret that can be asked for.

    Texts of OTP_TEXTS or of the API key are marked as own, and texts of ours as unreviewed: no two independent public
    sources agree with them yet.

    Example: otp-service texts --locale de
    """
    try:
        host = None if web_origin is None else read_host(web_origin)
    except ValueError as refusal:
        refuse(f"--web-origin: {refusal}")
    settings = load_settings()
    chosen: Sequence[str] = LOCALES
    if locale is not None:
        found = negotiated(locale, LOCALES)
        if found is None:
            refuse(f"There are no texts in this language; there are: {', '.join(LOCALES)}.")
        chosen = [found]
    written = message_texts(settings) if key is None else asyncio.run(_of_key(settings, key))
    written = replace(
        written, link_url=written.link_url or _EXAMPLE_ADDRESS, call_number=written.call_number or _EXAMPLE_NUMBER
    )
    places = [place for place in written.own.texts if place.country and place.locale in ("", *chosen)]
    places = [Place("", each, action) for each in chosen for action in ACTIONS] + places
    rows = _rows(written, places, settings.otp_code_length, host)
    asyncio.run(show_list(rows, as_json=as_json, fields=_fields, cells=_cells, empty="There are no texts."))


async def _of_key(settings: Settings, name: str) -> MessageTexts:
    """Return the texts as an API key has them, or refuse."""
    async with open_redis(settings) as scripts:
        keys = read_api_keys(await RedisApiKeys(scripts).api_keys()).values()
    found = next((key for key in keys if key.name == name), None)
    if found is None:
        refuse(f"no key is named {name!r}; see otp-service keys list")
    return profile_of(found, default_profile(settings)).texts


async def _rows(
    written: MessageTexts, places: Sequence[Place], code_length: int, web_origin: str | None
) -> AsyncIterator[_Row]:
    for place in places:
        action = place.action
        secret = ACTIONS[action].draw(code_length if action is Action.CODE else password.DEFAULT_LENGTH, "0", None)
        request = VerificationRequest(
            place.country,
            locale=place.locale or written.default_locale,
            action=action,
            web_origin=web_origin if action is Action.CODE else None,
        )
        text, longest = written.write(request, secret), written.write(request, longest_secret(action))
        is_own = place in written.own.texts
        yield _Row(place.country or None, place.locale or None, action, is_own, text, measured(longest))


def _is_reviewed(row: _Row) -> bool | None:
    return None if row.is_own else row.locale not in UNREVIEWED


def _fields(row: _Row) -> Mapping[str, Any]:
    return {
        "country": row.country,
        "locale": row.locale,
        "action": str(row.action),
        "encoding": str(row.size.encoding),
        "length": row.size.length,
        "segments": row.size.segments,
        "own": row.is_own,
        "reviewed": _is_reviewed(row),
        "text": row.text,
    }


def _cells(row: _Row) -> Cells:
    return {
        "country": row.country or "any",
        "locale": row.locale or "any",
        "action": str(row.action),
        "encoding": str(row.size.encoding),
        "length": str(row.size.length),
        "segments": str(row.size.segments),
        "state": _STATES[_is_reviewed(row)],
        "text": row.text.replace("\n", " / "),
    }
