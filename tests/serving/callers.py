"""Clients that send requests without pause while a server restarts, and count failures.

They speak raw HTTP/1.1: a library would hide a reset by retrying.
"""

import asyncio
from collections import Counter
from contextlib import asynccontextmanager

GET = b"GET %b HTTP/1.1\r\nHost: localhost\r\n\r\n"
SECONDS = 20


async def exchange(reader, writer, path="/livez"):
    """Send one request on a connection; return its status, its headers and whether the connection can be reused."""
    writer.write(GET % path.encode())
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    status, *lines = head.splitlines()
    headers = dict(line.split(": ", 1) for line in lines if line)
    await reader.readexactly(int(headers["content-length"]))
    return int(status.split()[1]), headers, headers.get("connection") != "close"


@asynccontextmanager
async def connection(port, *, address="127.0.0.1"):
    """Open a connection from an address; close it at the end of the block."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0))
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def _call(port, ended, counts, *, keeps):
    while not ended.is_set():
        try:
            async with asyncio.timeout(SECONDS), connection(port) as (reader, writer):
                is_usable = True
                while is_usable and not ended.is_set():
                    status, _, is_usable = await exchange(reader, writer)
                    counts[status] += 1
                    is_usable = is_usable and keeps
                    await asyncio.sleep(0.01)
        except ConnectionRefusedError:
            counts["refused"] += 1
            await asyncio.sleep(0.05)
        except (OSError, asyncio.IncompleteReadError, TimeoutError) as fault:
            counts[type(fault).__name__] += 1


@asynccontextmanager
async def calling(port, *, each=6):
    """Send requests with `each` clients that reconnect for every request, and as many that keep their connection.

    Yield the counts: statuses, `refused`, and the names of exceptions.
    """
    ended, counts = asyncio.Event(), Counter()
    calls = [asyncio.create_task(_call(port, ended, counts, keeps=keeps)) for keeps in [True, False] * each]
    try:
        yield counts
    finally:
        ended.set()
        await asyncio.gather(*calls)
