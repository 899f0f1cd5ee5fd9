"""A server on loopback that records each request as received and responds as configured."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from aiohttp import web
from aiohttp.test_utils import RawTestServer

SID = "SM" + "0123456789abcdef" * 2
LONGER_THAN_ANY_TEST_SECONDS = 30


@dataclass(frozen=True)
class Request:
    """One request as received, uninterpreted."""

    method: str
    path: str  # with its query
    headers: dict
    body: str

    @property
    def form(self):
        return dict(parse_qsl(self.body, keep_blank_values=True, strict_parsing=True))


@dataclass
class Recorder:
    """The requests so far, and the next response; `mode` is one of answer, hang, reset, cut_off."""

    url: str = ""
    requests: list = field(default_factory=list)
    status: int = 201
    body: bytes = b'{"sid": "%s", "status": "queued"}' % SID.encode()
    headers: dict = field(default_factory=dict)
    mode: str = "answer"
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    def answers(self, status, body=b"", *, headers=None, mode="answer"):
        self.status, self.body, self.headers, self.mode = status, body, headers or {}, mode

    async def handle(self, request):
        body = (await request.read()).decode()
        self.requests.append(Request(request.method, request.raw_path, dict(request.headers), body))
        self.arrived.set()
        if self.mode == "hang":
            await asyncio.sleep(LONGER_THAN_ANY_TEST_SECONDS)
        if self.mode == "reset":
            request.transport.abort()
        if self.mode == "cut_off":
            return await self._cut_off(request)
        return web.Response(status=self.status, body=self.body, headers=self.headers)

    async def _cut_off(self, request):
        """Send the status and half of the body, then close the connection."""
        response = web.StreamResponse(status=self.status, headers={"Content-Length": str(2 * len(self.body))})
        await response.prepare(request)
        await response.write(self.body)
        request.transport.abort()
        return response


@asynccontextmanager
async def recording():
    """Serve on a free port of loopback until the block ends."""
    recorder = Recorder()
    async with RawTestServer(recorder.handle, handler_cancellation=True, shutdown_timeout=0.1) as server:
        recorder.url = str(server.make_url("")).rstrip("/")
        yield recorder


@asynccontextmanager
async def refusing_proxy(response=b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"):
    """Run an HTTP proxy that gives each CONNECT one response and closes; yield its address and the received heads.

    With an empty response (b"") it closes at once, with None it resets the connection.
    """
    heads = []

    async def handle(reader, writer):
        heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        if response is None:
            writer.transport.abort()
            return
        writer.write(response)
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}", heads
