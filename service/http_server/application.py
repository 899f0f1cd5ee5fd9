"""What an application may offer besides ASGI: direct responses, and the responses to requests that the server refuses.

ASGI is expensive for a small response: a scope, two messages, two writes. For each request the server asks a
`DirectApplication` whether it responds directly; such a response is written in one piece. The application also writes
and logs the responses to requests that never reach it, such as one whose head is too large.
"""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from service.http_server.request_parser import Head


@dataclass(slots=True)
class RawResponse:
    """An answer as it is written: the headers as lines. `closes`: they say `connection: close`."""

    status: int
    header_lines: bytes
    body: bytes
    closes: bool = False


class RequestView(Protocol):
    """A request, as the server shows it to whoever answers directly."""

    head: Head
    client: tuple[str, int] | None

    async def receive(self) -> Any:
        """Wait for the next piece of the body, in ASGI's messages."""

    def whole_body(self) -> bytes | None:
        """Give the body; None while it is on its way."""


DirectHandler: TypeAlias = Callable[[], Awaitable[RawResponse]]


class DirectApplication(ABC):
    """An application that answers some requests without ASGI."""

    @abstractmethod
    def direct(self, request: RequestView) -> DirectHandler | None:
        """Give what answers a request; None when it must come over ASGI."""

    @abstractmethod
    def error_response(self, status: int) -> RawResponse:
        """Word the refusal of what is no request, 400, 408 or 431; the connection ends with it."""


class ServerHeaders:
    """What the server adds to every answer, such as the date, as lines: written once for each list of headers."""

    _headers: list[tuple[bytes, bytes]] | None = None
    _lines = b""

    def of(self, headers: list[tuple[bytes, bytes]]) -> bytes:
        """Write the headers; uvicorn makes a new list once a second."""
        if headers is not self._headers:
            self._headers, self._lines = headers, b"".join(b"%b: %b\r\n" % header for header in headers)
        return self._lines
