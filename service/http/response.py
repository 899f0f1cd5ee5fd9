"""A reply: an answer that is already written, and how it is sent."""

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

from starlette.types import Send

from service.http.problems import MEDIA_TYPE, HttpProblem

JSON = "application/json"
_WITHOUT_LENGTH = frozenset({*range(100, 200), 204, 304})

Header: TypeAlias = tuple[bytes, bytes]


class Response(NamedTuple):
    """An answer that is already written."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = MappingProxyType({})
    media_type: str = JSON


def problem_response(problem: HttpProblem) -> Response:
    """Write a problem."""
    return Response(problem.status, problem.body, problem.all_headers, MEDIA_TYPE)


def all_header_lines(response: Response) -> list[Header]:
    """List the headers of a reply."""
    media_type = response.media_type if response.body else None
    length = [(b"content-length", b"%d" % len(response.body))] if has_length(response.status) else []
    return [*length, *own_headers(response), *content_type(media_type)]


def has_length(status: int) -> bool:
    """Tell whether a response with this status may say Content-Length (RFC 9110, 8.6)."""
    return status not in _WITHOUT_LENGTH


def own_headers(response: Response) -> list[Header]:
    """List the headers that this reply has and others have not."""
    return [(name.encode(), value.encode()) for name, value in response.headers.items()]


def content_type(media_type: str | None) -> list[Header]:
    """Write the header; none where there is no body."""
    return [] if media_type is None else [(b"content-type", media_type.encode())]


def header_bytes(headers: Collection[Header]) -> bytes:
    """Write headers as lines. Raises RuntimeError when one holds a line break: it would smuggle in another."""
    parts: list[bytes] = []
    for name, value in headers:
        parts += (name, b": ", value, b"\r\n")
    lines = b"".join(parts)
    if lines.count(b"\n") != len(headers) or lines.count(b"\r") != len(headers):
        raise RuntimeError("a header holds a line break")
    return lines


async def send_response(response: Response, send: Send) -> None:
    """Send a reply in two ASGI messages."""
    await send({"type": "http.response.start", "status": response.status, "headers": all_header_lines(response)})
    await send({"type": "http.response.body", "body": response.body})
