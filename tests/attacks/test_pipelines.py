"""Pipelines of strangers: thousands of requests in one write cost no memory, and delay no other caller."""

import asyncio
import contextlib
from pathlib import Path

import pytest

MEBIBYTE = 1024 * 1024
CONNECTIONS = 12
SECONDS = 3.0
MOST_GROWTH = 32 * MEBIBYTE  # 70 to over 1,000 if each request of a read is kept


def request(path, *headers):
    """Write one request."""
    return b"\r\n".join([b"GET %b HTTP/1.1" % path, b"Host: x", *headers, b"", b""])


KINDS = {
    "nowhere": request(b"/x"),
    "probe": request(b"/livez"),
    "large answers": request(b"/openapi.json"),
    "refused": request(b"/v1/verifications/x", b"Authorization: Bearer otp_sk_unknown"),
    "chunked": b"POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
}


def memory(process, name):
    """Return a figure of the process's memory, in bytes."""
    lines = Path(f"/proc/{process.child.pid}/status").read_text().splitlines()
    [line] = [line for line in lines if line.startswith(name)]
    return int(line.split()[1]) * 1024


async def flood(port, one, *, reads):
    """Send mebibytes of requests on one connection after the other until the time is over; read responses or not."""
    pipeline = one * (MEBIBYTE // len(one))
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(SECONDS):
            while True:
                with contextlib.suppress(ConnectionError):
                    await send_until_closed(port, pipeline, reads=reads)


async def send_until_closed(port, pipeline, *, reads):
    """Send a pipeline on a new connection again and again, until the server closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    if not reads:
        writer.transport.pause_reading()

    async def read():
        while await reader.read(MEBIBYTE):
            pass

    reading = asyncio.create_task(read() if reads else asyncio.sleep(SECONDS))
    try:
        while not reading.done():
            writer.write(pipeline)
            await writer.drain()
        await reading
    finally:
        reading.cancel()
        writer.transport.abort()


@pytest.mark.slow
@pytest.mark.parametrize("reads", [True, False], ids=["read", "unread"])
@pytest.mark.parametrize("kind", KINDS)
async def test_a_pipeline_costs_the_memory_of_one_request(running, launch, kind, reads):
    """Endless requests on twelve connections grow the process by less than 32 MiB, and others are served."""
    process = await launch(running)
    for path in ("/openapi.json", "/x", "/livez"):
        await process.client.call("GET", path)
    before = memory(process, "VmRSS")
    floods = [asyncio.create_task(flood(process.port, KINDS[kind], reads=reads)) for _ in range(CONNECTIONS)]
    await asyncio.sleep(SECONDS / 3)
    async with asyncio.timeout(SECONDS):
        assert (await process.client.call("GET", "/livez"))[0] == 200
    await asyncio.gather(*floods)
    assert (await process.client.call("GET", "/livez"))[0] == 200
    assert memory(process, "VmHWM") - before < MOST_GROWTH
    assert "unexpected_error" not in process.log
    assert "Traceback" not in process.log
