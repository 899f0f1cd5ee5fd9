"""What an application may offer besides ASGI: direct responses, and the responses to requests that the server refuses.

ASGI is expensive for a small response: a scope, two messages, two writes. For each request the server asks a
`DirectApplication` whether it responds directly; such a response is written in one piece. The application also writes
and logs the responses to requests that never reach it, such as one whose head is too large.
"""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from service.http_server.deferred import DeferredRequests
from service.http_server.request_parser import Head


@dataclass(slots=True)
class RawResponse:
    """A response whose headers are lines already. `closes`: they contain `connection: close`."""

    status: int
    header_lines: bytes
    body: bytes
    closes: bool = False


class RequestView(Protocol):
    """A request as a direct application sees it."""

    head: Head
    client: tuple[str, int] | None

    async def receive(self) -> Any:
        """Wait for the next ASGI message with a part of the body."""

    def whole_body(self) -> bytes | None:
        """Return the body; None if parts of it have not arrived."""


DirectHandler: TypeAlias = Callable[[], Awaitable[RawResponse]]


class DirectApplication(ABC):
    """An application that responds to some requests without ASGI, and knows which may begin at once."""

    @abstractmethod
    def direct(self, view: RequestView) -> tuple[DirectHandler | None, DeferredRequests | None]:
        """Return the handler of a request (None if it must come over ASGI), and where it waits (None: nowhere).

        This is called for every request, so it must be fast, and may not wait.
        """

    @abstractmethod
    def error_response(self, status: int) -> RawResponse:
        """Write the response to what is not a request: 400, 408 or 431. The connection ends with it."""


class ServerHeaders:
    """The headers that the server adds to every response, such as the date, as lines. Each list is written once."""

    _headers: list[tuple[bytes, bytes]] | None = None
    _lines = b""

    def of(self, headers: list[tuple[bytes, bytes]]) -> bytes:
        """Write the headers. uvicorn makes a new list every second."""
        if headers is not self._headers:
            self._headers, self._lines = headers, b"".join(b"%b: %b\r\n" % header for header in headers)
        return self._lines
