"""The promise of `service.serving.supervisor` about processes that fail before they serve: each is logged."""

import asyncio
import socket
import sys
from contextlib import asynccontextmanager

import pytest

from service.serving import child_handle
from service.serving.supervisor import Supervisor

KILLED = "kill -KILL $$"
SILENT = "exec sleep 60"
SECONDS = 20


class Log:
    """The events of one supervisor."""

    def __init__(self):
        self.events = []

    def __call__(self, event, /, **fields):
        self.events.append((event, fields))

    def of(self, name):
        return [fields for event, fields in self.events if event == name]


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Return a function that replaces the service in every new process by a shell script."""

    def run_instead(text):
        path = tmp_path / "program"
        path.unlink(missing_ok=True)
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o700)
        monkeypatch.setattr(sys, "executable", str(path))

    return run_instead


@asynccontextmanager
async def supervising(log):
    """Yield a supervisor of two processes; it has stopped when the block ends."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        supervisor = Supervisor([listener], 2, drain_seconds=0, event_log=log)
        try:
            yield supervisor
        finally:
            supervisor.stop()


async def test_a_process_killed_before_it_serves_is_logged(program):
    """Each process lost at the first start is logged with its status, and an error says why the service stops."""
    program(KILLED)
    log = Log()
    async with supervising(log) as supervisor, asyncio.timeout(SECONDS):
        assert await supervisor.run() is False
    lost = log.of("process_lost")
    assert [(fields["status"], fields["reason"]) for fields in lost] == [(-9, "it was not ready yet")] * 2
    assert len({fields["pid"] for fields in lost}) == 2
    assert log.of("start_failed") == [{"reason": "a process ended or hung before it was ready"}]


async def test_a_process_hanging_before_it_serves_is_logged(program, monkeypatch):
    """A process that never becomes ready is logged as hanging, killed, and logged as lost."""
    monkeypatch.setattr(child_handle, "_START_SECONDS", 0.5)
    program(SILENT)
    log = Log()
    async with supervising(log) as supervisor, asyncio.timeout(SECONDS):
        assert await supervisor.run() is False
    assert len(log.of("process_hung")) == 2
    assert [fields["status"] for fields in log.of("process_lost")] == [-9, -9]


async def test_a_process_that_cannot_be_started_is_logged(program, tmp_path):
    """If the system cannot start a process, the log says so, and the service stops instead of waiting forever."""
    program(KILLED)
    (tmp_path / "program").unlink()
    log = Log()
    async with supervising(log) as supervisor, asyncio.timeout(SECONDS):
        assert await supervisor.run() is False
    assert log.of("process_lost") == [{"reason": "it cannot be started (No such file or directory)"}] * 2
    assert len(log.of("start_failed")) == 1


async def test_each_failed_replacement_is_logged(program, monkeypatch):
    """A replacement that dies before it serves is logged, and the next one starts after a pause."""
    pauses = []
    has_tried = asyncio.Event()

    async def pause(seconds, sleep=asyncio.sleep):
        if seconds < 1:  # of another task
            await sleep(seconds)
            return
        pauses.append(seconds)
        if len(pauses) == 2:
            has_tried.set()
        await sleep(0)

    program(KILLED)
    log = Log()
    async with supervising(log) as supervisor, asyncio.timeout(SECONDS):
        monkeypatch.setattr(asyncio, "sleep", pause)
        replacing = asyncio.create_task(supervisor._replace_lost())
        await has_tried.wait()
        replacing.cancel()
        await asyncio.wait([replacing])
        lost = log.of("process_lost")
        assert [fields["status"] for fields in lost][:2] == [-9, -9]
        assert pauses[:2] == [1.0, 1.0]
