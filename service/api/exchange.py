"""An exchange: one request and its answer on a connection. uvicorn's own, but a whole answer leaves in one piece.

uvicorn writes head and body apart, which costs two system calls, and wakes the client twice. Ours are whole: a head
that names its length, then one body, in the same turn of the loop. So such a head waits for its body. Every other
answer (a stream, one that ends the connection, one to HEAD) is written by uvicorn.
"""

from collections.abc import Collection

from uvicorn._types import ASGISendEvent, HTTPResponseBodyEvent, HTTPResponseStartEvent
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

_Header = tuple[bytes, bytes]


class Exchange(RequestResponseCycle):
    """Made by `api.connection` for each request."""

    _waiting: HTTPResponseStartEvent | None = None  # the head that waits for its body
    _length: bytes | None = None  # what it says the body has

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
        self.response_started = self.response_complete = True
        headers = [*self.default_headers, *head["headers"]]
        self.transport.write(_head(head["status"], headers, keep_alive=self.keep_alive) + body)
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()
        return True


def _head(status: int, headers: Collection[_Header], *, keep_alive: bool) -> bytes:
    parts = [STATUS_LINE[status]]
    for name, value in headers:
        parts += (name, b": ", value, b"\r\n")
    parts.append(b"\r\n" if keep_alive else b"connection: close\r\n\r\n")
    head = b"".join(parts)
    lines = len(headers) + (2 if keep_alive else 3)
    if head.count(b"\n") != lines or head.count(b"\r") != lines:  # a smuggled one would end the head early
        raise RuntimeError("a header holds a line break")
    return head
