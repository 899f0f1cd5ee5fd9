"""The promises of the service as an HTTP/1.1 server: all refusals have one format, and all clients one behaviour."""

import asyncio
import contextlib
import json
import re

import pytest

from service.http_server.request_parser import MOST_HELD_BYTES

ISSUE = "/v1/verifications"
ORIGIN = "https://app.example"
LAST = b"connection: close\r\n"


class Lines:
    """An event log that keeps its lines."""

    def __init__(self):
        self.all = []

    def __call__(self, event, /, **fields):
        self.all.append({"event": event, **fields})

    def of(self, event):
        """List the lines of one event."""
        return [line for line in self.all if line["event"] == event]


@pytest.fixture
def lines():
    """Return an event log that keeps its lines."""
    return Lines()


def get(path, *headers):
    """Write a request without a body."""
    return b"GET %b HTTP/1.1\r\nhost: x\r\n%b\r\n" % (path, b"".join(headers))


REFUSED = {
    "no host": (b"GET /livez HTTP/1.1\r\n\r\n", 400, "malformed_request"),
    "large": (get(b"/livez", b"x: %b\r\n" % (b"a" * 33_000)), 431, "headers_too_large"),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_a_refusal_by_the_server_is_a_logged_problem(start, lines, on_the_wire, name):
    """A refusal before routing has a problem body, safe headers, an id, and one log line."""
    sent, status, code = REFUSED[name]
    service = await start(event_log=lines)
    received = await on_the_wire(service, sent)
    head, _, body = received.partition(b"\r\n\r\n")
    headers = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
    problem = json.loads(body)
    assert (problem["status"], problem["code"]) == (status, code)
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert headers[b"content-type"] == b"application/problem+json"
    assert headers[b"content-length"] == b"%d" % len(body)
    assert headers[b"cache-control"] == b"no-store"
    assert headers[b"x-content-type-options"] == b"nosniff"
    assert headers[b"connection"] == b"close"
    [line] = lines.of("request")
    assert (line["status"], line["problem"], line["route"]) == (status, code, "unmatched")
    assert line["request_id"] == problem["request_id"] == headers[b"x-request-id"].decode()


@pytest.mark.parametrize("path", [b"/livez", b"/readyz", b"/metrics", b"/docs", b"/openapi.json", b"/v1/verifications"])
async def test_a_line_break_is_part_of_the_path(running, on_the_wire, path):
    """A line break at the end of a path is part of it: `/livez%0A` is a 404 on every route."""
    received = await on_the_wire(running, get(path + b"%0A", LAST))
    assert received.startswith(b"HTTP/1.1 404 ")
    assert b'"code":"not_found"' in received


async def test_an_empty_chunked_body_is_accepted_where_no_body_is_expected(running, on_the_wire):
    """On an endpoint without a body, an empty chunked body without a type counts as no body."""
    for method, path in ((b"GET", b"/livez"), (b"HEAD", b"/livez"), (b"GET", b"/readyz"), (b"GET", b"/metrics")):
        plain = b"%b %b HTTP/1.1\r\nhost: x\r\nconnection: close\r\n" % (method, path)
        for framing in (b"\r\n", b"content-length: 00\r\n\r\n", b"transfer-encoding: chunked\r\n\r\n0\r\n\r\n"):
            received = await on_the_wire(running, plain + framing)
            assert received.startswith(b"HTTP/1.1 200 "), framing
            assert received.endswith(b"\r\n\r\n") == (method == b"HEAD")
            assert received.count(b"HTTP/1.1 ") == 1
    sent = get(b"/livez", b"transfer-encoding: chunked\r\n", LAST) + b"2\r\n{}\r\n0\r\n\r\n"
    assert (await on_the_wire(running, sent)).startswith(b"HTTP/1.1 415 ")


async def bodies_of(service, sent):
    """Send pieces, each after a response or 0.2 s; return all that comes back."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(service.url.rpartition(":")[2]))
    received = b""
    async with asyncio.timeout(10):
        with contextlib.suppress(ConnectionError):
            for piece in sent:
                writer.write(piece)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.2):
                        received += await reader.read(65536)
            while more := await reader.read(65536):
                received += more
    writer.close()
    received = re.sub(rb"(date|x-request-id|access-control-[a-z-]+|vary): [^\r]*\r\n", b"", received)
    return re.sub(rb'"request_id":"[0-9a-f]{16}"', b"", received)


EXPECTATIONS = [b"expect: 100-continue\r\n", b"expect: 100-Continue\r\n", b"expect: something\r\n", b""]


@pytest.mark.parametrize("expect", EXPECTATIONS)
@pytest.mark.parametrize("key", [True, False], ids=["key", "stranger"])
async def test_expect_is_handled_alike_with_and_without_an_origin(start, key, expect):
    """A back end and a page (CORS) receive the same bytes, whether the body comes at once, later, or never."""
    service = await start(otp_cors_origins=ORIGIN)
    one = f"{ISSUE}/{(await service.issue())['id']}/verify".encode()
    credential = service.key if key else "otp_sk_unknown"
    body = b'{"code": "x"}'
    lines = b"host: x\r\nauthorization: Bearer %b\r\ncontent-type: application/json\r\n%b" % (
        credential.encode(),
        expect,
    )
    head = b"POST %b HTTP/1.1\r\n%bcontent-length: %d\r\n" % (one, lines, len(body))
    for last in (LAST, b""):
        for pieces in ((b"", body), (body,)):
            responses = []
            for origin in (b"", b"origin: %b\r\n" % ORIGIN.encode()):
                sent = [head + last + origin + b"\r\n" + pieces[0], *pieces[1:], get(b"/livez", LAST)]
                responses.append(await bodies_of(service, sent))
            assert responses[0] == responses[1]
            waits = b"100-continue" in expect.lower() and len(pieces) > 1
            assert responses[0].startswith(b"HTTP/1.1 100 ") == (waits and key)
            assert responses[0].count(b"HTTP/1.1 ") == 1 + (waits and key) + (not last and (key or not waits))


async def test_an_incomplete_body_gets_one_400(start, lines, on_the_wire):
    """A malformed body gets one response, 400, over ASGI too, and is not logged as our error."""
    service = await start(event_log=lines, otp_cors_origins=ORIGIN)
    for origin in (b"", b"origin: %b\r\n" % ORIGIN.encode()):
        head = b"POST %b HTTP/1.1\r\nhost: x\r\nauthorization: Bearer %b\r\n%b" % (
            ISSUE.encode(), service.key.encode(), origin,
        )  # fmt: skip
        chunked = b"content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\nz\r\n"
        received = await on_the_wire(service, head + chunked + get(b"/livez"))
        assert received.startswith(b"HTTP/1.1 400 ")
        assert b'"code":"malformed_body"' in received
        assert received.count(b"HTTP/1.1 ") == 1
    assert lines.of("unexpected_error") == []


@pytest.mark.parametrize("path", [b"/livez", b"/x", b"/openapi.json", b"/docs"])
async def test_a_client_that_disconnects_during_a_pipeline_logs_no_error(start, lines, caplog, eventually, path):
    """Hundreds of requests and a disconnect, with or without reading: no traceback, no `unexpected_error`."""
    service = await start(event_log=lines, otp_cors_origins=ORIGIN)
    port = int(service.url.rpartition(":")[2])
    for reads in (0, 1, 10_000):
        for origin in (b"", b"origin: %b\r\n" % ORIGIN.encode()):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            request = get(path, origin)
            writer.write(request * (MOST_HELD_BYTES // len(request)))
            if reads:
                await reader.readexactly(reads)
            writer.transport.abort()
    assert await eventually(lambda: service_is_idle(service))
    assert lines.of("unexpected_error") == []
    assert [record for record in caplog.records if record.levelname in {"ERROR", "CRITICAL"}] == []


async def service_is_idle(service):
    """Return whether the service responds: earlier requests are then done or dropped."""
    return (await service.call("GET", "/livez"))[0] == 200
