"""A small application served over ASGI and directly, under each protocol, and raw connections to it."""

import asyncio
import contextlib
import json
from functools import partial

import pytest

from service.http_server import DeferredRequests, DirectApplication, HttpProtocol, RawResponse
from service.http_server import Server as HttpServer
from service.sandbox import DroppingProtocol
from tests.conftest import free_listener

SECONDS = 10


class Seen:
    """The requests that an application has received."""

    def __init__(self):
        self.requests = []

    def note(self, method, path, body):
        """Record a request; return the response body that describes it."""
        self.requests.append((method, path, body))
        return json.dumps([method, path, body.decode("latin-1")]).encode()


def over_asgi(seen):
    """Make an application that responds over ASGI with the request that it received."""

    async def application(scope, receive, send):
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                body, more = b"incomplete", False
            else:
                body += message["body"]
                more = message["more_body"]
        content = seen.note(scope["method"], scope["path"], body)
        length = (b"content-length", b"%d" % len(content))
        await send({"type": "http.response.start", "status": 200, "headers": [length]})
        await send({"type": "http.response.body", "body": content})

    return application


class Direct(DirectApplication):
    """The same application, with direct responses."""

    def __init__(self, seen, *, are_known=True):
        self.seen = seen
        self.deferred = None if are_known else DeferredRequests()

    async def __call__(self, _scope, _receive, _send):
        raise AssertionError("over ASGI")

    def direct(self, request):
        return (lambda: self.answer(request)), self.deferred

    async def answer(self, request):
        body = b""
        while request.whole_body() is None:
            message = await request.receive()
            if message["type"] == "http.disconnect":
                body = b"incomplete"
                break
            body += message["body"]
            if not message["more_body"]:
                break
        else:
            body = request.whole_body()
        content = self.seen.note(request.head.method, request.head.path, body)
        return RawResponse(200, b"content-length: %d\r\n" % len(content), content)

    def error_response(self, status):
        return RawResponse(status, b"content-length: 0\r\nx-refused: directly\r\n", b"")


SERVERS = {
    "asgi": (HttpProtocol, over_asgi),
    "direct": (HttpProtocol, Direct),
    "deferred": (HttpProtocol, partial(Direct, are_known=False)),
    "simulator": (DroppingProtocol, over_asgi),
}


@contextlib.asynccontextmanager
async def serving(protocol, application, **options):
    """Serve an application under a protocol in this event loop; yield the port."""
    quiet = {"lifespan": "off", "log_level": "info", "date_header": False}
    listener = free_listener()
    port = listener.getsockname()[1]
    server = HttpServer(application, protocol=protocol, **(quiet | options))
    server.capture_signals = contextlib.nullcontext
    task = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:  # noqa: ASYNC110 - uvicorn offers no event
        await asyncio.sleep(0.005)
    try:
        yield port
    finally:
        server.should_exit = True
        await task


class Server:
    """One server: the requests it received, and connections to it."""

    def __init__(self, port):
        self.port = port
        self.seen = Seen()

    async def talk(self, *pieces, pause=0.0):
        """Send pieces on a new connection, each to be read separately; return all bytes that come back."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        received = b""
        async with asyncio.timeout(SECONDS):
            with contextlib.suppress(ConnectionError):
                for piece in pieces:
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(pause)
                while more := await reader.read(65536):
                    received += more
        writer.close()
        return received


@pytest.fixture(params=SERVERS)
async def server(request):
    """Serve the application in each of the ways."""
    protocol, application = SERVERS[request.param]
    one = Server(0)
    async with serving(protocol, application(one.seen)) as one.port:
        yield one
