"""Twilio's list of messages, read page by page, two pages at most.

The query has the number and the first day (UTC) of sending; later days are included, since a message may be created
before midnight and sent after it. Only messages that were sent through the API count. The link to the next page is
followed only within our own messages, because the request carries our credentials.
"""

from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

from pydantic_core import from_json

from service.core.lost_messages import ListedMessage, LookupFailed
from service.providers.twilio.errors import TwilioRejected
from service.providers.twilio.statuses import delivery_of, error_code_of, is_message_sid, sender_of

_VERSION = "/2010-04-01"
_MOST_PAGES = 2
_PAGE_SIZE = 50


async def list_messages(
    get: Callable[..., Awaitable[Any]], messages: str, number: str, since: date
) -> list[ListedMessage]:
    """List the messages to a number; `get(method, uri, params=)` makes one request, `messages` is their path.

    Raises `LookupFailed`, and nothing else.
    """
    listed: list[ListedMessage] = []
    uri: str | None = messages + ".json"
    # `DateSent>` is Twilio's name for “on this day or later”: it is written `DateSent>=…`.
    params: dict[str, str] | None = {"To": number, "DateSent>": since.isoformat(), "PageSize": str(_PAGE_SIZE)}
    try:
        for _ in range(_MOST_PAGES):
            page = from_json((await get("GET", uri, params=params)).text)
            listed += [message for row in page["messages"] if (message := _read(row, number)) is not None]
            uri, params = _next_page(page, messages), None
            if uri is None:
                break
    except Exception as fault:  # noqa: BLE001 - every failure is translated to one kind
        raise _failure(fault) from None
    return listed


def _next_page(page: dict[str, Any], messages: str) -> str | None:
    uri = page.get("next_page_uri")
    if not isinstance(uri, str) or not uri.startswith(f"{_VERSION}{messages}.json?"):
        return None
    return uri.removeprefix(_VERSION)


def _read(row: dict[str, Any], number: str) -> ListedMessage | None:
    """Read one message; None if it is not one of ours to this number, or cannot be read."""
    sid, body, code = row.get("sid"), row.get("body"), row.get("error_code")
    if row.get("direction") != "outbound-api" or row.get("to") != number:
        return None
    if not isinstance(sid, str) or not is_message_sid(sid) or not isinstance(body, str):
        return None
    try:
        created = parsedate_to_datetime(str(row.get("date_created")))
    except (ValueError, OverflowError):
        return None
    created = created.replace(tzinfo=UTC) if created.tzinfo is None else created
    return ListedMessage(
        sid=sid,
        body=body,
        created_at_ms=int((created - datetime.fromtimestamp(0, UTC)).total_seconds() * 1000),
        status=delivery_of(str(row.get("status"))),
        error_code=error_code_of(str(code)),
        sender=sender_of(str(row.get("from") or "")),
    )


def _failure(fault: Exception) -> LookupFailed:
    if isinstance(fault, TwilioRejected):
        is_forbidden = fault.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
        return LookupFailed(str(fault), retry_after_seconds=fault.pause_seconds, is_forbidden=is_forbidden)
    return LookupFailed(f"no clear answer ({type(fault).__name__})")
