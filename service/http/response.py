"""Responses: the value that endpoints return, its headers, and the security headers of every response."""

from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

import orjson
from starlette.types import Send

from service.http.problems import MEDIA_TYPE, HttpProblem
from service.http_server import RawResponse

JSON = "application/json"
HTML = "text/html; charset=utf-8"
_WITHOUT_LENGTH = frozenset({*range(100, 200), 204, 304})
# No response may be cached or sniffed. What a response itself says of either is dropped.
_ALWAYS = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))
_ALWAYS_NAMES = frozenset(name for name, _ in _ALWAYS)
_POLICY = b"content-security-policy"
# Pages bring a policy of their own. A browser that shows any other response may load and run nothing.
_DEFAULT_POLICY = ((_POLICY, b"default-src 'none'; frame-ancestors 'none'"),)
_SECURITY_NAMES = _ALWAYS_NAMES | {_POLICY}

Header: TypeAlias = tuple[bytes, bytes]


class Response(NamedTuple):
    """A response with its body already serialised."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = MappingProxyType({})
    media_type: str = JSON


def problem_response(problem: HttpProblem) -> Response:
    """Write a problem as JSON."""
    return Response(problem.status, orjson.dumps(problem.members), problem.all_headers, MEDIA_TYPE)


def with_request_id(response: Response, request_id: bytes) -> Response:
    """Name the request in the body of a problem, when the response is written: a kept response gets the new id.

    The id is hex digits and dashes, so it needs no escapes.
    """
    if response.media_type != MEDIA_TYPE or not response.body:
        return response
    return response._replace(body=b'%b,"request_id":"%b"}' % (response.body[:-1], request_id))


async def send_response(response: Response, send: Send, request_id: bytes) -> None:
    """Send a response over ASGI; the middleware adds the security headers and X-Request-Id."""
    response = with_request_id(response, request_id)
    media_type = response.media_type if response.body else None
    length = [(b"content-length", b"%d" % len(response.body))] if _has_length(response.status) else []
    headers = [*length, *_own_headers(response), *_content_type(media_type)]
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})


def raw_response(response: Response, request_id: bytes) -> RawResponse:
    """Write a response for the server, with its request id and the security headers."""
    response = with_request_id(response, request_id)
    status, body, headers, media_type = response
    shown_type = media_type if body else None
    if not headers:
        lines = _lines_without_own(shown_type)
    elif _SECURITY_NAMES.isdisjoint(name.lower().encode() for name in headers):
        lines = _header_lines(_own_headers(response)) + _lines_without_own(shown_type)
    else:
        lines = _header_lines(secured([*_own_headers(response), *_content_type(shown_type)]))
    length = b"content-length: %d\r\n" % len(body) if _has_length(status) else b""
    closes = "connection" in headers  # `close` is the only value that endpoints give it
    return RawResponse(status, b"%b%bx-request-id: %b\r\n" % (length, lines, request_id), body, closes)


def secured(headers: Iterable[Header]) -> list[Header]:
    """Add the security headers."""
    own = [header for header in headers if header[0].lower() not in _ALWAYS_NAMES]
    policy = () if any(name.lower() == _POLICY for name, _ in own) else _DEFAULT_POLICY
    return [*own, *_ALWAYS, *policy]


@lru_cache(maxsize=16)
def _lines_without_own(media_type: str | None) -> bytes:
    return _header_lines(secured(_content_type(media_type)))


def _has_length(status: int) -> bool:
    """Tell whether a response with this status may have a Content-Length (RFC 9110, 8.6)."""
    return status not in _WITHOUT_LENGTH


def _own_headers(response: Response) -> list[Header]:
    return [(name.encode(), value.encode()) for name, value in response.headers.items()]


def _content_type(media_type: str | None) -> list[Header]:
    return [] if media_type is None else [(b"content-type", media_type.encode())]


def _header_lines(headers: Collection[Header]) -> bytes:
    """Write headers as lines. Raises RuntimeError for a line break in one, which would start another header."""
    parts: list[bytes] = []
    for name, value in headers:
        parts += (name, b": ", value, b"\r\n")
    lines = b"".join(parts)
    if lines.count(b"\n") != len(headers) or lines.count(b"\r") != len(headers):
        raise RuntimeError("a header holds a line break")
    return lines
