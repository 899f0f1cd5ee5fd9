"""How `serve` stops: it drains, closes its sockets, and completes the requests in progress; no request fails."""

import asyncio
import os
import signal
from pathlib import Path

import aiohttp
import pytest

from service.sandbox import FaultPlan
from tests.serving.callers import calling, connection, exchange

ONE, TWO = ["--workers", "1"], ["--workers", "2"]
both = pytest.mark.parametrize(
    "arguments", [pytest.param(ONE, id="one worker"), pytest.param(TWO, id="two workers", marks=pytest.mark.slow)]
)


def children_of(process):
    """Return the pids of the serving children of a `serve`."""
    parent = process.child.pid
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text("ascii").split()
    return {int(pid) for pid in children if b"service.serving" in Path(f"/proc/{pid}/cmdline").read_bytes()}


def exists(pid):
    """Return whether a process exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def readiness_status(port):
    """Request /readyz on a new connection; return its status, or None when nothing listens."""
    try:
        async with connection(port) as streams:
            return (await exchange(*streams, "/readyz"))[0]
    except OSError:
        return None


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize(("arguments", "drain_seconds"), [(ONE, "1"), (TWO, "0")], ids=["one worker", "two workers"])
async def test_a_restart_fails_no_request(start, launch, arguments, drain_seconds):
    """Over four restarts under load nothing fails except connecting, which is refused while nothing listens."""
    running = await start(otp_worker=False)
    process = await launch(running, arguments=arguments, OTP_DRAIN_SECONDS=drain_seconds)
    async with calling(process.port) as counts:
        for _ in range(4):
            await asyncio.sleep(0.5)
            assert await process.stop() == 0
            await process.start()
    faults = {name: count for name, count in counts.items() if name not in {200, "refused"}}
    if drain_seconds == "0":  # a client may send on a kept connection at the moment in which it is closed
        faults.pop("IncompleteReadError", None)
        faults.pop("ConnectionResetError", None)
    assert faults == {}
    assert counts[200] > 500


@both
async def test_a_draining_server_serves_and_closes_connections(start, launch, eventually, arguments):
    """From SIGTERM on, /readyz is 503 `draining`, and every response closes its connection, a kept one, too."""
    process = await launch(await start(otp_worker=False), arguments=arguments, OTP_DRAIN_SECONDS="3")
    async with connection(process.port) as kept:
        assert (await exchange(*kept))[2]
        assert await readiness_status(process.port) == 200
        process.child.send_signal(signal.SIGTERM)
        assert await eventually(lambda: process.log.count('"draining"') == int(arguments[1]))
        async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{process.port}/readyz") as response:
            assert (response.status, (await response.json())["code"]) == (503, "draining")
            assert response.headers["Retry-After"]
            assert response.headers["Connection"] == "close"
        status, _, is_usable = await exchange(*kept)
        assert (status, is_usable) == (200, False)
        assert await kept[0].read() == b""
    assert await asyncio.to_thread(process.child.wait, 20) == 0


@pytest.mark.slow
@both
async def test_requests_in_progress_complete_after_the_sockets_are_closed(start, launch, eventually, arguments):
    """An issue that Twilio delays completes after the sockets are closed, and then its connection closes."""
    running = await start(otp_worker=False)
    process = await launch(running, arguments=arguments, OTP_DRAIN_SECONDS="0")
    running.sandbox.faults.plan(FaultPlan(endpoint="messages", kind="slow", seconds=2, count=1))
    issue = asyncio.create_task(process.client.call("POST", "/v1/verifications", {"to": "+14155550123"}))
    assert await eventually(lambda: not running.sandbox.faults.planned())
    process.child.send_signal(signal.SIGTERM)

    async def nothing_listens():
        return await readiness_status(process.port) is None

    assert await eventually(nothing_listens)
    assert not issue.done()
    status, _, headers = await issue
    assert (status, headers["Connection"]) == (201, "close")
    assert await asyncio.to_thread(process.child.wait, 20) == 0


@pytest.mark.slow
@both
async def test_a_partial_request_completes_after_the_sockets_are_closed(start, launch, eventually, arguments):
    """A client that has connected, or sent half a request, before the sockets close gets its response."""
    process = await launch(await start(otp_worker=False), arguments=arguments, OTP_DRAIN_SECONDS="0")
    async with connection(process.port) as silent, connection(process.port) as (reader, writer):
        writer.write(b"GET /livez HTTP/1.1\r\nHost:")
        await asyncio.sleep(0.2)  # until the server accepts it, which is not visible here
        process.child.send_signal(signal.SIGTERM)

        async def nothing_listens():
            return await readiness_status(process.port) is None

        assert await eventually(nothing_listens)
        writer.write(b" localhost\r\n\r\n")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        assert (await exchange(*silent))[::2] == (200, False)
    assert await asyncio.to_thread(process.child.wait, 20) == 0


@both
async def test_a_second_signal_stops_at_once(start, launch, eventually, arguments):
    """During a drain with a hanging issue, a second SIGTERM stops the process and its children within two seconds."""
    running = await start(otp_worker=False)
    process = await launch(running, arguments=arguments, OTP_DRAIN_SECONDS="60")
    children = children_of(process)
    running.sandbox.faults.plan(FaultPlan(endpoint="messages", kind="slow", seconds=60, count=1))
    issue = asyncio.create_task(process.client.call("POST", "/v1/verifications", {"to": "+14155550123"}))
    assert await eventually(lambda: not running.sandbox.faults.planned())
    process.child.send_signal(signal.SIGTERM)
    assert await eventually(lambda: '"draining"' in process.log)
    process.child.send_signal(signal.SIGTERM)
    await asyncio.to_thread(process.child.wait, 2)
    with pytest.raises(aiohttp.ClientError):
        await issue
    assert [pid for pid in children if exists(pid)] == []
    running.sandbox.faults.end()


@pytest.mark.slow
@both
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
async def test_a_signal_to_the_whole_process_group_is_one_signal(start, launch, eventually, arguments, number):
    """SIGINT or SIGTERM to all processes at once drains as usual, and the exit status is 0."""
    process = await launch(await start(otp_worker=False), arguments=arguments, OTP_DRAIN_SECONDS="2")
    for pid in (process.child.pid, *children_of(process)):
        os.kill(pid, number)
    assert await eventually(lambda: process.log.count('"draining"') == int(arguments[1]))
    assert await readiness_status(process.port) == 503
    assert await asyncio.to_thread(process.child.wait, 20) == 0
    assert process.log.count("service_stopped") == int(arguments[1])
