"""Too many connections: with few descriptors, idle connections keep no caller out, and Redis can be reached."""

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
    """Hold connections open that ask nothing, or begin to; each that ends is opened anew, or not."""

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
    """Give the lines of the log about one event."""
    found = [json.loads(line) for line in process.log.splitlines() if line.startswith("{")]
    return [line for line in found if line["event"] == event]


@pytest.mark.parametrize(
    "beginning",
    [
        pytest.param(b"", id="silent"),
        pytest.param(b"POST /v1/verifications HTTP/1.1\r\n", id="half a head", marks=pytest.mark.slow),
    ],
)
async def test_a_flood_of_connections_keeps_no_caller_out(start, launch, beginning):
    """With 128 descriptors and 300 connections of one stranger, who comes back at once, every caller is served."""
    running = await start(otp_worker=False)
    process = await launch(running, descriptors=FEW)
    async with strangers(process.port, address="127.0.0.2", beginning=beginning):
        for number in range(10):
            await journey(process.client, f"+1415555{number:04d}")
        assert len(os.listdir(f"/proc/{process.child.pid}/fd")) < FEW - 20  # noqa: PTH208 - numbers, not files
    [said] = lines(process, "few_descriptors")
    assert (said["level"], said["descriptors"]) == ("warning", FEW)
    assert len(lines(process, "connections_at_limit")) in {1, 2}  # of the process, of the peer; once a minute


async def test_idle_connections_of_a_proxy_keep_no_caller_out(start, launch):
    """300 idle connections from the address from which all callers come, as behind a proxy, give way to callers."""
    process = await launch(await start(otp_worker=False), descriptors=FEW, OTP_TRUSTED_PROXIES="1")
    async with strangers(process.port, address="127.0.0.1", come_back=False):
        for number in range(10):
            await journey(process.client, f"+1415555{number:04d}")


async def test_redis_is_reached_again_while_strangers_come(start, launch, own_redis, eventually):
    """A Redis that restarts during a flood is connected to again: its descriptor was kept back."""
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
    """With 128 descriptors and 300 idle connections the simulator alone, too, goes on answering."""
    running = await start(otp_worker=False)
    port = free_port()
    await launch(running, "sandbox", arguments=["--port", str(port)], descriptors=FEW)

    async def answers():
        async with aiohttp.ClientSession() as http:
            try:
                async with http.get(f"http://127.0.0.1:{port}/_/messages") as response:
                    return response.status == 200
            except aiohttp.ClientError:
                return False

    assert await eventually(answers, seconds=30)
    async with strangers(port, address="127.0.0.1", come_back=False):
        for _ in range(20):
            assert await answers()


def test_the_limit_is_raised_as_far_as_it_goes():
    """The soft limit is raised to the hard one; a hard one that is lower than we would like is no fault."""
    told = "from service.descriptors import *; raise_limit(); print(descriptor_limit())"
    for soft, hard in ((100, 500), (100, 100)):
        command = f"ulimit -n {hard} && ulimit -S -n {soft} && exec {sys.executable} -c '{told}'"
        ended = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True, timeout=30)
        assert int(ended.stdout) == hard
