"""What one connection may cost before any door is reached: uvicorn's fast parser bounds neither bytes nor time.

A stranger needs no credential to open a connection, so this stands before all doors. Bytes: what surrounds
a body, the head and the trailers of a chunked body, counts since the last byte of a body and ends at 32 KiB;
the read that holds this last byte (at most 256 KiB) is not counted. Time: a request arrives within 20 s of
its first byte, the first one begins within 20 s, and an answer that waits to be read is read on within 20 s.
A connection idle between two requests is closed after 5 s, or at the look after that. The making of an answer is
left to the doors. One timer a connection looks after all of this: one a request would cost more than its credential.
"""

import asyncio
from typing import Any
from urllib.parse import unquote

import httptools
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.api.call import Call
from service.api.exchange import Exchange
from service.api.trail import Trail

MOST_HEAD_BYTES = 32_768
MOST_SECONDS = 20.0
_TOO_LARGE = b"431 Request Header Fields Too Large"
_TOO_SLOW = b"408 Request Timeout"


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's protocol, which closes a connection that sends too much around a body, or anything too slowly."""

    _bytes = 0
    _in_head = False
    _arriving_since: float | None = None  # None: no request is outstanding
    _unread_since: float | None = None  # None: the client takes what we write
    _idle_since: float | None = None  # None: a request is outstanding, or under way
    _watch: asyncio.TimerHandle

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """Start the clock: a connection that asks nothing is one that is slow to ask."""
        super().connection_made(transport)
        self.ws_protocol_class = None  # of no concern here: a request to upgrade is one like any other
        self._trail = self.app if isinstance(self.app, Trail) else None
        self._arriving_since = self.loop.time()
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock."""
        self._watch.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count what arrives, parse it, and look whether that brought anything to an end."""
        if self._arriving_since is None:
            self._arriving_since = self.loop.time()
            self._idle_since = None
        self._bytes += len(data)
        super().data_received(data)
        if self._bytes > MOST_HEAD_BYTES and not self.transport.is_closing():
            self._refuse(_TOO_LARGE)

    def on_message_begin(self) -> None:
        """Note that a head has begun."""
        self._in_head = True
        self._arriving_since = self.loop.time()
        self.url, self.headers = b"", []

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; not a trailer, which nobody in front of us has looked at."""
        if self._in_head:
            self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Note that the head is whole, and begin the exchange: at a lean door, else over ASGI.

        As uvicorn does, less what `serve` never asks it for: WebSockets, a root path, an access log, its own limit.
        """
        self._in_head = False
        version = self.parser.get_http_version()
        exchange = Exchange(
            scope={},  # type: ignore[typeddict-item] # written when it is asked for
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=False,  # seen to when the headers are looked at
            keep_alive=version != "1.0" and self.parser.should_keep_alive(),
            on_response=self.on_response_complete,
        )
        app, before, self.cycle = self._application(exchange, version), self.cycle, exchange
        if before is None or before.response_complete:
            self._start_asgi_task(exchange, app)
        else:  # one answer after the other: the requests of a pipeline wait
            self.flow.pause_reading()
            self.pipeline.appendleft((exchange, app))

    def _application(self, exchange: Exchange, version: str) -> Any:
        """Find who answers."""
        url, trail = httptools.parse_url(self.url), self._trail
        method, path = self.parser.get_method().decode("ascii"), url.path.decode("ascii")
        call = Call(
            method,
            unquote(path) if "%" in path else path,
            raw_path=url.path,
            query=url.query or b"",
            header_lines=self.headers,
            client=self.client,
            receive=exchange.receive,
            whole_body=exchange.whole_body,
        )
        exchange.waiting_for_100_continue = call.headers.get(b"expect", b"").lower() == b"100-continue"
        door = None if trail is None else trail.door(call)
        if trail is not None and door is not None:
            exchange.scope["method"] = method  # uvicorn asks for it when it has to end an exchange
            return lambda *_: exchange.answer_at(trail, call, door)
        exchange.scope = {
            "type": "http",
            "asgi": {"version": self.asgi_version, "spec_version": "2.3"},
            "http_version": version,
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme or "http",
            "method": method,
            "root_path": "",
            "path": call.path,
            "raw_path": call.raw_path,
            "query_string": call.query,
            "headers": self.headers,
            "state": self.app_state.copy(),
        }
        return self.app

    def on_body(self, body: bytes) -> None:
        """Count anew, the body has a limit of its own, and hand it over."""
        self._bytes = 0
        exchange = self.cycle
        if not exchange.response_complete:
            exchange.body += body
            if len(exchange.body) > HIGH_WATER_LIMIT:
                self.flow.pause_reading()
            exchange.message_event.set()

    def on_message_complete(self) -> None:
        """Count anew, and stop waiting: the request has arrived."""
        self._bytes = 0
        self._arriving_since = None
        if self.cycle.response_complete:  # it was answered early
            self._idle_since = self.loop.time()
        else:
            self.cycle.more_body = False
            self.cycle.message_event.set()

    def on_response_complete(self) -> None:
        """Begin the next exchange of a pipeline, else be idle."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif self._arriving_since is None:
            self._idle_since = self.loop.time()

    def pause_writing(self) -> None:
        """Note that the client leaves our answer unread."""
        self._unread_since = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        """Note that it reads on."""
        self._unread_since = None
        super().resume_writing()

    def _look(self) -> None:
        """Close when something has waited too long, else look again when it would have: one timer for all requests."""
        now = self.loop.time()
        if self._unread_since is not None and now - self._unread_since >= MOST_SECONDS:
            self.transport.abort()  # not `close`: that would wait until all is read
            return
        if self._arriving_since is not None and now - self._arriving_since >= MOST_SECONDS:
            self._refuse(_TOO_SLOW)
            return
        if self._idle_since is not None and now - self._idle_since >= self.timeout_keep_alive:
            self.transport.close()
            return
        waiting = [since for since in (self._unread_since, self._arriving_since) if since is not None]
        next_look = min([since + MOST_SECONDS for since in waiting] + [now + self.timeout_keep_alive])
        self._watch = self.loop.call_later(next_look - now, self._look)

    def _refuse(self, status: bytes) -> None:
        # While a request has no answer, or no whole one, ours would be taken for it, or for a part of it.
        is_answered = self.cycle is None or self.cycle.response_complete
        if self._in_head and is_answered:
            self.transport.write(b"HTTP/1.1 %b\r\ncontent-length: 0\r\nconnection: close\r\n\r\n" % status)
        self.transport.close()
