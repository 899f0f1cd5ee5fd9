"""The promise of `service.serving.supervisor` about processes that fail before they serve: each is logged."""

import asyncio
import socket
import sys
from contextlib import asynccontextmanager

import pytest

from service.config.settings import Settings
from service.serving import child_handle
from service.serving import supervisor as supervisor_module
from service.serving.supervisor import Supervisor

KILLED = "kill -KILL $$"
SILENT = "exec sleep 60"
# The fourth argument is the descriptor for its reports.
READY_ONCE = "import os, sys; os.write(int(sys.argv[1]), b'ready\\n'); sys.exit(1)"
SERVES_BRIEFLY = f'exec {sys.executable} -I -S -c "{READY_ONCE}" $4'
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


@pytest.fixture
def pauses(monkeypatch):
    """Return the pauses of a second and more, which are skipped."""
    taken = []

    async def pause(seconds, sleep=asyncio.sleep):
        if seconds >= 1:  # shorter ones are of other tasks
            taken.append(seconds)
        await sleep(seconds if seconds < 1 else 0)

    monkeypatch.setattr(asyncio, "sleep", pause)
    return taken


async def test_each_failed_replacement_is_logged(program, pauses, eventually):
    """A replacement that dies before it serves is logged; the next one starts after 1 s, 2 s, 4 s and so on to 30 s."""
    program(KILLED)
    log = Log()
    async with supervising(log) as supervisor, asyncio.timeout(SECONDS):
        replacing = asyncio.create_task(supervisor._replace_lost(pause_seconds=0.0))
        assert await eventually(lambda: len(pauses) >= 7)
        replacing.cancel()
        await asyncio.wait([replacing])
        await supervisor._end_all()
    assert pauses[:7] == [1, 2, 4, 8, 16, 30, 30]
    assert {fields["status"] for fields in log.of("process_lost")} == {-9}
    assert 0 <= len(log.of("process_lost")) - len(pauses) <= 1


async def test_a_reload_ends_the_pause_before_a_replacement(program, monkeypatch, eventually):
    """After SIGHUP a replacement that waits is started at once, and its pauses begin anew."""
    pausing = asyncio.Event()
    seconds_asked = []

    async def pause(seconds, sleep=asyncio.sleep):
        if seconds >= 1:
            seconds_asked.append(seconds)
            pausing.set()
        await sleep(seconds if seconds < 1 else SECONDS)

    monkeypatch.setattr(asyncio, "sleep", pause)
    monkeypatch.setattr(supervisor_module, "new_settings", lambda _: Settings.model_construct(otp_drain_seconds=0))
    program(KILLED)
    log = Log()
    async with supervising(log) as supervisor, asyncio.timeout(SECONDS / 2):
        replacing = asyncio.create_task(supervisor._replace_lost(pause_seconds=8.0))
        await pausing.wait()
        supervisor.reload()
        assert await eventually(lambda: len(seconds_asked) >= 2)
        replacing.cancel()
        await asyncio.wait([replacing])
    assert seconds_asked == [8, 1]
    assert len(log.of("process_lost")) == 1


@pytest.mark.parametrize(("steady_seconds", "expected"), [(60.0, [1, 2, 4, 8, 16, 30, 30]), (0.0, [])])
async def test_a_process_that_dies_again_is_replaced_later(  # noqa: PLR0917 - fixtures and columns
    program, pauses, eventually, monkeypatch, steady_seconds, expected
):
    """A first loss is replaced at once, the next ones after growing pauses, unless the process ran for a minute."""
    assert supervisor_module._STEADY_SECONDS == 60.0
    monkeypatch.setattr(supervisor_module, "_STEADY_SECONDS", steady_seconds)
    program(SERVES_BRIEFLY)
    log = Log()
    async with supervising(log) as supervisor, asyncio.timeout(SECONDS):
        assert await supervisor._add()
        assert await eventually(lambda: len(log.of("process_lost")) >= 8)
        await supervisor._cancel_tasks()
        await supervisor._end_all()
    assert pauses[:7] == expected
