"""The promises of `http_server.application`: responses equal uvicorn's byte for byte, direct ones included."""

import asyncio
import contextlib
import gc
import re

import pytest
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.app import create_app
from service.core.checking import Checking
from service.http.direct_router import DirectRouter
from service.http_server import HttpProtocol
from service.http_server.exchange import Exchange
from tests.conftest import serving as serving_whole
from tests.http_server.conftest import serving

SECONDS = 10
PLAIN = (b"content-type", b"text/plain")
LENGTH = (b"content-length", b"2")


def start(*headers, status=200):
    """Start a response."""
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


def body(content, **more):
    """Send a part of the response body."""
    return {"type": "http.response.body", "body": content, **more}


ANSWERS = {
    "/whole": [start(LENGTH, PLAIN), body(b"ok")],
    "/whole-late-length": [start(PLAIN, LENGTH), body(b"ok")],
    "/empty": [start((b"content-length", b"0")), body(b"")],
    "/no-content": [start(status=204), body(b"")],
    "/without-length": [start(PLAIN), body(b"ok")],
    "/in-two-pieces": [start(LENGTH), body(b"o", more_body=True), body(b"k")],
    "/stream": [start(PLAIN), body(b"o", more_body=True), body(b"k", more_body=True), body(b"")],
    "/closing": [start(LENGTH, (b"connection", b"close")), body(b"ok")],
    "/too-short": [start(LENGTH), body(b"o")],
    "/too-long": [start(LENGTH), body(b"okay")],
    "/break-in-header": [start(LENGTH, (b"location", b"/\r\nx-smuggled: 1")), body(b"ok")],
    "/return-in-header": [start(LENGTH, (b"location", b"/\rx-smuggled: 1")), body(b"ok")],
    "/only-a-body": [body(b"ok")],
    "/only-a-head": [start(LENGTH)],
    "/too-much": [start(LENGTH), body(b"ok"), body(b"ok")],
    "/nothing": [],
    "/fault": [RuntimeError("on purpose")],
    "/fault-after-the-head": [start(LENGTH), RuntimeError("on purpose")],
    "/%62lank%20space": [start(LENGTH), body(b"ok")],
}


async def app(scope, receive, send):
    """Read the body, then send the response of the path."""
    while (await receive()).get("more_body"):
        pass
    for message in ANSWERS[scope["raw_path"].decode()]:
        if isinstance(message, Exception):
            raise message
        await send(message)


async def talk(port, *requests):
    """Send requests in one write, then EOF; return all bytes that come back."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    async with asyncio.timeout(SECONDS):
        writer.write(b"".join(requests))
        received = b""
        with contextlib.suppress(ConnectionError):
            while piece := await reader.read(65536):
                received += piece
    writer.close()
    return received


def request(path, method="GET", version="1.1", *more):
    """Write a request that closes its connection."""
    lines = [f"{method} {path} HTTP/{version}", "Host: x", *more, "", ""]
    return "\r\n".join(lines).encode()


LAST = "Connection: close"


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize("path", ANSWERS)
async def test_every_response_equals_uvicorns(path, method):
    """Whole, streamed, too short or incomplete: the client receives the bytes that uvicorn would send."""
    sent = [
        [request(path, method, "1.1", LAST)],
        [request(path, method, "1.0")],
        [request(path, method), request("/whole", "GET", "1.1", LAST)],
        [request(path, "POST", "1.1", LAST, "Content-Length: 2", "Expect: 100-continue") + b"{}"],
    ]
    async with serving(HttpToolsProtocol, app) as theirs, serving(HttpProtocol, app) as ours:
        for requests in sent:
            expected, received = await talk(theirs, *requests), await talk(ours, *requests)
            assert received == expected.removeprefix(CONTINUE), requests


CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"  # only uvicorn sends 100 Continue if the body is here (RFC 9110, 10.1.1)


class Pieces(asyncio.Protocol):
    """A client that records each received piece."""

    def __init__(self):
        self.pieces = []

    def data_received(self, data):
        self.pieces.append(data)


async def test_a_direct_response_is_one_write(running, eventually):
    """The client always receives head and body of a direct response together."""
    port = int(running.url.rpartition(":")[2])
    transport, client = await asyncio.get_running_loop().create_connection(Pieces, "127.0.0.1", port)
    for count in range(1, 51):
        transport.write(request("/livez"))
        assert await eventually(lambda count=count: len(client.pieces) == count, seconds=SECONDS)
    transport.close()
    assert {(piece[:13], piece[-1:]) for piece in client.pieces} == {(b"HTTP/1.1 200 ", b"}")}


async def test_a_response_to_a_closed_connection_raises_nothing():
    """A response to a closed connection is discarded and raises nothing."""
    left, ended = asyncio.Event(), []

    async def late(_scope, receive, send):
        await receive()
        await left.wait()
        assert (await receive())["type"] == "http.disconnect"
        await send(start(LENGTH))
        await send(body(b"ok"))
        ended.append(True)

    async with serving(HttpProtocol, late) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request("/"))
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.transport.abort()
        left.set()
        async with asyncio.timeout(SECONDS):
            while not ended:  # noqa: ASYNC110 - the application offers no event
                await asyncio.sleep(0.005)


async def test_trailers_are_not_headers():
    """Trailers of a chunked body are not added to the headers: an address there would look like a proxy's."""

    async def told(scope, receive, send):
        while (await receive()).get("more_body"):
            pass
        names = b",".join(name for name, _ in scope["headers"])
        await send(start((b"content-length", b"%d" % len(names))))
        await send(body(names))

    chunked = request("/", "POST", "1.1", "Transfer-Encoding: chunked", LAST)
    async with serving(HttpProtocol, told) as port:
        received = await talk(port, chunked + b"2\r\n{}\r\n0\r\nX-Forwarded-For: 192.0.2.7\r\n\r\n")
    assert received.endswith(b"host,transfer-encoding,connection")


async def test_a_request_with_upgrade_is_an_ordinary_request():
    """Even where uvicorn supports a WebSocket protocol, a request with Upgrade gets one HTTP response."""

    class Never(asyncio.Protocol):
        def __init__(self, **_):
            raise AssertionError("nobody upgrades here")

    upgrade = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: x", "Sec-WebSocket-Version: 13")
    async with serving(HttpProtocol, app, ws=Never) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request("/whole", "GET", "1.1", *upgrade))
        async with asyncio.timeout(SECONDS):
            assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200 ")
        writer.close()


ISSUE = "/v1/verifications"
KNOWN_ID = "X-Request-Id: 0123456789abcdef0123"
JSON = "Content-Type: application/json"


def calls(key, one):
    """List requests at direct routes for responses of every kind; `one` is the path of a verification."""
    bearer = f"Authorization: Bearer {key}"

    def post(path, content, *more):
        return request(path, "POST", "1.1", bearer, KNOWN_ID, f"Content-Length: {len(content)}", *more) + content

    return {
        "read": request(one, "GET", "1.1", bearer, KNOWN_ID),
        "probe": request("/livez", "GET", "1.1", KNOWN_ID),
        "metrics": request("/metrics", "GET", "1.1", KNOWN_ID),
        "no body": request("/twilio/status/x/1", "POST", "1.1", KNOWN_ID),
        "nobody": request(one, "GET", "1.1", KNOWN_ID),
        "unknown": request(f"{ISSUE}/ve_{'0' * 32}", "GET", "1.1", bearer, KNOWN_ID),
        "escapes": request(one.replace("v1", "%76%31") + "?a=b", "GET", "1.1", bearer, KNOWN_ID),
        "not json": post(one + "/verify", b"{", JSON),
        "not valid": post(one + "/verify", b"{}", JSON),
        "wrong type": post(one + "/verify", b"{}", "Content-Type: text/plain"),
        "too large": post(one + "/verify", b" " * 5000, JSON),
        "expected": post(one + "/verify", b"{}", JSON, "Expect: 100-continue"),
        "wrong method": request(one, "DELETE", "1.1", bearer, KNOWN_ID),
        "wrong address": request("/v1/nothing", "GET", "1.1", bearer, KNOWN_ID),
        "head": request(one, "HEAD", "1.1", bearer, KNOWN_ID),
        "old": request(one, "GET", "1.0", bearer, KNOWN_ID),
    }


def without_date(received):
    """Remove the date and the lag, and `100 Continue`, which may be omitted (RFC 9110, 10.1.1)."""
    if b"otp_event_loop_lag_seconds" in received:
        received = re.sub(rb"\notp_event_loop_lag_seconds .*|content-length: .*", b"", received)
    received = received.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
    return [line for line in received.split(b"\r\n") if not line.startswith(b"date: ")]


async def test_a_response_is_the_same_directly_and_over_asgi(running, eventually):
    """The same request gets the same bytes from a direct route and over ASGI, under uvicorn's protocol and ours."""
    issued = await running.issue()

    async def is_delivered():
        return (await running.read(issued["id"]))["sends"][0]["status"] == "delivered"

    assert await eventually(is_delivered, seconds=SECONDS)  # nothing else changes between the two reads
    app = create_app(running.settings, event_log=lambda *_, **__: None)
    asked = calls(running.key, f"{ISSUE}/{issued['id']}")
    async with serving_whole(app) as url:
        for name, once in asked.items():
            last = once.replace(b"Host: x\r\n", b"Host: x\r\nConnection: close\r\n")
            over_asgi = await talk(int(url.rpartition(":")[2]), last)
            straight = await talk(int(running.url.rpartition(":")[2]), last)
            assert without_date(straight) == without_date(over_asgi), name
            assert b"x-request-id: 0123456789abcdef0123" in straight, name


async def test_direct_routes_do_not_use_asgi(start, monkeypatch):
    """Only requests with an Origin use ASGI, and only if CORS is on."""
    straight, with_cors = await start(), await start(otp_cors_origins="https://app.example")
    from_page = {"Origin": "https://app.example"}

    async def never(*_):
        raise AssertionError("over ASGI")

    monkeypatch.setattr(DirectRouter, "__call__", never)
    for service, headers, expected in [
        (straight, {}, 200), (straight, from_page, 200), (with_cors, {}, 200), (with_cors, from_page, 500),
    ]:  # fmt: skip
        assert (await service.call("GET", "/livez", headers=headers))[0] == expected
    assert (await straight.call("GET", "/nowhere"))[0] == 500


async def test_pipelined_requests_get_their_responses_in_order(running):
    """Requests sent in one write get their responses in order, direct routes and others mixed."""
    bearer = f"Authorization: Bearer {running.key}"
    one = f"{ISSUE}/{(await running.issue())['id']}"
    ids = [f"X-Request-Id: {number:016d}" for number in range(9)]
    paths = ["/livez", one, "/docs/assets/docs.js"] * 3
    asked = [request(path, "GET", "1.1", bearer, name) for path, name in zip(paths, ids, strict=True)]
    asked[-1] = asked[-1].replace(b"Host: x\r\n", b"Host: x\r\nConnection: close\r\n")
    received = await talk(int(running.url.rpartition(":")[2]), *asked)
    told = [line for line in received.split(b"\r\n") if line.startswith(b"x-request-id: ")]
    assert told == [name.lower().encode() for name in ids]
    assert received.count(b"HTTP/1.1 200 OK") == len(asked)


@pytest.mark.parametrize("seconds", [0.0, 0.05])
async def test_a_late_body_is_awaited(running, seconds):
    """A body in pieces, or after `100 Continue`, is the same body."""
    one = f"{ISSUE}/{(await running.issue())['id']}"
    code = running.codes()[0]
    content = b'{"code":"%b"}' % code.encode()
    head = request(
        one + "/verify", "POST", "1.1", f"Authorization: Bearer {running.key}", JSON,
        f"Content-Length: {len(content)}", "Expect: 100-continue", LAST,
    )  # fmt: skip
    reader, writer = await asyncio.open_connection("127.0.0.1", int(running.url.rpartition(":")[2]))
    async with asyncio.timeout(SECONDS):
        writer.write(head)
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        for place in range(len(content)):
            writer.write(content[place : place + 1])
            await writer.drain()
            await asyncio.sleep(seconds)
        assert b'"verdict":"approved"' in await reader.read(-1)
    writer.close()


async def test_an_endpoint_that_is_cancelled_ends_its_exchange(running, monkeypatch):
    """If the server ends during a request, the client gets a complete 500 and the connection closes."""

    async def cut_off(*_, **__):
        raise asyncio.CancelledError

    monkeypatch.setattr(Checking, "read", cut_off)
    one = f"{ISSUE}/{(await running.issue())['id']}"
    asked = request(one, "GET", "1.1", f"Authorization: Bearer {running.key}")
    received = await talk(int(running.url.rpartition(":")[2]), asked)
    assert received.startswith(b"HTTP/1.1 500 ")
    assert received.endswith(b"Internal Server Error")


@pytest.mark.parametrize(("path", "status"), [("/livez", b"200 OK"), ("/nothing", b"404 Not Found")])
async def test_an_exchange_is_freed_with_its_response(running, path, status):
    """An exchange is in no reference cycle, so it is freed at once."""
    port = int(running.url.rpartition(":")[2])
    gc.collect()
    gc.disable()
    try:
        received = await talk(port, *[request(path)] * 100, request(path, "GET", "1.1", LAST))
        left = [one for one in gc.get_objects() if isinstance(one, Exchange)]
    finally:
        gc.enable()
    assert received.count(b"HTTP/1.1 " + status) == 101
    assert len(left) < 20
