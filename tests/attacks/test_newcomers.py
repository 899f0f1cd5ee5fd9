"""New connections during a flood: unauthenticated clients that pipeline requests do not delay them much."""

import asyncio
import statistics
import subprocess
import sys
import time
from contextlib import asynccontextmanager

import pytest

from tests.attacks.processes import ROOT
from tests.free_ports import free_port
from tests.serving.callers import connection, exchange

SAMPLES = 7
CONNECTIONS = 200
# A new connection waits for five turns of the loop, an open one for two; with one accept per turn it was 35 times.
MOST_TIMES = 8
SLACK_SECONDS = 0.05
SECONDS = 60

SERVERS = {  # command, its arguments, a path with an immediate response
    "serve": ("serve", (), "/livez"),
    "two workers": ("serve", ("--workers", "2", "--host", "::"), "/livez"),
    "demo": ("demo", (), "/livez"),
    "simulator": ("sandbox", (), "/_/faults"),
}


@asynccontextmanager
async def flooded(port, path, *, connections=CONNECTIONS, addresses=1):
    """Flood a port from another process."""
    words = ["-m", "tests.attacks.flooding", str(port), str(connections), path, str(addresses)]
    flood = await asyncio.create_subprocess_exec(sys.executable, *words, cwd=ROOT, stdout=subprocess.PIPE)
    try:
        assert await flood.stdout.readline() == b"flooding\n"
        yield
        assert flood.returncode is None
    finally:
        flood.kill()
        await flood.wait()


async def seconds_of(streams, path):
    """Send a request on a connection; return its duration."""
    started = time.perf_counter()
    assert (await exchange(*streams, path))[0] == 200
    return time.perf_counter() - started


async def seconds_of_a_newcomer(port, path):
    """Connect and send a request; return the duration of both."""
    started = time.perf_counter()
    async with connection(port) as streams:
        await seconds_of(streams, path)
    return time.perf_counter() - started


async def waits(port, path, flooded_path):
    """Send requests alternately on an open connection and on new ones, under a flood; return both medians."""
    async with asyncio.timeout(SECONDS), connection(port) as kept:
        await seconds_of(kept, path)
        async with flooded(port, flooded_path):
            pairs = [(await seconds_of(kept, path), await seconds_of_a_newcomer(port, path)) for _ in range(SAMPLES)]
    return tuple(statistics.median(seconds) for seconds in zip(*pairs, strict=True))


@pytest.fixture(params=SERVERS)
async def server(request, start, launch, eventually):
    """Run one of the servers; return its port, and the path with an immediate response."""
    command, arguments, path = SERVERS[request.param]
    running = await start()
    if command == "sandbox":
        port = free_port()
        process = await launch(running, command, arguments=("--port", str(port)))
        process.port = port
        assert await eventually(lambda: accepts(port), seconds=20), process.log
        return port, path
    process = await launch(running, command, arguments=arguments)
    return process.port, path


async def accepts(port):
    """Return whether a process listens on a port."""
    try:
        async with connection(port):
            return True
    except OSError:
        return False


@pytest.mark.slow
async def test_a_new_connection_waits_little_longer_than_an_open_one(server):
    """While 200 clients pipeline 4 KiB each and reconnect, a new connection gets its response soon."""
    port, path = server
    kept, newcomer = await waits(port, path, path)
    assert newcomer < MOST_TIMES * kept + SLACK_SECONDS, (kept, newcomer)


@pytest.mark.slow
async def test_the_openapi_document_delays_others_like_a_refusal(running, launch):
    """A flood for the largest response, which is rendered once, delays others little more than one of refusals."""
    process = await launch(running)
    refused, _ = await waits(process.port, "/livez", "/x")
    written, _ = await waits(process.port, "/livez", "/openapi.json")
    assert written < 4 * refused + SLACK_SECONDS, (refused, written)
