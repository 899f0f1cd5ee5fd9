"""Closes a connection without a response, which ASGI itself does not support.

`DroppingProtocol` is our HTTP protocol with one ASGI extension added: the application may drop the connection of its
request. Pass it to `http_server.Server` as `protocol=`; it works through any mount or middleware, because the extension
is part of the scope. `NoResponse` is the response that uses it. Under another protocol it starts a 200 and never
completes it: the client has seen a status line, but no usable response, and the server logs an error.
"""

import socket
import struct
from collections.abc import Callable, MutableMapping
from typing import Any, cast

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from service.http_server import HttpProtocol
from service.http_server.request_parser import Head

_EXTENSION = "service.sandbox.connection"
_LINGER_ZERO = struct.pack("ii", 1, 0)  # close() then sends RST instead of FIN


class DroppingProtocol(HttpProtocol):
    """Serve as the service does, let the application drop the connection, and end endless responses at shutdown."""

    _endless = False

    def scope_of(self, head: Head) -> MutableMapping[str, Any]:
        """Offer the extension in the scope of every request."""
        self._endless = False
        extension = {"drop": self._drop, "endless": self._mark_endless}
        return {**super().scope_of(head), "extensions": {_EXTENSION: extension}}

    def shutdown(self) -> None:
        """Drop responses that never end by themselves; uvicorn would wait for them until the client disconnects."""
        if self._endless:
            self._drop(reset=False)
        else:
            super().shutdown()

    def _drop(self, *, reset: bool) -> None:
        if reset and (sock := self.transport.get_extra_info("socket")) is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
        self.transport.abort()

    def _mark_endless(self) -> None:
        self._endless = True


class NoResponse(Response):
    """Close the connection without a byte: with a TCP reset if `reset`, else in order."""

    def __init__(self, *, reset: bool) -> None:
        super().__init__()
        self.status_code = 0  # no response was sent; counted as such
        self.reset = reset

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Drop, then wait until the server has noticed; otherwise the server would log an error and try a 500."""
        drop = cast("Callable[..., None] | None", _extension(scope).get("drop"))
        if drop is None:
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1")]})
            return
        drop(reset=self.reset)
        while (await receive())["type"] != "http.disconnect":
            pass


def end_at_shutdown(scope: Scope) -> None:
    """Let the server end this request when it stops, if it can: for responses that never end by themselves."""
    mark = cast("Callable[[], None] | None", _extension(scope).get("endless"))
    if mark is not None:
        mark()


def _extension(scope: Scope) -> dict[str, object]:
    return cast("dict[str, object]", scope.get("extensions", {}).get(_EXTENSION, {}))
