"""A call: one HTTP request as the endpoints see it, whichever way it came."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from starlette.types import Receive, Scope


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: an API key, or the client token of one verification."""

    scope_id: str  # tells callers apart, for idempotency; says nothing about the credential
    name: str
    is_front_end: bool = False
    owner: str | None = None  # tag of whose verifications it may act on; a client token has its one verification


class Request:
    """One request, with what became known of it on the way through the endpoints.

    Of a header that comes twice `headers` has the last one. `receive` brings the body, in ASGI's messages;
    `whole_body` gives it where it is here already.
    """

    path_params: Mapping[str, str] = MappingProxyType({})
    caller: Caller | None = None
    body = b""

    def __init__(
        self,
        method: str,
        path: str,
        *,
        raw_path: bytes,
        query: bytes,
        header_lines: Sequence[tuple[bytes, bytes]],
        headers: Mapping[bytes, bytes],
        client: tuple[str, int] | None,
        receive: Callable[[], Awaitable[Any]],
        whole_body: Callable[[], bytes | None] = lambda: None,
    ) -> None:
        self.method = method
        self.path = path
        self.raw_path = raw_path  # as it came, escapes and all
        self.query = query  # what stands behind the question mark
        self.header_lines = header_lines
        self.headers = headers
        self.client = client
        self.receive = receive
        self.whole_body = whole_body
        self.log: dict[str, Any] = {}

    def header(self, name: bytes) -> str | None:
        """Read a header, as latin-1; None when absent."""
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1")

    @property
    def has_body(self) -> bool:
        """Tell whether the request announces a body."""
        return self.headers.get(b"content-length", b"").strip(b"0") != b"" or b"transfer-encoding" in self.headers

    @property
    def is_front_end(self) -> bool:
        """Tell whether a client token speaks, so that the number must be masked."""
        return self.caller is not None and self.caller.is_front_end

    def peer(self, *, trusted_proxies: int) -> str:
        """Find the caller's address: each trusted proxy has appended one, so it stands that many from the right.

        Everything further left was written by the caller and proves nothing.
        """
        connected = self.client[0] if self.client else "unknown"  # a proxy's, when there is one
        forwarded = b",".join(value for name, value in self.header_lines if name == b"x-forwarded-for")
        addresses = [part.strip() for part in forwarded.decode("latin-1").split(",")]
        if 0 < trusted_proxies <= len(addresses):
            return addresses[-trusted_proxies] or connected
        return connected


def request_of(scope: Scope, receive: Receive) -> Request:
    """Read a call from what an ASGI server gives."""
    return Request(
        scope["method"],
        scope["path"],
        raw_path=scope.get("raw_path") or scope["path"].encode(),
        query=scope.get("query_string", b""),
        header_lines=scope["headers"],
        headers=dict(scope["headers"]),
        client=scope.get("client"),
        receive=receive,
    )
