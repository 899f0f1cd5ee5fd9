"""Too many connections: with few descriptors, idle connections lock no caller out, and Redis stays reachable."""

import asyncio
import json
import os
import subprocess
import sys
from contextlib import asynccontextmanager, suppress

import aiohttp
import pytest

from tests.attacks.test_overload import journey
from tests.free_ports import free_port
from tests.serving.callers import connection

FEW = 128
STRANGERS = 300


@asynccontextmanager
async def strangers(port, *, address, beginning=b"", come_back=True):
    """Open connections that send nothing, or part of a request; each that ends is reopened, or not."""

    async def hold():
        comes = True
        while comes:
            comes = come_back
            with suppress(OSError):
                async with connection(port, address=address) as (reader, writer):
                    writer.write(beginning)
                    await reader.read(1)
            await asyncio.sleep(0.05)

    tasks = [asyncio.create_task(hold()) for _ in range(STRANGERS)]
    await asyncio.sleep(0.5)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def lines(process, event):
    """Return the log lines of one event."""
    found = [json.loads(line) for line in process.log.splitlines() if line.startswith("{")]
    return [line for line in found if line["event"] == event]


@pytest.mark.parametrize(
    "beginning",
    [
        pytest.param(b"", id="silent"),
        pytest.param(b"POST /v1/verifications HTTP/1.1\r\n", id="half a head", marks=pytest.mark.slow),
    ],
)
async def test_a_flood_of_connections_locks_no_caller_out(start, launch, beginning):
    """With 128 descriptors and 300 connections of one peer, which reconnects at once, every caller is served."""
    running = await start(otp_worker=False)
    process = await launch(running, descriptors=FEW)
    async with strangers(process.port, address="127.0.0.2", beginning=beginning):
        for number in range(10):
            await journey(process.client, f"+1415555{number:04d}")
        assert len(os.listdir(f"/proc/{process.child.pid}/fd")) < FEW - 20  # noqa: PTH208 - numbers, not files
    [said] = lines(process, "few_descriptors")
    assert (said["level"], said["descriptors"]) == ("warning", FEW)
    assert len(lines(process, "connections_at_limit")) in {1, 2}  # for the process, for the peer; once a minute


async def test_idle_connections_of_a_proxy_lock_no_caller_out(start, launch):
    """300 idle connections from the address of all callers, as behind a proxy, are closed for callers."""
    process = await launch(await start(otp_worker=False), descriptors=FEW, OTP_TRUSTED_PROXIES="1")
    async with strangers(process.port, address="127.0.0.1", come_back=False):
        for number in range(10):
            await journey(process.client, f"+1415555{number:04d}")


async def test_redis_is_reconnected_during_a_flood(start, launch, own_redis, eventually):
    """A Redis that restarts during a flood is reconnected: a descriptor is reserved for it."""
    running = await start(otp_worker=False, redis_url=own_redis.url)
    process = await launch(running, descriptors=FEW)
    async with strangers(process.port, address="127.0.0.2"):
        await journey(process.client, "+14155550101")
        own_redis.kill()
        own_redis.start()

        async def works():
            return (await process.client.call("POST", "/v1/verifications", {"to": "+14155550102"}))[0] == 201

        assert await eventually(works, seconds=20)


async def test_idle_connections_do_not_block_the_simulator(start, launch, eventually):
    """With 128 descriptors and 300 idle connections the simulator alone also keeps responding."""
    running = await start(otp_worker=False)
    port = free_port()
    await launch(running, "sandbox", arguments=["--port", str(port)], descriptors=FEW)

    async def responds():
        async with aiohttp.ClientSession() as http:
            try:
                async with http.get(f"http://127.0.0.1:{port}/_/messages") as response:
                    return response.status == 200
            except aiohttp.ClientError:
                return False

    assert await eventually(responds, seconds=30)
    async with strangers(port, address="127.0.0.1", come_back=False):
        for _ in range(20):
            assert await responds()


def test_the_descriptor_limit_is_raised_to_the_hard_limit():
    """The soft limit is raised to the hard one; a hard limit below our target is not an error."""
    told = "from service.descriptors import *; raise_limit(); print(descriptor_limit())"
    for soft, hard in ((100, 500), (100, 100)):
        command = f"ulimit -n {hard} && ulimit -S -n {soft} && exec {sys.executable} -c '{told}'"
        ended = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True, timeout=30)
        assert int(ended.stdout) == hard
