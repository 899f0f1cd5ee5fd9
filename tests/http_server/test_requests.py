"""The promises of `http_server`: one request, one response, wherever its bytes are cut and whatever follows it."""

import asyncio
from itertools import pairwise

import pytest

CANARY = b"GET /canary HTTP/1.1\r\nHost: x\r\n\r\n"
LAST = b"GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
CHUNKS = b"5\r\nGET /\r\n%x\r\n%b\r\n1\r\n\n\r\n0\r\n" % (len(CANARY) - 6, CANARY[5:-1])


def post(*lines, body=CANARY, path=b"/post", method=b"POST"):
    """Write a request with a body that looks like a request."""
    head = b"\r\n".join([b"%b %b HTTP/1.1" % (method, path), b"Host: x", *lines])
    return b"%b\r\nContent-Length: %d\r\n\r\n%b" % (head, len(body), body)


def chunked(*lines, chunks=CHUNKS, trailers=b""):
    """Write the same request with a chunked body."""
    head = b"\r\n".join([b"POST /post HTTP/1.1", b"Host: x", b"Transfer-Encoding: chunked", *lines])
    return b"%b\r\n\r\n%b%b\r\n" % (head, chunks, trailers)


def upgrading(upgrade, connection=b"Upgrade"):
    """Write the headers that request an upgrade."""
    return b"Connection: %b" % connection, b"Upgrade: %b" % upgrade


H2C = (*upgrading(b"h2c", b"Upgrade, HTTP2-Settings"), b"HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA")
WEBSOCKET = (*upgrading(b"websocket"), b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", b"Sec-WebSocket-Version: 13")

# Each with what the application must see: method, path, body.
SERVED = {
    "plain": (post(), ("POST", "/post", CANARY)),
    "h2c": (post(*H2C), ("POST", "/post", CANARY)),
    "websocket": (post(*WEBSOCKET), ("POST", "/post", CANARY)),
    "tls": (post(*upgrading(b"TLS/1.2")), ("POST", "/post", CANARY)),
    "several": (post(*upgrading(b"h2c, websocket, TLS/1.2")), ("POST", "/post", CANARY)),
    "twice": (post(*upgrading(b"h2c"), *upgrading(b"websocket")), ("POST", "/post", CANARY)),
    "odd case": (post(b"cONNECTION: KEEP-alive,uPgRaDe", b"uPGRADE: H2C"), ("POST", "/post", CANARY)),
    "before the length": (post(*upgrading(b"h2c")), ("POST", "/post", CANARY)),
    "upgrade, no body": (post(*H2C, body=b""), ("POST", "/post", b"")),
    "upgrade, GET": (b"GET /get HTTP/1.1\r\nHost: x\r\n%b\r\n%b\r\n\r\n" % upgrading(b"h2c"), ("GET", "/get", b"")),
    "upgrade, GET with a body": (post(*WEBSOCKET, method=b"GET"), ("GET", "/post", CANARY)),
    "upgrade, chunked": (chunked(*upgrading(b"h2c")), ("POST", "/post", CANARY)),
    "upgrade, trailers": (chunked(*upgrading(b"x"), trailers=b"Host: y\r\nUpgrade: z\r\n"), ("POST", "/post", CANARY)),
    "upgrade alone": (post(b"Upgrade: h2c"), ("POST", "/post", CANARY)),
    "chunked": (chunked(), ("POST", "/post", CANARY)),
    "trailers": (chunked(trailers=b"Host: y\r\nConnection: close\r\n"), ("POST", "/post", CANARY)),
    "trailers to upgrade": (chunked(trailers=b"\r\n".join([*H2C, b""])), ("POST", "/post", CANARY)),
    "chunk extensions": (chunked(chunks=b'5;a="b;c"\r\nhello\r\n0;d\r\n'), ("POST", "/post", b"hello")),
    "empty chunked body": (chunked(chunks=b"0\r\n"), ("POST", "/post", b"")),
    "empty lines in the body": (post(body=b"\r\n\r\n" * 3), ("POST", "/post", b"\r\n\r\n" * 3)),
    "empty lines in chunks": (chunked(chunks=b"8\r\n\r\n\r\n\r\n\r\n\r\n0\r\n"), ("POST", "/post", b"\r\n\r\n" * 2)),
    "empty lines before": (b"\r\n\r\n\r\n" + post(), ("POST", "/post", CANARY)),
    "GET with a body": (post(method=b"GET"), ("GET", "/post", CANARY)),
    "a line break in the path": (post(path=b"/livez%0A"), ("POST", "/livez%0A", CANARY)),
}


def cuts(message):
    """Cut a message in all ways: whole, in two, byte by byte."""
    yield [message]
    yield [message[at : at + 1] for at in range(len(message))]
    step = max(1, len(message) // 40)
    yield from ([message[:at], message[at:]] for at in range(1, len(message), step))


@pytest.mark.parametrize("name", SERVED)
async def test_a_request_is_one_request_however_it_is_cut(server, name):
    """A request, sent twice on one connection and before a last one, gets one response each, with its body intact."""
    message, expected = SERVED[name]
    for pieces in cuts(message + message):
        received = await server.talk(*pieces, LAST)
        assert received.count(b"HTTP/1.1 200 OK") == received.count(b"HTTP/1.1 ") == 3
        assert server.seen.requests == [expected, expected, ("GET", "/last", b"")]
        server.seen.requests.clear()


async def test_a_body_in_a_later_read_is_not_a_request(server):
    """The body of a request with Upgrade is its body even if it arrives in a separate read."""
    head, body = post(*H2C).split(b"\r\n\r\n", 1)
    received = await server.talk(head + b"\r\n\r\n", body, LAST, pause=0.1)
    assert received.count(b"HTTP/1.1 ") == 2
    assert server.seen.requests == [("POST", "/post", CANARY), ("GET", "/last", b"")]


HOST = b"POST /post HTTP/1.1\r\nHost: x\r\n"
SINGLE = (
    b"Authorization", b"Content-Type", b"Idempotency-Key", b"Origin", b"X-Twilio-Signature",
    b"X-Twilio-Webhooks-Signature-Settings",
)  # fmt: skip
REFUSED = {
    "no host": b"GET /get HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /get HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n",
    "two hosts in HTTP/1.0": b"GET /get HTTP/1.0\r\nHost: x\r\nHost: y\r\n\r\n",
    **{
        f"two {name.decode()}": b"GET /get HTTP/1.1\r\nHost: x\r\n%b: a\r\nX-Other: x\r\n%b: b\r\n\r\n"
        % (name, name.lower())
        for name in SINGLE
    },
    "a host with a blank": b"GET /get HTTP/1.1\r\nHost: x y\r\n\r\n",
    "a host with a slash": b"GET /get HTTP/1.1\r\nHost: x/y\r\n\r\n",
    "two codings": HOST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two codings, the last not chunked": HOST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n",
    "an identity coding": HOST + b"Transfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "a coding below": HOST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "an upgrade's coding": HOST + b"Connection: Upgrade\r\nUpgrade: x\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n",
    "a coding in HTTP/1.0": b"POST /post HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a coding and a length": HOST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "a length and a coding": HOST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": HOST + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\n",
    "a list of lengths": HOST + b"Content-Length: 5, 5\r\n\r\n",
    "a signed length": HOST + b"Content-Length: +5\r\n\r\n",
    "a folded length": HOST + b"Content-Length:\r\n 5\r\n\r\n",
    "a blank before the colon": HOST + b"Content-Length : 5\r\n\r\n",
    "bare line feeds": b"GET /get HTTP/1.1\nHost: x\n\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/2.0 in the form of 1": b"GET /get HTTP/2.0\r\nHost: x\r\n\r\n",
    "HTTP/0.9": b"GET /get\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "no target": b"GET  HTTP/1.1\r\nHost: x\r\n\r\n",
    "CONNECT": b"CONNECT example.org:443 HTTP/1.1\r\nHost: example.org\r\n\r\n",
}


@pytest.mark.parametrize("name", REFUSED)
async def test_an_ambiguous_request_is_refused(server, name):
    """It gets a 400 and the connection is closed; nothing after it is read or executed."""
    for pieces in ([REFUSED[name] + CANARY], [bytes([byte]) for byte in REFUSED[name] + CANARY]):
        received = await server.talk(post(), *pieces)
        assert received.startswith(b"HTTP/1.1 200 OK")
        assert received.count(b"HTTP/1.1 400 Bad Request") == 1
        assert received.count(b"HTTP/1.1 ") == 2
        assert server.seen.requests == [("POST", "/post", CANARY)]
        server.seen.requests.clear()


async def test_a_refusal_waits_for_the_previous_response(server):
    """A valid request followed by garbage in the same read gets its own response first, then the 400."""
    received = await server.talk(b"GET /get HTTP/1.1\r\nHost: x\r\n\r\n" + b"\x00garbage")
    assert received.startswith(b"HTTP/1.1 200 OK")
    assert received.count(b"HTTP/1.1 400 Bad Request") == 1
    assert server.seen.requests == [("GET", "/get", b"")]


@pytest.mark.parametrize(
    "chunks", [b"5\r\nhell\r\n0\r\n", b"z\r\n", b"5\r\nhelloX", b"-1\r\n", b"5 5\r\nhello\r\n0\r\n"]
)
async def test_a_malformed_body_is_an_incomplete_body(server, chunks):
    """The application learns that the body is incomplete; its response is the only one, and the last."""
    received = await server.talk(chunked(chunks=chunks) + CANARY)
    assert received.count(b"HTTP/1.1 ") == 1
    assert b"connection: close" in received
    assert server.seen.requests == [("POST", "/post", b"incomplete")]


async def test_connect_gets_a_response_and_closes_the_connection(server):
    """CONNECT to a path of ours is a request like any other, and the last one."""
    received = await server.talk(post(method=b"CONNECT", path=b"http://x/tunnel") + CANARY)
    assert received.count(b"HTTP/1.1 ") == 1
    assert b"/canary" not in [path for _, path, _ in server.seen.requests]


@pytest.mark.parametrize("size", [33_000, 120_000, 1_000_000])
async def test_a_large_head_in_one_write_is_refused(server, size):
    """A head of more than 32 KiB is refused even if it arrives whole, in one read."""
    head = b"GET /get HTTP/1.1\r\nHost: x\r\nX-Filler: %b\r\n\r\n" % (b"a" * size)
    received = await server.talk(head + CANARY)
    assert received.startswith(b"HTTP/1.1 431 Request Header Fields Too Large")
    assert received.count(b"HTTP/1.1 ") == 1
    assert server.seen.requests == []


@pytest.mark.parametrize("is_whole", [True, False])
async def test_too_many_headers_are_refused(server, is_whole):
    """More than a hundred headers are refused: very short ones would take twenty times the memory of their bytes."""
    lines = b"".join(b"a%d:\r\n" % number for number in range(101))
    received = await server.talk(b"GET /get HTTP/1.1\r\nHost: x\r\n" + lines + (b"\r\n" if is_whole else b""))
    assert received.startswith(b"HTTP/1.1 431 Request Header Fields Too Large")
    assert server.seen.requests == []
    most = b"".join(b"a%d:\r\n" % number for number in range(99))
    received = await server.talk(b"GET /get HTTP/1.1\r\nHost: x\r\n" + most + b"\r\n" + LAST)
    assert received.startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize("expect", [b"100-continue", b"100-Continue"])
async def test_100_continue_is_sent_only_if_the_body_is_missing(server, expect):
    """`Expect` gets `100 Continue` if the body waits for it, and none if the body has arrived."""
    head, body = post(b"Expect: " + expect).split(b"\r\n\r\n", 1)
    received = await server.talk(head + b"\r\n\r\n", body + LAST, pause=0.1)
    assert received.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK")
    received = await server.talk(head + b"\r\n\r\n" + body + LAST)
    assert received.startswith(b"HTTP/1.1 200 OK")
    assert server.seen.requests == [("POST", "/post", CANARY), ("GET", "/last", b"")] * 2


async def test_another_expectation_is_ignored(server):
    """An unknown expectation has no effect."""
    received = await server.talk(post(b"Expect: miracles") + LAST)
    assert received.count(b"HTTP/1.1 200 OK") == received.count(b"HTTP/1.1 ") == 2


async def test_head_gets_a_response_without_a_body(server):
    """HEAD gets the headers without a body: the next bytes are the next response."""
    received = await server.talk(b"HEAD /get HTTP/1.1\r\nHost: x\r\n\r\n" + LAST)
    first, second, body = received.split(b"\r\n\r\n")
    assert b"content-length: " in first
    assert second.startswith(b"HTTP/1.1 200 OK")
    assert body == b'["GET", "/last", ""]'


async def test_pipelined_requests_take_turns(server):
    """One turn of the event loop starts at most one request of a connection, so that others get their turn."""
    loop, counts = asyncio.get_running_loop(), []

    def count():
        nonlocal counting
        counts.append(len(server.seen.requests))
        counting = loop.call_soon(count)

    counting = loop.call_soon(count)
    await server.talk(CANARY * 50 + LAST)
    counting.cancel()
    assert counts[-1] == 51
    assert max(after - before for before, after in pairwise(counts)) == 1
