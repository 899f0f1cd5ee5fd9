"""One connection: uvicorn's protocol, one request at a time, with limits on bytes and time.

The bytes after a request, at most 16 KiB, stay unparsed until the request is answered. So each response is complete
before the next request is looked at. After more bytes, the connection ends with the response. Requests may wait
until they begin (`deferred`).

Opening a connection needs no credential, so its limits apply before the application runs: `request_parser` limits
bytes, `clock` limits time, and the application's `connections` limit the number of connections and drain them.

If a body is malformed or too slow, the application receives `http.disconnect`, its response is still sent, and the
connection ends.
"""

import asyncio
from collections.abc import MutableMapping
from contextlib import suppress
from typing import Any

from service.http_server.application import DirectApplication, DirectHandler
from service.http_server.clock import Clock
from service.http_server.connections import Connections
from service.http_server.exchange import NO_PLACE, Exchange, Flow, refusal, scope_of
from service.http_server.request_parser import MOST_HELD_BYTES, Head, RequestParser, RequestRefused
from service.http_server.unread import unread_bytes
from service.http_server.uvicorn_parts import HIGH_WATER_LIMIT, HttpToolsProtocol

_LAST_SECONDS = 1.0  # for a request that is on its way when the server ends


class HttpProtocol(HttpToolsProtocol):
    """Serves one connection."""

    cycle: Exchange
    flow: Flow
    _connections: Connections | None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # uvicorn's signature
        """Start the clock, and take a place among the connections."""
        super().connection_made(transport)
        self.flow = Flow(transport)
        self._held, self._held_from = b"", 0  # bytes after the request in progress, from `_held_from` on
        self._is_over = self._has_asked = False  # no more bytes are parsed; a whole request has arrived
        self.write, self.writelines = transport.write, transport.writelines
        self._direct = self.app if isinstance(self.app, DirectApplication) else None
        self._clock = Clock(
            self.loop,
            self.timeout_keep_alive,
            on_unread=transport.abort,  # `close` would wait until the client has read everything
            on_idle=self._end_idle,
            on_late=lambda: self._refuse(408) if self.cycle or self._requests.in_head else self._end_idle(),
        )
        self._requests = RequestParser(self._clock.request_begins, self._begin, self._on_body)
        self._connections = getattr(self.app, "connections", None)
        if self._connections is not None and not self._connections.opened(self, self.client[0] if self.client else ""):
            transport.write(NO_PLACE)
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock and drop all bytes. No reference cycle may remain: Python frees those late."""
        self._clock.stop()
        if self._connections is not None:
            self._connections.closed(self)
        self._is_over, self._held = True, b""
        super().connection_lost(exc)
        self._requests.close()
        self.cycle = None  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        """Parse bytes, unless they must wait for the request in progress."""
        if self._is_over or self.transport.is_closing():
            return
        if self._held:
            self._hold(self._held[self._held_from :] + data, 0)
        else:
            self._parse(data, 0)

    def _parse(self, data: bytes, start: int) -> None:
        requests = self._requests
        try:
            while start < len(data):
                if self._waits():
                    self._hold(data, start)
                    return
                start = requests.feed(data, start)
                if requests.has_ended:
                    self._end()
                elif self._clock.arriving_since is None:  # empty lines before a request
                    self._clock.request_begins()
        except RequestRefused as refused:
            self._refuse(refused.status)

    def _waits(self) -> bool:
        """Tell whether a whole request has no whole response yet."""
        return self.cycle is not None and not (self.cycle.more_body or self.cycle.response_complete)

    def _hold(self, data: bytes, start: int) -> None:
        """Keep bytes until the request in progress is answered. If they are too many, its response is the last one."""
        if len(data) - start > MOST_HELD_BYTES:
            self.cycle.keep_alive, self._is_over, data = False, True, b""
        elif start >= len(data) // 2:  # drop what is parsed, but do not copy the rest for each of many short requests
            data, start = data[start:], 0
        self._held, self._held_from, self.flow.is_held = data, start, True
        self.flow.pause_reading()

    def _begin(self, head: Head) -> None:
        self.cycle = exchange = Exchange(self, head)
        if self._connections is not None and self._connections.is_ending:
            exchange.keep_alive = False
        direct, deferred = (None, None) if self._direct is None else self._direct.direct(exchange)
        if direct is None:
            exchange.for_asgi(self.scope_of(head))
        self._start(exchange, direct) if deferred is None else exchange.defer(deferred, self._start, direct)

    def _start(self, exchange: Exchange, direct: DirectHandler | None) -> None:
        if direct is None:
            self._start_asgi_task(exchange, self.app)
        else:
            self.tasks.add(task := self.loop.create_task(exchange.respond_directly(direct)))
            task.add_done_callback(self.tasks.discard)

    def scope_of(self, head: Head) -> MutableMapping[str, Any]:
        """Make the ASGI scope of a request."""
        return scope_of(self, head)

    def _on_body(self, body: bytes) -> None:
        exchange = self.cycle
        if not exchange.response_complete:
            exchange.body += body
            if len(exchange.body) > HIGH_WATER_LIMIT:
                self.flow.pause_reading()
            exchange.message_event.set()

    def _end(self) -> None:
        """Note that the whole request has arrived."""
        self._clock.arriving_since = None
        if not self._has_asked and self._connections is not None:
            self._has_asked = True
            self._connections.asked(self)
        self.cycle.more_body = False
        if self.cycle.response_complete:  # the response came before the end of the body
            self._clock.goes_idle()
        else:
            self.cycle.message_event.set()

    def on_response_complete(self) -> None:
        """Parse the bytes that wait; if there are none, the connection is idle."""
        self.server_state.total_requests += 1
        if self._is_over or self.transport.is_closing():
            return
        if self._held:
            held, self._held, self.flow.is_held = self._held, b"", False
            self._parse(held, self._held_from)
        elif self._clock.arriving_since is None:
            self._clock.goes_idle()
        if self.flow.read_paused:
            self.flow.resume_reading()

    def pause_writing(self) -> None:
        """Note that the client has stopped reading."""
        self._clock.goes_unread()
        super().pause_writing()

    def resume_writing(self) -> None:
        """Note that it reads again. While the connection closes, the rest of the response has a time-out of its own."""
        self._clock.unread_since = None
        if self.transport.is_closing():
            self._clock.goes_unread()
        super().resume_writing()

    @property
    def waiting_since(self) -> float | None:
        """Since when the connection waits for its client, or for its turn; None if a request is being handled."""
        clock = self._clock
        if clock.unread_since is not None:
            return clock.unread_since
        if self._waits():
            return self.cycle.deferred_since
        return clock.idle_since if clock.arriving_since is None else clock.arriving_since

    def make_room(self) -> None:
        """Close at once, in favour of another connection."""
        self.transport.abort()

    def take_leave(self) -> None:
        """Make the response in progress the last one, unless requests wait after it: then one of theirs is the last."""
        if self.cycle is not None and not self.cycle.response_complete and not self._held:
            self.cycle.keep_alive = False

    def shutdown(self) -> None:
        """End after the response in progress. A request that is arriving has a second to arrive."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.take_leave()
        elif self._clock.arriving_since is not None:
            self.loop.call_later(_LAST_SECONDS, super().shutdown)
        elif not self.transport.is_closing():
            self._end_idle()
            self.loop.call_later(_LAST_SECONDS, self.shutdown)

    def _end_idle(self) -> None:
        """End an idle connection, unless a request has arrived. A client that sends one later reads no reset."""
        if self._is_over:
            self._close_once_read()
        elif not unread_bytes(self.transport):
            self._is_over = True
            self._clock.lingers()
            self._write_eof()

    def _close_once_read(self) -> None:
        self.transport.close()
        if self._clock.unread_since is None:
            self._clock.goes_unread()  # the time-out of the client that has not read all of a response

    def _refuse(self, status: int) -> None:
        """Parse no more bytes. A broken body gets the application's response, a head an error response."""
        self._is_over = True
        self._clock.arriving_since = None
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.break_off()
        elif self._requests.in_head:
            self.write(refusal(self._direct, status, self.server_state.default_headers))
            self.close()
        else:
            self._close_once_read()

    def is_closing(self) -> bool:
        """Tell whether the connection accepts no more requests."""
        return self._is_over or self.transport.is_closing()

    def close(self) -> None:
        """End the connection after the bytes that are written.

        While bytes may still arrive, they are read and dropped for a time: closing a socket with unread bytes sends a
        reset, and then the client may lose the response.
        """
        if self.transport.is_closing():
            return
        if self._clock.arriving_since is None and not self._held and not self._is_over:
            self._close_once_read()
            return
        self._is_over, self._held = True, b""
        self._clock.lingers()
        self.flow.is_held = False
        self.flow.resume_reading()
        self._write_eof()

    def _write_eof(self) -> None:
        with suppress(OSError):  # asyncio raises it if the client has just reset the connection; uvloop does not
            self.transport.write_eof()
