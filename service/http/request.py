"""A request as endpoints see it, over ASGI and without it."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from starlette.types import Receive, Scope

from service.core.event_log import LogValue
from service.http_server import Head, RequestView
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
    as Authorization. `view` has all that arrived: the head, and the body as it comes.
    """

    id = b""  # in the log, the response's X-Request-Id and problems; the middleware sets it
    path_params: Mapping[str, str] = MappingProxyType({})
    credential = ""  # of `Authorization: Bearer …`
    key_digest = ""  # of the credential, if it is an API key
    is_known = False  # the credential is valid, as far as the process knows without asking Redis
    caller: Caller | None = None
    body = b""

    def __init__(self, view: RequestView) -> None:
        self.view = view
        head = view.head
        self.failure: Mapping[str, str] | None = None  # kind and place of an unexpected exception, for the log
        self.method, self.path, self.headers = head.method, head.path, head.headers
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
        client = self.view.client
        connected = client[0] if client else "unknown"  # the proxy's, if there is one
        forwarded = b",".join(value for name, value in self.view.head.header_lines if name == b"x-forwarded-for")
        addresses = [part.strip() for part in forwarded.decode("latin-1").split(",")]
        if 0 < trusted_proxies <= len(addresses):
            return addresses[-trusted_proxies] or connected
        return connected


@dataclass(slots=True)
class _AsgiView:
    """A request that comes over ASGI."""

    head: Head
    client: tuple[str, int] | None
    next_message: Receive

    async def receive(self) -> Any:
        """Wait for the next message."""
        return await self.next_message()

    def whole_body(self) -> None:
        """Tell that parts of the body may not have arrived."""


def request_of(scope: Scope, receive: Receive) -> Request:
    """Make a request of an ASGI scope."""
    head = Head(
        method=scope["method"],
        version=scope.get("http_version", "1.1"),
        path=scope["path"],
        raw_path=scope.get("raw_path") or scope["path"].encode(),
        query=scope.get("query_string", b""),
        header_lines=scope["headers"],
        headers=dict(scope["headers"]),
        keep_alive=True,
    )
    return Request(_AsgiView(head, scope.get("client"), receive))


def unknown_request() -> Request:
    """Make a request of which nothing is known, since the server could not read it."""
    scope = {"method": "unknown", "path": "", "headers": ()}
    return request_of(scope, _no_body)


async def _no_body() -> Any:
    raise AssertionError("the body of an unknown request is never read")
