"""A call: one HTTP request as the doors see it, read from the ASGI scope without ceremony."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.types import Scope


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: an API key, or the client token of one verification."""

    scope_id: str  # tells callers apart, for idempotency; says nothing about the credential
    name: str
    is_front_end: bool = False
    owner: str | None = None  # tag of whose verifications it may act on; a client token has its one verification


@dataclass(slots=True)
class Call:
    """One request, with what became known of it on the way through the doors."""

    headers: Mapping[bytes, bytes]
    path: str
    raw_path: bytes
    query: bytes
    connected: str  # the address at the other end of the connection: a proxy's, when there is one
    forwarded: tuple[bytes, ...] = ()
    caller: Caller | None = None
    body: bytes = b""
    log: dict[str, Any] = field(default_factory=dict)

    def header(self, name: bytes) -> str | None:
        """Read a header, as latin-1; None when absent."""
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1")

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
        addresses = [part.strip() for part in b",".join(self.forwarded).decode("latin-1").split(",")]
        if 0 < trusted_proxies <= len(addresses):
            return addresses[-trusted_proxies] or self.connected
        return self.connected


def call_of(scope: Scope) -> Call:
    """Read a call from its scope. A header that comes twice counts once: the last one."""
    client = scope.get("client")
    return Call(
        headers=dict(scope["headers"]),
        path=scope["path"],
        raw_path=scope.get("raw_path") or scope["path"].encode(),
        query=scope.get("query_string", b""),
        connected=str(client[0]) if client else "unknown",
        forwarded=tuple(value for name, value in scope["headers"] if name == b"x-forwarded-for"),
        log=scope.setdefault("otp.log", {}),
    )
