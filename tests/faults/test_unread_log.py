"""A log that is not read, with real processes: they keep working, end in time, and report dropped lines.

Standard output and standard error are not read: a pipe whose reader sleeps (`serve | sleep 60`), or a stopped terminal.
Or they cannot be written: a full disk, a closed reader.
"""

import asyncio
import json
import os
import time
from contextlib import suppress

import pytest

from tests.free_ports import free_port

REQUESTS = 1500  # a pipe holds the lines of 300
END_SECONDS = 8  # one for the log; the rest because this machine is shared


class Unread:
    """A pipe or terminal to which processes write, and which is read only on request."""

    def __init__(self, kind):
        self.reader, self.writer = os.pipe() if kind == "pipe" else os.openpty()
        self.outputs = {"stdout": self.writer, "stderr": self.writer}

    def fill(self):
        """Leave no room, as if it had not been read for a long time."""
        os.set_blocking(self.writer, False)
        with suppress(BlockingIOError):
            while True:
                os.write(self.writer, b"x" * 4095 + b"\n")
        os.set_blocking(self.writer, True)

    def read(self):
        """Return what it contains."""
        os.set_blocking(self.reader, False)
        read = b""
        with suppress(BlockingIOError):
            while some := os.read(self.reader, 65_536):
                read += some
        return read

    def close(self):
        """Close both ends."""
        for end in (self.reader, self.writer):
            with suppress(OSError):
                os.close(end)


@pytest.fixture
def unread():
    """Return `unread("pipe" or "terminal")`."""
    made = []

    def make(kind="pipe"):
        made.append(Unread(kind))
        return made[-1]

    yield make
    for one in made:
        one.close()


async def request_often(process, times=REQUESTS):
    """Send requests that each write a line; every one must get a response, and so must /livez at the end."""

    async def ask():
        async with asyncio.timeout(20):
            status, _, _ = await process.client.call("GET", "/v1/nothing")
        assert status == 404

    for _ in range(0, times, 50):
        await asyncio.gather(*(ask() for _ in range(50)))
    status, _, _ = await process.client.call("GET", "/livez")
    assert status == 200


async def end(process, *, statuses=(0,)):
    """End a process by SIGTERM; it must end in time, with 0."""
    started = time.monotonic()
    assert await process.stop(seconds=30) in statuses
    assert time.monotonic() - started < END_SECONDS


@pytest.mark.parametrize("kind", ["pipe", pytest.param("terminal", marks=pytest.mark.slow)])
async def test_serve_works_without_a_log_reader(start, launch, unread, kind):
    """However much it has to log, `serve` responds to each request and to /livez, and SIGTERM ends it in time."""
    process = await launch(await start(), outputs=unread(kind).outputs)
    await request_often(process)
    await end(process)


@pytest.mark.slow
async def test_two_workers_work_without_a_log_reader(start, launch, unread):
    """The same with two workers: neither they nor their parent block, in operation or at the end."""
    output = unread()
    process = await launch(await start(), outputs=output.outputs, arguments=["--workers", "2"])
    await request_often(process)
    output.fill()
    await end(process)


@pytest.mark.slow
@pytest.mark.parametrize("command", ["worker", "sandbox", "demo"])
async def test_the_other_commands_work_without_a_log_reader(start, launch, unread, command):
    """With output full from the start `worker` works, `sandbox` and `demo` serve, and SIGTERM ends each in time."""
    output = unread()
    output.fill()
    port = free_port()
    running = await start(otp_worker=False)
    arguments = ["--port", str(port)] if command == "sandbox" else []
    process = await launch(running, command, outputs=output.outputs, arguments=arguments)
    if command == "worker":
        issued = await running.issue()
        await running.verify(issued["id"], running.codes()[0])
        await _until(running.confirmed)
    elif command == "sandbox":
        await _until(lambda: _responds(port))
    await end(process, statuses=(0, 1) if command == "demo" else (0,))  # 1: the walk had not ended


async def test_dropped_lines_are_counted_and_logged(start, launch, unread, tmp_path):
    """Another process's /metrics counts the dropped lines; the log reports them when it is read again."""
    (tmp_path / "sitecustomize.py").write_text("import service.logs.writer as w; w.MOST_LINES = 50\n")
    running, output = await start(), unread()
    process = await launch(running, outputs=output.outputs, python_path=[tmp_path])
    await request_often(process)
    lines = []

    def said():
        lines.extend(map(json.loads, output.read().splitlines()))
        dropped = sum(line["lines"] for line in lines if line["event"] == "log_lines_dropped")
        return dropped if dropped + sum(line["event"] == "request" for line in lines) >= REQUESTS else None

    dropped = await _until(said)
    assert dropped > REQUESTS / 2
    assert await _until(lambda: _dropped(running)) == dropped


@pytest.mark.slow
async def test_lines_unread_at_the_end_are_counted(start, launch, unread):
    """Lines that are still queued when a process ends without a reader are counted as dropped."""
    running, output = await start(), unread()
    process = await launch(running, outputs=output.outputs)
    await request_often(process)
    await end(process)
    read = output.read().count(b'"event":"request"')
    assert REQUESTS - read <= await _dropped(running) <= REQUESTS - read + 10


@pytest.mark.slow
async def test_a_closed_log_reader_stops_nothing(start, launch, unread):
    """If its log reader closes, `serve` keeps working without a log, and ends with 0."""
    output = unread()
    process = await launch(await start(), outputs=output.outputs)
    os.close(output.reader)
    await request_often(process, 500)
    await end(process)


@pytest.mark.slow
async def test_a_full_disk_stops_nothing(start, launch):
    """With a full disk under its log, `serve` keeps working, ends with 0, and counts each line as it serves."""
    running = await start()
    with open("/dev/full", "wb", buffering=0) as full:  # noqa: ASYNC230, PTH123 - a device
        process = await launch(running, outputs={"stdout": full, "stderr": full})
        await request_often(process, 500)

        async def all_counted():
            return await _dropped(running) >= 500

        await _until(all_counted)  # while it serves
        await end(process)


async def _until(condition, *, seconds=20):
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if asyncio.iscoroutine(value):
            value = await value
        if value:
            return value
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


async def _dropped(running):
    """Read the counter from a process that has dropped nothing."""
    async with running.http.get("/metrics", headers={"Authorization": f"Bearer {running.key}"}) as response:
        text = await response.text()
    [value] = [line.split()[1] for line in text.splitlines() if line.startswith("otp_log_lines_dropped_total ")]
    return int(float(value))


async def _responds(port):
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True
