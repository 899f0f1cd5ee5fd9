"""How the sample site's back end calls the service: a limit of time, one repeat, and an answer whatever happens.

A connection can end while a request is under way: a process of the service stops, or a proxy closes what was idle. Then
nobody knows whether the request arrived. With its Idempotency-Key it may be repeated all the same: the service does
nothing twice and repeats its response. If no response comes, `call` returns an answer of its own, with a status and a
sentence for the page. It raises nothing, so no failure of the service becomes a 500 of the site.
"""

import asyncio
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self

import aiohttp
from pydantic_core import from_json

# Longer than the service waits for Twilio (5 s), shorter than the page waits for this site (10 s).
_PATIENCE_SECONDS = 9.0
_TRIES = 2
# The service's opinion of this site, or its own fault. The person can do nothing about it.
_NOT_FOR_THE_PAGE = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.INTERNAL_SERVER_ERROR})


@dataclass(frozen=True, slots=True)
class Answer:
    """What the service answered, or what the site answers in its place."""

    status: int
    content: dict[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Return whether the service did what it was asked."""
        return self.status < HTTPStatus.BAD_REQUEST


def _unavailable(status: HTTPStatus) -> Answer:
    return Answer(status, {"code": "unavailable", "detail": "We cannot do this right now. Try again in a moment."})


_NOT_UNDERSTOOD = _unavailable(HTTPStatus.BAD_GATEWAY)
_UNREACHABLE = _unavailable(HTTPStatus.SERVICE_UNAVAILABLE)
_TOO_SLOW = Answer(
    HTTPStatus.GATEWAY_TIMEOUT, {"code": "timeout", "detail": "The service takes too long. Try again in a moment."}
)


class ServiceClient:
    """Calls one service with one API key."""

    def __init__(self, url: str, api_key: str) -> None:
        self._url = url
        self._api_key = api_key

    async def __aenter__(self) -> Self:
        """Open the session."""
        self._http = aiohttp.ClientSession(
            self._url,
            headers={"Authorization": f"Bearer {self._api_key}"},
            # A new connection for each request: one that was kept might end just as the request is written.
            connector=aiohttp.TCPConnector(force_close=True),
        )
        return self

    async def __aexit__(self, kind: type[BaseException] | None, _: object, __: TracebackType | None) -> None:
        """Close it."""
        await self._http.close()

    async def call(self, method: str, path: str, body: Mapping[str, Any] | None = None, *, key: str = "") -> Answer:
        """Make one request, twice if its connection ends early; `key` is its Idempotency-Key, random by default."""
        headers = {"Idempotency-Key": key or secrets.token_urlsafe(16)} if body is not None else {}
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                for _ in range(_TRIES):
                    if (answer := await self._try(method, path, body, headers)) is not None:
                        return answer
        except TimeoutError:
            return _TOO_SLOW
        return _UNREACHABLE

    async def _try(
        self, method: str, path: str, body: Mapping[str, Any] | None, headers: Mapping[str, str]
    ) -> Answer | None:
        """Make the request once; None if there was no whole response."""
        try:
            async with self._http.request(method, path, json=body, headers=headers) as response:
                return _answer(response.status, response.headers, await response.read())
        except aiohttp.ClientError:
            return None


def _answer(status: int, headers: Mapping[str, str], text: bytes) -> Answer:
    """Read a response; one that is no JSON object is not the service's, but perhaps a proxy's."""
    if status in _NOT_FOR_THE_PAGE:
        return _NOT_UNDERSTOOD
    try:
        content = from_json(text)
    except ValueError:
        return _NOT_UNDERSTOOD
    return Answer(status, content, headers) if isinstance(content, dict) else _NOT_UNDERSTOOD
