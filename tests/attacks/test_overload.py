"""Overload (A15): large bodies, slow sockets, deep JSON, thousands of headers. Other callers are still served."""

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from tests.attacks.processes import shared_processes
from tests.attacks.racing import Racer, race

MEBIBYTE = 1 << 20


with_process = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def processes(valkey, tmp_path_factory):
    """Run one serving process for all tests."""
    async with shared_processes(valkey, tmp_path_factory.mktemp("overload"), 1) as running:
        yield running


@pytest.fixture
def process(processes, redis):
    """Return the serving process, on an empty Redis."""
    return processes(redis)[0]


def resident_bytes(process):
    """Return the resident memory of a process."""
    [line] = [one for one in Path(f"/proc/{process.child.pid}/status").read_text().splitlines() if "VmRSS" in one]
    return int(line.split()[1]) * 1024


async def send_raw(port, *chunks):
    """Send bytes as far as the server reads them; return the status line, or b'' if it only closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for chunk in chunks:
            writer.write(chunk)
            await writer.drain()
        return await asyncio.wait_for(reader.readline(), 10)
    except OSError:
        return b""
    finally:
        writer.transport.abort()


@asynccontextmanager
async def slow_sockets(port, beginnings):
    """Hold connections open that have sent part of a request and send no more."""
    connections = [await asyncio.open_connection("127.0.0.1", port) for _ in beginnings]
    try:
        for (_, writer), beginning in zip(connections, beginnings, strict=True):
            writer.write(beginning)
        yield
    finally:
        for _, writer in connections:
            writer.transport.abort()


async def journey(client, number):
    """Issue, verify and read like an ordinary caller, all in time."""
    async with asyncio.timeout(10):
        issued = await client.issue(number)
        assert (await client.verify(issued["id"], *client.codes(number)))["verdict"] == "approved"


def head(client, path, *lines):
    """Write a request's head without the final line end."""
    auth = f"Authorization: Bearer {client.key}"
    start = (f"POST {path} HTTP/1.1", "Host: localhost", auth, "Content-Type: application/json")
    return "\r\n".join([*start, *lines]).encode()


@with_process
async def test_two_hundred_slow_sockets_block_no_other_caller(process):
    """A15: while 200 connections have sent half a head or half a body, another caller is served."""
    half_head = head(process.client, "/v1/verifications")
    half_body = half_head + b"\r\nContent-Length: 1000\r\n\r\n{"
    async with slow_sockets(process.port, [half_head, half_body] * 100):
        await journey(process.client, "+14155550101")


@with_process
async def test_a_large_body_is_refused_unread(process):
    """A15: bodies of 10 MB, with or without Content-Length, get a 413; memory stays, and others are served."""
    client = process.client
    await journey(client, "+14155550101")
    before = resident_bytes(process)
    path = "/v1/verifications"
    announced = head(client, path, f"Content-Length: {10 * MEBIBYTE}", "", "")
    chunked = head(client, path, "Transfer-Encoding: chunked", "", "")
    piece = b"x" * MEBIBYTE
    part = b"%x\r\n%s\r\n" % (len(piece), piece)
    firsts = await asyncio.gather(
        *(send_raw(process.port, announced, *[piece] * 10) for _ in range(5)),
        *(send_raw(process.port, chunked, *[part] * 10, b"0\r\n\r\n") for _ in range(5)),
    )
    # A client that is still sending may see the connection close before it reads the response.
    assert {first.split(b" ")[1] for first in firsts if first} <= {b"413"}
    assert await send_raw(process.port, announced) == b"HTTP/1.1 413 Request Entity Too Large\r\n"
    stranger = announced.replace(client.key.encode(), b"otp_sk_nobody")
    assert b" 401 " in await send_raw(process.port, stranger)
    await journey(client, "+14155550102")
    assert resident_bytes(process) < 2 * before


@pytest.mark.alone
@with_process
async def test_all_of_it_at_once_slows_no_other_caller(process):
    """A15: with slow sockets, large bodies, deep JSON and endless headers 99 of 100 requests take under a second.

    The slow sockets belong to a stranger, at the one endpoint that reads a body before authentication: Twilio's.
    """
    client = process.client
    await journey(client, "+14155550101")
    before, path = resident_bytes(process), "/v1/verifications"
    form = b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000\r\n\r\nMessageSid="
    beginning = b"POST /twilio/status/ve_" + b"0" * 32 + b"/1 HTTP/1.1\r\nHost: localhost\r\n" + form
    deep = head(client, path, "Content-Length: 4096", "", "") + b"[" * 4096
    large = head(client, path, "Transfer-Encoding: chunked", "", "") + b"100000\r\n" + b"x" * MEBIBYTE
    ended = asyncio.Event()

    async def pester(*chunks):
        while not ended.is_set():
            await send_raw(process.port, *chunks)

    async with slow_sockets(process.port, [beginning] * 200):
        pests = [asyncio.create_task(pester(one)) for one in (large, deep, ODD_HEADS[0]) for _ in range(3)]
        seconds = []
        for number in range(100):
            started = asyncio.get_running_loop().time()
            await client.issue(f"+1415555{number:04d}")
            seconds.append(asyncio.get_running_loop().time() - started)
        ended.set()
        await asyncio.gather(*pests)
    assert sorted(seconds)[98] < 1
    assert resident_bytes(process) < 2 * before


async def test_deep_json_is_malformed(running):
    """A15: JSON as deep as the body limit allows is refused, not parsed recursively."""
    for opening in (b"[", b'{"to":', b'{"to":{"a":'):
        raw = opening * (4096 // len(opening))
        status, body, _ = await running.call(
            "POST", "/v1/verifications", data=raw, headers={"Content-Type": "application/json"}
        )
        assert (status, body["code"]) in ((400, "malformed_body"), (422, "invalid_request"))


MANY_HEADERS = b"".join(b"X-%d: a\r\n" % number for number in range(10_000))
ODD_HEADS = [
    b"GET /livez HTTP/1.1\r\nHost: localhost\r\n" + MANY_HEADERS + b"\r\n",
    b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"a" * 200_000 + b"\r\n\r\n",
    b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /v1/verifications/\xff\xfe HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /v1/verifications/%ff%00%0a HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer \xff\xfe\r\n\r\n",
    b"POST /v1/verifications HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + b"9" * 5_000 + b"\r\n\r\n",
    b"POST /v1/verifications HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
    b"POST /v1/verifications HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"GET /livez HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: YWJj\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"\x00" * 1_000,
]  # fmt: skip


@with_process
async def test_odd_heads_cause_no_server_error(process):
    """A15: thousands of headers, endless lines, bytes that are not HTTP: no 5xx, no traceback, others are served."""
    firsts = [await send_raw(process.port, raw + b"\r\n\r\n") for raw in ODD_HEADS]
    assert [first for first in firsts if first.split(b" ")[1:2] and first.split(b" ")[1].startswith(b"5")] == []
    await journey(process.client, "+14155550101")
    assert "Traceback" not in process.log
    assert "unexpected_error" not in process.log


async def test_a_flood_of_checks_does_not_starve_an_issue(start, launch):
    """A15: of 300 simultaneous checks, with slots for all, every one is checked, and an issue meanwhile is sent."""
    process = await launch(await start(otp_worker=False), OTP_WORKER="false", OTP_MAX_IN_FLIGHT="1000")
    client = process.client
    issued = await client.issue("+14155550101")
    headers = {"Authorization": f"Bearer {client.key}"}
    check = Racer(client.url, f"/v1/verifications/{issued['id']}/verify", {"code": "0000"}, headers)
    responses, _ = await asyncio.gather(race([check] * 300), journey(client, "+14155550102"))
    assert {status for status, _ in responses} == {200}
    assert not any(body["valid"] for _, body in responses)


@with_process
async def test_an_endless_head_is_refused(process):
    """A15: a client that sends headers without end is refused before they fill the memory."""
    before = resident_bytes(process)
    beginning = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n"
    headers = b"X-Header: %s\r\n" % (b"a" * 1000) * 1000
    await send_raw(process.port, beginning, *[headers] * 16, b"\r\n")
    assert resident_bytes(process) < before + 8 * MEBIBYTE
