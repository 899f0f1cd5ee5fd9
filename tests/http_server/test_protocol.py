"""The promises of `http_server.protocol`, over real sockets: limits on the size and duration of a request."""

import asyncio
import contextlib
import gc

import pytest
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

from service.http_server import HttpProtocol
from service.http_server import clock as rules
from service.http_server.request_parser import MOST_HEAD_BYTES, MOST_HELD_BYTES
from tests.http_server.conftest import SERVERS, Direct, Seen, over_asgi, serving

KIBIBYTE = 1024
TOO_MUCH = MOST_HEAD_BYTES + 8 * KIBIBYTE  # the read with the end of a body may contain some of it
ONE_READ = 256 * KIBIBYTE  # the maximum of asyncio
FITTING = MOST_HEAD_BYTES - 2 * KIBIBYTE
SECONDS = 15  # far more than a refusal takes, far less than an open connection would last
REFUSAL = b"HTTP/1.1 431 "
INCOMPLETE = b"HTTP/1.1 400 "  # of the application `measure`
QUICK_SECONDS = 0.3
IDLE_SECONDS = 1
PIPELINED = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
LINE = b"X-Filler: " + b"a" * 1012 + b"\r\n"

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n"
CHUNKED = b"POST %b HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
BODY = CHUNKED % b"/" + b"2\r\n{}\r\n"
ENDLESS = {
    "header lines": (GET, LINE, REFUSAL),
    "one header": (GET + b"X: ", b"a" * KIBIBYTE, REFUSAL),
    "path": (b"GET /", b"a" * KIBIBYTE, REFUSAL),
    "empty lines": (b"\r\n", b"\r\n" * 512, REFUSAL),
    "trailer lines": (BODY + b"0\r\n", LINE, INCOMPLETE),
    "one trailer": (BODY + b"0\r\nX: ", b"a" * KIBIBYTE, INCOMPLETE),
    "chunk extension": (BODY + b"2;x=", b"a" * KIBIBYTE, INCOMPLETE),
    "chunk extension before a body": (CHUNKED % b"/" + b"2;x=", b"a" * KIBIBYTE, INCOMPLETE),
}


async def measure(request):
    """Return the size of the body, or that it was incomplete."""
    size = 0
    try:
        async for piece in request.stream():
            size += len(piece)
    except ClientDisconnect:
        return PlainTextResponse("incomplete", 400)
    return PlainTextResponse(str(size))


async def respond_at_length(_):
    """Return more than all buffers between server and client hold."""

    async def pieces():
        for _ in range(256):
            yield b"a" * 64 * KIBIBYTE

    return StreamingResponse(pieces())


async def respond_late(_):
    """Respond after more time than a request may take to arrive."""
    await asyncio.sleep(3 * QUICK_SECONDS)
    return PlainTextResponse("late")


async def respond_early(_):
    """Respond without reading the body."""
    return PlainTextResponse("early")


@pytest.fixture
async def port():
    """Serve a small application under the limits; yield its port."""
    async with serving_for(IDLE_SECONDS) as port:
        yield port


@pytest.fixture
async def patient_port(monkeypatch):
    """Serve the same with a keep-alive of an hour and frequent checks of idle connections; yield its port."""
    monkeypatch.setattr(rules, "_LOOK_SECONDS", QUICK_SECONDS)
    async with serving_for(3600) as port:
        yield port


def serving_for(idle_seconds):
    """Serve the application with a given keep-alive."""
    app = Starlette(
        routes=[
            Route("/", measure, methods=["GET", "POST"]),
            Route("/early", respond_early, methods=["POST"]),
            Route("/late", respond_late),
            Route("/long", respond_at_length),
        ]
    )
    return serving(HttpProtocol, app, timeout_keep_alive=idle_seconds)


@contextlib.asynccontextmanager
async def connection(port):
    """Open a connection and close it at the end of the block."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.timeout(SECONDS):
            yield reader, writer
    finally:
        writer.transport.abort()


async def until_closed(reader):
    """Read until the server closes, by EOF or by a reset."""
    received = b""
    with contextlib.suppress(ConnectionError):
        while piece := await reader.read(65536):
            received += piece
    return received


async def read_responses(reader, count):
    """Read responses with a short body; return their bodies."""
    bodies = []
    for _ in range(count):
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 "), head
        [length] = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        bodies.append(await reader.readexactly(int(length.split(b":")[1])))
    return bodies


async def send(writer, beginning, filler, size, *, at_once):
    """Send the beginning and then bytes of filler, in one piece or in many."""
    pieces = [beginning, *[filler] * (size // len(filler))]
    for piece in [b"".join(pieces)] if at_once else pieces:
        with contextlib.suppress(ConnectionError):
            writer.write(piece)
            await writer.drain()
        await asyncio.sleep(0)


@pytest.mark.parametrize("at_once", [True, False], ids=["at once", "bit by bit"])
@pytest.mark.parametrize("what", ENDLESS)
async def test_an_endless_message_is_refused(port, what, at_once):
    """After 32 KiB an endless head gets a 431; endless chunk extensions or trailers make the body incomplete."""
    beginning, filler, expected = ENDLESS[what]
    async with connection(port) as (reader, writer):
        # Plus the beginning; not a byte more: it would meet a closed socket, whose reset would discard the 431.
        size = MOST_HEAD_BYTES
        if expected != REFUSAL:
            size = TOO_MUCH + ONE_READ * at_once
        await send(writer, beginning, filler, size, at_once=at_once)
        received = await until_closed(reader)
    assert received.startswith(expected)
    assert received.count(b"HTTP/1.1") == bool(expected)


async def test_endless_trailers_after_a_response_get_no_second_response(port):
    """The connection is closed without a 431, which would be taken for the next response."""
    async with connection(port) as (reader, writer):
        writer.write(CHUNKED % b"/early" + b"2\r\n{}\r\n")
        assert await read_responses(reader, 1) == [b"early"]
        await send(writer, b"0\r\n", LINE, TOO_MUCH, at_once=False)
        assert await until_closed(reader) == b""


async def test_an_endless_head_behind_a_request_ends_the_connection(port):
    """If an endless head follows a request whose response is pending, the connection ends with that response."""
    async with connection(port) as (reader, writer):
        writer.write(b"GET /late HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await asyncio.sleep(QUICK_SECONDS / 3)  # otherwise one read may contain both
        await send(writer, GET, LINE, MOST_HEAD_BYTES, at_once=True)
        assert await read_responses(reader, 1) == [b"late"]
        assert await until_closed(reader) == b""


async def test_an_endless_head_after_earlier_responses_gets_431(port):
    """An endless head after a completed request gets its 431, like a first one."""
    async with connection(port) as (reader, writer):
        writer.write(GET + b"\r\n")
        assert await read_responses(reader, 1) == [b"0"]
        await send(writer, GET, LINE, MOST_HEAD_BYTES, at_once=True)
        assert (await until_closed(reader)).startswith(REFUSAL)


@pytest.mark.parametrize("at_once", [True, False], ids=["at once", "bit by bit"])
async def test_requests_within_the_limits_pass_repeatedly(port, at_once):
    """Heads of 30 KiB, trailers of 30 KiB and bodies of any size pass one after the other on one connection."""
    body = b"a" * 8 * KIBIBYTE
    chunk = b"%x\r\n%b\r\n" % (len(body), body)
    async with connection(port) as (reader, writer):
        for _ in range(3):
            await send(writer, GET, LINE, FITTING, at_once=at_once)
            writer.write(b"\r\n")
            assert await read_responses(reader, 1) == [b"0"]
            post = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n" % (16 * len(body))
            await send(writer, post, LINE, FITTING, at_once=at_once)
            await send(writer, b"\r\n", body, 16 * len(body), at_once=at_once)
            assert await read_responses(reader, 1) == [b"%d" % (16 * len(body))]
            await send(writer, CHUNKED % b"/", chunk, 16 * len(chunk), at_once=at_once)
            await send(writer, b"0\r\n", LINE, FITTING, at_once=at_once)
            writer.write(b"\r\n")
            assert await read_responses(reader, 1) == [b"%d" % (16 * len(body))]


async def test_a_body_in_the_smallest_chunks_passes(port):
    """The framing of chunks does not count towards the limit: 40 KiB of it around 8 KiB are accepted."""
    count = 8 * KIBIBYTE
    async with connection(port) as (reader, writer):
        await send(writer, CHUNKED % b"/", b"1\r\na\r\n" * 64, count * 6, at_once=False)
        writer.write(b"0\r\n\r\n")
        assert await read_responses(reader, 1) == [b"%d" % count]


async def test_many_requests_on_one_connection_pass(port):
    """Two hundred small requests, 200 KiB of heads in all, pass one by one, and some of them in one write."""
    small = GET + LINE + b"\r\n"
    async with connection(port) as (reader, writer):
        for _ in range(200):
            writer.write(small)
            assert await read_responses(reader, 1) == [b"0"]
        writer.write(small * 15)
        assert await read_responses(reader, 15) == [b"0"] * 15


@pytest.fixture
def short_time_limits(monkeypatch):
    """Set all time limits to 0.3 s."""
    monkeypatch.setattr(rules, "MOST_SECONDS", QUICK_SECONDS)


async def drip(writer, beginning, piece=b"a"):
    """Send a beginning, then a piece every 20 ms until the connection ends."""
    with contextlib.suppress(ConnectionError):
        writer.write(beginning)
        while not writer.transport.is_closing():
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.02)


SLOW = {
    "nothing at all": (b"", b"", b""),
    "empty lines": (b"", b"\r\n", b""),
    "a head": (GET + b"X: ", b"a", b"HTTP/1.1 408 "),
    "a body": (b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999\r\n\r\n", b"a", INCOMPLETE),
    "chunks": (CHUNKED % b"/", b"1\r\na\r\n", INCOMPLETE),
    "trailers": (BODY + b"0\r\nX: ", b"a", INCOMPLETE),
}


@pytest.mark.usefixtures("short_time_limits")
async def test_a_slow_head_after_a_pending_response_gets_its_408_last(port):
    """A slow head that arrives while a response is pending gets its 408 after that response, never in its place."""
    async with connection(port) as (reader, writer):
        writer.write(b"GET /late HTTP/1.1\r\nHost: localhost\r\n\r\n" + GET)
        assert await read_responses(reader, 1) == [b"late"]
        assert (await until_closed(reader)).startswith(b"HTTP/1.1 408 ")


@pytest.mark.usefixtures("short_time_limits")
@pytest.mark.parametrize("what", SLOW)
async def test_a_slow_request_is_closed_at_its_deadline(port, what):
    """A request that arrives byte by byte ends the connection at its time limit, and not much earlier."""
    beginning, piece, expected = SLOW[what]
    async with connection(port) as (reader, writer):
        started = asyncio.get_running_loop().time()
        async with asyncio.TaskGroup() as tasks:
            dripping = tasks.create_task(drip(writer, beginning, piece))
            received = await until_closed(reader)
            dripping.cancel()
        took = asyncio.get_running_loop().time() - started
    assert received.startswith(expected)
    assert received.count(b"HTTP/1.1") == bool(expected)
    assert took >= QUICK_SECONDS * 0.9


@pytest.mark.usefixtures("short_time_limits")
async def test_a_slow_body_after_its_response_is_closed_without_a_second_response(port):
    """The time limit of a request also applies after its response, and no second response follows."""
    async with connection(port) as (reader, writer):
        writer.write(b"POST /early HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999\r\n\r\n")
        assert await read_responses(reader, 1) == [b"early"]
        async with asyncio.TaskGroup() as tasks:
            dripping = tasks.create_task(drip(writer, b""))
            assert await until_closed(reader) == b""
            dripping.cancel()


@pytest.mark.usefixtures("short_time_limits")
async def test_each_request_has_its_own_deadline(port):
    """Slow requests on one connection, each within its limit, may together take longer than the limit of one."""
    async with connection(port) as (reader, writer):
        for _ in range(8):
            writer.write(GET)
            await asyncio.sleep(QUICK_SECONDS * 0.2)  # far from too long, for a machine that is busy
            writer.write(b"\r\n")
            assert await read_responses(reader, 1) == [b"0"]


@pytest.mark.usefixtures("short_time_limits")
async def test_a_slow_response_is_not_a_slow_request(port):
    """A complete request may wait for its response without limit."""
    async with connection(port) as (reader, writer):
        writer.write(b"GET /late HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert await read_responses(reader, 1) == [b"late"]


@pytest.mark.usefixtures("short_time_limits")
async def test_an_unread_response_closes_the_connection(port):
    """A client that requests much and reads nothing is disconnected before the whole response is sent."""
    async with connection(port) as (reader, writer):
        writer.transport.pause_reading()
        writer.write(b"GET /long HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await asyncio.sleep(4 * QUICK_SECONDS)
        writer.transport.resume_reading()
        assert len(await until_closed(reader)) < 256 * 64 * KIBIBYTE


EARLY = b"POST /early HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n"


@pytest.mark.parametrize(
    ("beginning", "end"), [(GET, b"\r\n"), (EARLY, b"{}")], ids=["after a response", "after an early response"]
)
async def test_an_idle_connection_is_closed(port, beginning, end):
    """A connection without a further request is closed without a response, soon after its keep-alive."""
    loop = asyncio.get_running_loop()
    async with connection(port) as (reader, writer):
        writer.write(beginning)
        await asyncio.sleep(QUICK_SECONDS / 3)
        writer.write(end)
        await read_responses(reader, 1)
        started = loop.time()
        assert await until_closed(reader) == b""
        assert IDLE_SECONDS * 0.9 <= loop.time() - started <= IDLE_SECONDS * 2.5


@pytest.mark.usefixtures("short_time_limits")
async def test_a_long_keep_alive_extends_no_other_limit(patient_port):
    """With a long keep-alive, a later request that arrives too slowly still ends at its time limit."""
    async with connection(patient_port) as (reader, writer):
        writer.write(GET + b"\r\n")
        assert await read_responses(reader, 1) == [b"0"]
        await asyncio.sleep(2 * QUICK_SECONDS)  # it is kept open meanwhile
        writer.write(GET)
        assert (await until_closed(reader)).startswith(b"HTTP/1.1 408 ")


async def test_a_long_keep_alive_keeps_no_refused_connection(patient_port):
    """After a refusal, further bytes are discarded until the next check, not for the keep-alive."""
    async with connection(patient_port) as (reader, writer):
        writer.write(b"no request\r\n\r\n")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 400 ")
        assert await reader.read() == b""
        with pytest.raises(ConnectionError):  # noqa: PT012 - the second write sees a reset
            for _ in range(SECONDS * 10):
                writer.write(b"more")
                await writer.drain()
                await asyncio.sleep(0.1)


async def test_a_connection_in_use_stays_open(port):
    """A connection with requests in time stays open, over several checks and while a response is pending."""
    async with connection(port) as (reader, writer):
        for _ in range(5):
            writer.write(GET + b"\r\n")
            assert await read_responses(reader, 1) == [b"0"]
            await asyncio.sleep(IDLE_SECONDS * 0.6)
        writer.write(b"GET /late HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert await read_responses(reader, 1) == [b"late"]


@pytest.mark.parametrize("make", [Direct, over_asgi])
@pytest.mark.parametrize("path", [b"", b"/"])
async def test_a_closed_connection_leaves_no_reference_cycle(make, path, eventually):
    """The bytes of an incomplete request are freed with its connection, without the garbage collector."""
    unfinished = (
        b"POST / HTTP/1.1\r\nHost: x\r\n" + LINE * 20 + b"Content-Length: 9000\r\n\r\n" + b"a" * 8000
        if path
        else GET + LINE
    )
    async with serving(HttpProtocol, make(Seen())) as port:
        gc.collect()
        gc.disable()
        try:
            for _ in range(20):
                async with connection(port) as (_, writer):
                    writer.write(unfinished)
                    await asyncio.sleep(0.01)
            is_freed = lambda: not [one for one in gc.get_objects() if isinstance(one, HttpProtocol)]  # noqa: E731
            assert await eventually(is_freed)
        finally:
            gc.enable()


@pytest.mark.parametrize("extra", [0, 1], ids=["as many as fit", "more"])
@pytest.mark.parametrize("server", ["asgi", "direct", "deferred"])
async def test_few_bytes_are_kept_behind_a_request(server, extra):
    """At most 16 KiB of later requests wait; with more, the response in progress is the last, and says so."""
    seen = Seen()
    protocol, application = SERVERS[server]
    count = MOST_HELD_BYTES // len(PIPELINED) + 8 * extra
    async with serving(protocol, application(seen)) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(PIPELINED * (count - 1) + PIPELINED.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        response = await asyncio.wait_for(reader.read(), SECONDS)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
    statuses = response.count(b"HTTP/1.1 200")
    assert statuses == (1 if extra else count)
    assert response.lower().count(b"connection: close") == 1
    assert len(seen.requests) == statuses
