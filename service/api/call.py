"""A call: one HTTP request as the doors see it, read from the ASGI scope without ceremony."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.types import Scope


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: an API key, or the client token of one verification."""

    scope_id: str  # tells callers apart, for idempotency; says nothing about the credential
    name: str
    is_front_end: bool = False
    owner: str | None = None  # tag of whose verifications it may act on; a client token has its one verification


class Call:
    """One request, with what became known of it on the way through the doors.

    Of a header that comes twice `headers` has the last one.
    """

    __slots__ = ("_scope", "body", "caller", "headers", "log")

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self.headers: Mapping[bytes, bytes] = dict(scope["headers"])
        self.log: dict[str, Any] = scope.setdefault("otp.log", {})
        self.caller: Caller | None = None
        self.body = b""

    def header(self, name: bytes) -> str | None:
        """Read a header, as latin-1; None when absent."""
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1")

    @property
    def raw_path(self) -> bytes:
        """The path as it came, escapes and all."""
        raw_path: bytes | None = self._scope.get("raw_path")
        return raw_path or str(self._scope["path"]).encode()

    @property
    def query(self) -> bytes:
        """What stands behind the question mark."""
        query: bytes = self._scope.get("query_string", b"")
        return query

    @property
    def has_body(self) -> bool:
        """Tell whether the request announces a body."""
        return self.headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in self.headers

    @property
    def is_front_end(self) -> bool:
        """Tell whether a client token speaks, so that the number must be masked."""
        return self.caller is not None and self.caller.is_front_end

    def peer(self, *, trusted_proxies: int) -> str:
        """Find the caller's address: each trusted proxy has appended one, so it stands that many from the right.

        Everything further left was written by the caller and proves nothing.
        """
        client = self._scope.get("client")
        connected = str(client[0]) if client else "unknown"  # a proxy's, when there is one
        forwarded = b",".join(value for name, value in self._scope["headers"] if name == b"x-forwarded-for")
        addresses = [part.strip() for part in forwarded.decode("latin-1").split(",")]
        if 0 < trusted_proxies <= len(addresses):
            return addresses[-trusted_proxies] or connected
        return connected
