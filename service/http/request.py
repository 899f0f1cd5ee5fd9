"""A request as endpoints see it, over ASGI and without it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from starlette.types import Receive, Scope

from service.core.event_log import LogValue
from service.logs.tracebacks import kind_and_place

REQUEST = "service.http.request"  # the key of the request in the ASGI scope


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request: an API key, or the client token of one verification."""

    scope_id: str  # tells callers apart, for idempotency; reveals nothing of the credential
    name: str
    is_front_end: bool = False
    owner: str | None = None  # whose verifications an API key may act on; a client token has one verification


class Request:
    """One request, and what authentication and the endpoint find out about it.

    If a header comes twice, `headers` has the last value; the server refuses that of headers that have one value, such
    as Authorization. `receive` waits for the next ASGI message with a part of the
    body; `whole_body` returns the body, or None if parts of it have not arrived.
    """

    id = b""  # in the log, the response's X-Request-Id and problems; the middleware sets it
    path_params: Mapping[str, str] = MappingProxyType({})
    credential = ""  # of `Authorization: Bearer …`
    key_digest = ""  # of the credential, if it is an API key
    is_known = False  # the credential is valid, as far as the process knows without asking Redis
    caller: Caller | None = None
    body = b""
    failure: Mapping[str, str] | None = None  # kind and place of an exception that nobody expected, for the log

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
        self.raw_path = raw_path  # with its escapes
        self.query = query  # the part after the question mark
        self.header_lines = header_lines
        self.headers = headers
        self.client = client
        self.receive = receive
        self.whole_body = whole_body
        self.log: dict[str, LogValue] = {"route": "unmatched"}  # fields of its line in the request log

    def fails(self, failure: Exception) -> None:
        """Note an unexpected exception for the log: its kind and place, since its text may hold a secret."""
        self.failure = kind_and_place(failure)
        self.log["problem"] = "internal_error"

    def header(self, name: bytes) -> str | None:
        """Read a header, as latin-1; None if it is absent."""
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1")

    @property
    def has_body(self) -> bool:
        """Tell whether the request announces a body."""
        return self.headers.get(b"content-length", b"").strip(b"0") != b"" or b"transfer-encoding" in self.headers

    @property
    def is_front_end(self) -> bool:
        """Tell whether the credential is a client token, so that the number must be masked."""
        return self.caller is not None and self.caller.is_front_end

    def peer(self, *, trusted_proxies: int) -> str:
        """Find the caller's address. Each trusted proxy appends one, so it is that many from the right.

        The caller can write everything further left.
        """
        connected = self.client[0] if self.client else "unknown"  # the proxy's, if there is one
        forwarded = b",".join(value for name, value in self.header_lines if name == b"x-forwarded-for")
        addresses = [part.strip() for part in forwarded.decode("latin-1").split(",")]
        if 0 < trusted_proxies <= len(addresses):
            return addresses[-trusted_proxies] or connected
        return connected


def request_of(scope: Scope, receive: Receive) -> Request:
    """Make a request of an ASGI scope."""
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


def unknown_request() -> Request:
    """Make a request of which nothing is known, since the server could not read it."""
    scope = {"method": "unknown", "path": "", "headers": ()}
    return request_of(scope, _no_body)


async def _no_body() -> Any:
    raise AssertionError("the body of an unknown request is never read")
