"""The library's requests over our own HTTP session.

twilio-python's asynchronous transport ignores its time-out and its proxy, so this one replaces it. Each call makes one
request: no retry, no redirect, no log line. Any status but 2xx is raised as `TwilioRejected`, with the Retry-After that
the library drops. A body that breaks off after the status counts as empty, and so does that of a refusal if it is too
long; a longer 2xx is no answer of Twilio. What a refusal means is in `errors`.
"""

import json
import logging
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

import aiohttp
from aiohttp.connector import Connection
from twilio.http import AsyncHttpClient  # type: ignore[import-untyped] # the library ships no types
from twilio.http.response import Response  # type: ignore[import-untyped] # as above
from yarl import URL

from service.providers.twilio.errors import NOT_WRITTEN, NotConnected, TwilioRejected
from service.providers.twilio.statuses import error_code_of

MOST_BYTES = 65_536  # of a body; Twilio's message has about 1,500
MOST_BYTES_OF_A_LIST = 1 << 20  # 50 messages of up to 1,600 characters
_LONGEST_PAUSE_SECONDS = 3600.0


class ResponseTooLarge(aiohttp.ClientPayloadError):
    """The body is longer than the limit; the rest was not read."""


class TwilioConnector(aiohttp.TCPConnector):
    """Makes connections without a limit, and raises `NOT_WRITTEN` if one could not be made.

    aiohttp raises the same errors if a proxy closes at CONNECT as if Twilio closes after our request.
    """

    def __init__(self) -> None:
        # Endpoints and worker limit the calls, and a queue here would look like no connection.
        super().__init__(limit=0)

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Any],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - the library's signature
    ) -> Connection:
        """Return a connection on which nothing of this request is written yet. Raises one of `NOT_WRITTEN`."""
        try:
            return await super().connect(req, traces, timeout)
        except NOT_WRITTEN:
            raise
        except (aiohttp.ClientError, OSError) as fault:
            raise NotConnected(type(fault).__name__) from fault


class TwilioTransport(AsyncHttpClient):  # type: ignore[misc] # its base is untyped
    """Sends the requests that the library makes."""

    def __init__(self, http: aiohttp.ClientSession) -> None:
        super().__init__(logging.getLogger(__name__), is_async=True)
        self._http = http

    async def request(  # noqa: PLR0917 - the library's signature
        self,
        method: str,
        url: str,
        params: Mapping[str, str] | None = None,
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,  # noqa: ARG002, ASYNC109 - the library's signature; the session has the time-out
        allow_redirects: bool = False,  # noqa: ARG002, FBT001, FBT002 - the library's signature; redirects are never followed
    ) -> Response:
        """Make one request and return its 2xx answer.

        Raises `TwilioRejected` for any other status, `ResponseTooLarge`, and what aiohttp raises if there is no answer.
        """
        sent_headers = dict(headers or {})
        if auth:
            # Not aiohttp's `auth=`: deprecated there, and gone in aiohttp 4.
            sent_headers["Authorization"] = aiohttp.encode_basic_auth(*auth)
        async with self._http.request(
            method, url, params=params, data=data, headers=sent_headers, allow_redirects=False
        ) as answer:
            body = await read_body(answer, MOST_BYTES_OF_A_LIST if method == "GET" else MOST_BYTES)
        if not HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
            raise TwilioRejected(answer.status, _error_code(body or b""), _retry_after_seconds(answer.headers))
        if body is None:
            raise ResponseTooLarge
        return Response(answer.status, body.decode(errors="replace"), answer.headers)  # JSON is UTF-8 (RFC 8259)


def form_of(fields: Mapping[str, str | int | Sequence[str]]) -> bytes:
    """Encode a form, in C: aiohttp's could be multipart, and is encoded in Python."""
    return URL.build(query=fields).raw_query_string.encode()


async def read_body(answer: aiohttp.ClientResponse, most: int = MOST_BYTES) -> bytes | None:
    """Read the body; None if it has more than `most` bytes. One that breaks off counts as empty."""
    body = b""
    try:
        async for piece in answer.content.iter_any():
            body += piece
            if len(body) > most:
                return None
    except (aiohttp.ClientError, TimeoutError):
        return b""
    return body


def _error_code(text: bytes) -> int | None:
    """Read the code of Twilio's error or of an RFC 9457 problem: both call it `code`."""
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        return None
    code = body.get("code") if isinstance(body, dict) else None
    return error_code_of(str(code))


def _retry_after_seconds(headers: Mapping[str, str]) -> float | None:
    """Read Retry-After (RFC 9110 10.2.3), seconds or a date, at most an hour; None if it is missing or unclear."""
    text = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"[0-9]{1,18}", text):
        return min(float(text), _LONGEST_PAUSE_SECONDS)
    until = _moment(text)
    if until is None:
        return None
    # Relative to the answer's own Date if there is one, because our clock may be wrong.
    since = _moment(headers.get("Date", "")) or datetime.now(UTC)
    return min(max((until - since).total_seconds(), 0.0), _LONGEST_PAUSE_SECONDS)


def _moment(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
