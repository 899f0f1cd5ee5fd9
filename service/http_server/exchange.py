"""One request and its response: uvicorn's cycle for ASGI, direct responses, and how a response is written.

When a request begins, on which connection, and what follows it, is left to `protocol`.
"""

import asyncio
from collections.abc import Callable, MutableMapping
from functools import partial
from typing import Any, TypeAlias

from service.http_server.application import DirectApplication, DirectHandler, RawResponse, ServerHeaders
from service.http_server.deferred import DeferredRequests
from service.http_server.request_parser import Head
from service.http_server.uvicorn_parts import STATUS_LINE, FlowControl, HttpToolsProtocol, RequestResponseCycle

NO_PLACE = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
_PLAIN = b"content-type: text/plain; charset=utf-8\r\ncontent-length: 0\r\n"
_SERVER_LINES = ServerHeaders()
# A larger body is written apart from its head. So what a client does not read is not copied: bodies of this size are
# kept in memory, and all responses share them.
_LARGE_BYTES = 16_384
_DISCONNECT = {"type": "http.disconnect"}
_FAILED = RawResponse(
    500,
    b"content-type: text/plain; charset=utf-8\r\ncontent-length: 21\r\nconnection: close\r\n",
    b"Internal Server Error",
    closes=True,
)


class _NoWaiter:
    """Stands for the event of an exchange in which nobody waits for the body: most requests arrive whole."""

    def set(self) -> None:
        """Wake nobody."""


_NO_WAITER = _NoWaiter()


class Exchange(RequestResponseCycle):
    """One request and its response, over ASGI as in uvicorn, or direct.

    uvicorn's attributes are set at once for ASGI only (`for_asgi`): a direct response needs a third of them.
    """

    has_broken_off = False
    deferred_since: float | None = None  # it waits for its turn
    message_event: Any

    def __init__(self, connection: HttpToolsProtocol, head: Head) -> None:
        self.head, self.client = head, connection.client
        # uvicorn's names. Of the transport, `write`, `writelines`, `is_closing` and `close` are in use.
        self.transport: Any = connection
        self.flow = connection.flow
        self.logger = connection.logger
        self.default_headers = connection.server_state.default_headers
        self.on_response = connection.on_response_complete
        self.keep_alive = head.keep_alive
        self.disconnected = self.response_started = self.response_complete = False
        self.more_body = True
        self.message_event = _NO_WAITER
        self.body = bytearray()
        expect = head.headers.get(b"expect")
        self.waiting_for_100_continue = (
            expect is not None and expect.lower() == b"100-continue" and head.version == "1.1"
        )

    def for_asgi(self, scope: Any) -> None:
        """Set the attributes that uvicorn uses for ASGI. No part of the body may have arrived."""
        super().__init__(
            scope=scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.logger,
            access_log=False,
            default_headers=self.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.waiting_for_100_continue,
            keep_alive=self.keep_alive,
            on_response=self.on_response,
        )

    def defer(self, deferred: DeferredRequests, start: "Start", handler: DirectHandler | None) -> None:
        """Start in turn, unless the client has left by then."""
        self.deferred_since = asyncio.get_running_loop().time()
        deferred.add(partial(self._start_in_turn, start, handler))

    def _start_in_turn(self, start: "Start", handler: DirectHandler | None) -> None:
        self.deferred_since = None
        if not self.disconnected:
            start(self, handler)

    def whole_body(self) -> bytes | None:
        """Return the body of the request; None if parts of it have not arrived."""
        return None if self.more_body or self.disconnected else bytes(self.body)

    def break_off(self) -> None:
        """Tell the application that the rest of the body will not arrive. Its response is the connection's last."""
        self.has_broken_off = True
        self.keep_alive = False
        self.message_event.set()

    async def receive(self) -> Any:
        """Receive as uvicorn does, but send `100 Continue` only if no part of the body has arrived."""
        if self.body or not self.more_body:
            self.waiting_for_100_continue = False
        if self.message_event is _NO_WAITER:
            self.message_event = asyncio.Event()
            if self.body or not self.more_body:
                self.message_event.set()
        message = None if self.has_broken_off else await super().receive()
        return _DISCONNECT if self.has_broken_off else message

    async def send(self, message: Any) -> None:
        """Send as uvicorn does."""
        if self.waiting_for_100_continue:
            self._close_if_body_is_expected()
        await super().send(message)

    async def respond_directly(self, handler: DirectHandler) -> None:
        """Respond without ASGI, in one write. uvicorn writes head and body separately: two system calls."""
        try:
            response = await handler()
        except BaseException:  # as uvicorn does: whatever it is, the client gets a response
            self.logger.exception("Exception in a direct handler")
            response = _FAILED
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if not self.disconnected:
            self._write(response)
        self.on_response = _do_nothing  # the connection and this exchange refer to each other

    def _write(self, response: RawResponse) -> None:
        if self.waiting_for_100_continue:
            self._close_if_body_is_expected()
        self.response_started = self.response_complete = True
        if response.closes:
            self.keep_alive = False
        head = head_of(response, self.default_headers, says_close=not self.keep_alive)
        body = b"" if self.head.method == "HEAD" else response.body
        if len(body) > _LARGE_BYTES:
            self.transport.writelines((head, body))
        else:
            self.transport.write(head + body)
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()

    def _close_if_body_is_expected(self) -> None:
        """End the connection after this response if the client may or may not send the body that it announced."""
        if self.more_body and not self.body:
            self.keep_alive = False


Start: TypeAlias = Callable[[Exchange, DirectHandler | None], None]


class Flow(FlowControl):
    """Pauses reading. While bytes after a request wait (`is_held`), reading stays paused."""

    is_held = False

    def resume_reading(self) -> None:
        """Resume reading, unless bytes wait."""
        if not self.is_held:
            super().resume_reading()


def scope_of(connection: HttpToolsProtocol, head: Head) -> MutableMapping[str, Any]:
    """Make the ASGI scope of a request."""
    return {
        "type": "http",
        "asgi": {"version": connection.asgi_version, "spec_version": "2.3"},
        "http_version": head.version,
        "server": connection.server,
        "client": connection.client,
        "scheme": connection.scheme or "http",
        "method": head.method,
        "root_path": "",
        "path": head.path,
        "raw_path": head.raw_path,
        "query_string": head.query,
        "headers": head.header_lines,
        "state": connection.app_state.copy(),
    }


def head_of(response: RawResponse, server_headers: list[tuple[bytes, bytes]], *, says_close: bool) -> bytes:
    """Write the head of a response. `says_close` adds `connection: close`, unless the response has it."""
    close = b"connection: close\r\n" if says_close and not response.closes else b""
    server_lines = _SERVER_LINES.of(server_headers)
    return b"".join((STATUS_LINE[response.status], server_lines, response.header_lines, close, b"\r\n"))


def refusal(application: DirectApplication | None, status: int, server_headers: list[tuple[bytes, bytes]]) -> bytes:
    """Write the response to what is not a request. It is the last one of its connection."""
    response = RawResponse(status, _PLAIN, b"") if application is None else application.error_response(status)
    return head_of(response, server_headers, says_close=True) + response.body


def _do_nothing() -> None:
    """Take the place of a callback of a response that is complete."""
