"""An exchange: one request and its answer on a connection. uvicorn's own, but a whole answer leaves in one piece.

uvicorn writes head and body apart, which costs two system calls, and wakes the client twice. Ours are whole: a head
that names its length, then one body, in the same turn of the loop. So such a head waits for its body. Every other
answer (a stream, one that ends the connection, one to HEAD) is written by uvicorn.

A call at a lean door is answered without ASGI between: `answer_at` stands in for the application, and the door's
answer is written as it is. Limits, pipelines, disconnects and the end of the server are uvicorn's for both.
"""

from functools import lru_cache

from uvicorn._types import ASGISendEvent, HTTPResponseBodyEvent, HTTPResponseStartEvent
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from service.api.call import Call
from service.api.express import Door
from service.api.reply import Header, header_bytes
from service.api.trail import Trail


class Exchange(RequestResponseCycle):
    """Made by `api.connection` for each request."""

    _waiting: HTTPResponseStartEvent | None = None  # the head that waits for its body
    _length: bytes | None = None  # what it says the body has

    def whole_body(self) -> bytes | None:
        """Give the body of the request; None while it is on its way."""
        return None if self.more_body or self.disconnected else bytes(self.body)

    async def answer_at(self, trail: Trail, call: Call, door: Door) -> None:
        """Answer a call at a lean door."""
        reply, lines = await trail.answer(call, door)
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if not self.disconnected:
            is_last = "connection" in reply.headers
            self.keep_alive = self.keep_alive and not is_last
            self._write(reply.status, lines, reply.body, is_told=is_last)

    async def send(self, message: ASGISendEvent) -> None:
        """Take one message of the answer."""
        head, self._waiting = self._waiting, None
        if message["type"] == "http.response.start":  # also uvicorn's 500, in place of a head whose body never came
            if not self.response_started and self._is_of_a_whole(message):
                self._waiting = message
                return
        elif head is not None:
            if message["type"] == "http.response.body" and self._write_whole(head, message):
                return
            await super().send(head)
        await super().send(message)

    def _is_of_a_whole(self, head: HTTPResponseStartEvent) -> bool:
        headers = dict(head.get("headers", ()))
        self._length = headers.get(b"content-length")
        return self._length is not None and b"connection" not in headers and self.scope["method"] != "HEAD"

    def _write_whole(self, head: HTTPResponseStartEvent, message: HTTPResponseBodyEvent) -> bool:
        """Write the answer; False when it is none to be written at once."""
        body = message["body"]
        if message.get("more_body") or self.flow.write_paused or self._length != b"%d" % len(body):
            return False
        if self.disconnected:
            return True
        self.response_started = True  # as uvicorn has it: a header that cannot be written ends the connection
        self._write(head["status"], header_bytes(list(head["headers"])), body)
        return True

    def _write(self, status: int, header_lines: bytes, body: bytes, *, is_told: bool = False) -> None:
        """Write a whole answer; `is_told`: its headers say that the connection ends, where it does."""
        self.response_started = self.response_complete = True
        closing = b"" if self.keep_alive or is_told else b"connection: close\r\n"
        self.transport.write(
            b"".join((STATUS_LINE[status], _server_lines(*self.default_headers), header_lines, closing, b"\r\n", body))
        )
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()


@lru_cache(maxsize=2)
def _server_lines(*headers: Header) -> bytes:
    """Write what uvicorn adds to every answer, such as the date: new once a second."""
    return header_bytes(headers)
