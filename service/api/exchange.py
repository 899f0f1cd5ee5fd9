"""An exchange: one request and its answer on a connection. uvicorn's own, but a lean door answers without ASGI between.

`answer_at` stands in for the application, and what the door answers is written as it is, in one piece: uvicorn writes
head and body apart, which costs two system calls, and wakes the client twice. Limits, pipelines, disconnects and the
end of the server are uvicorn's for both.
"""

from functools import lru_cache

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from service.api.call import Call
from service.api.express import Door
from service.api.reply import Header, header_bytes
from service.api.trail import Trail


class Exchange(RequestResponseCycle):
    """Made by `api.connection` for each request."""

    def whole_body(self) -> bytes | None:
        """Give the body of the request; None while it is on its way."""
        return None if self.more_body or self.disconnected else bytes(self.body)

    async def answer_at(self, trail: Trail, call: Call, door: Door) -> None:
        """Answer a call at a lean door."""
        reply, lines = await trail.answer(call, door)
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        self.response_started = self.response_complete = True
        if "connection" in reply.headers:  # it says `close`: the only thing that a door may say of its connection
            self.keep_alive = False
        elif not self.keep_alive:
            lines += b"connection: close\r\n"
        self.transport.write(
            b"".join((STATUS_LINE[reply.status], _server_lines(*self.default_headers), lines, b"\r\n", reply.body))
        )
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()


@lru_cache(maxsize=2)
def _server_lines(*headers: Header) -> bytes:
    """Write what uvicorn adds to every answer, such as the date: new once a second."""
    return header_bytes(headers)
