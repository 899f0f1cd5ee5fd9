"""The parent of `serve`: SIGHUP replaces every process without a failed request; lost processes are replaced."""

import asyncio
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from service.serving import child_handle
from tests.absent import absent
from tests.serving.callers import calling, connection, exchange
from tests.serving.test_stopping import both, children_of, readiness_status


def reloaded(process, times=1):
    """Return whether exactly this number of reloads has finished."""
    return process.log.count('"reload_done"') == times


@pytest.mark.slow
@pytest.mark.timeout(120)
@both
async def test_a_reload_fails_no_request(start, launch, eventually, arguments):
    """SIGHUP under load replaces every process but the parent, and no request fails or is refused."""
    process = await launch(await start(otp_worker=False), arguments=arguments)
    before = children_of(process)
    async with calling(process.port) as counts:
        for times in (1, 2):
            await asyncio.sleep(0.3)
            process.child.send_signal(signal.SIGHUP)
            assert await eventually(lambda times=times: reloaded(process, times), seconds=60), process.log
            assert await readiness_status(process.port) == 200
    assert set(counts) == {200}, counts
    assert counts[200] > 500
    after = children_of(process)
    assert len(after) == int(arguments[1])
    assert not before & after
    assert await process.stop() == 0
    assert process.log.count("service_started") == process.log.count("service_stopped")


@pytest.mark.slow
@pytest.mark.timeout(60)
@both
async def test_a_replaced_process_closes_idle_connections_cleanly(start, launch, eventually, arguments):
    """An idle connection gets one more response if it asks in time, or is closed without a reset."""
    process = await launch(await start(otp_worker=False), arguments=arguments, OTP_DRAIN_SECONDS="0")
    async with connection(process.port) as asking, connection(process.port) as silent:
        for one in (asking, silent):
            assert (await exchange(*one))[::2] == (200, True)
        before = children_of(process)
        process.child.send_signal(signal.SIGHUP)
        assert await eventually(lambda: children_of(process) - before, seconds=20)
        if len(before) == 0:  # here the replaced process is the parent: wait for the log of the new one
            assert await eventually(lambda: process.log.count('"service_started"') == 2, seconds=20)
            assert (await exchange(*asking))[::2] == (200, False)
        async with asyncio.timeout(30):
            assert await silent[0].read() == b""
        silent[1].write(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert await silent[0].read() == b""
        assert await eventually(lambda: reloaded(process), seconds=30), process.log
    assert await process.stop() == 0


@pytest.mark.slow
@pytest.mark.timeout(90)
@both
async def test_a_reload_during_a_reload_takes_effect_afterwards(start, launch, eventually, arguments):
    """SIGHUP while a replaced process waits for an idle connection takes effect when the first reload has finished."""
    process = await launch(await start(otp_worker=False), arguments=arguments, OTP_DRAIN_SECONDS="0")
    async with connection(process.port) as idle:
        assert (await exchange(*idle))[0] == 200
        process.child.send_signal(signal.SIGHUP)
        started = int(arguments[1]) + 1
        assert await eventually(lambda: process.log.count('"service_started"') == started, seconds=20)
        process.child.send_signal(signal.SIGHUP)
        assert await eventually(lambda: reloaded(process, 2), seconds=60), process.log
    assert await process.stop() == 0
    assert started_by(process) == set()


@both
async def test_a_reload_rereads_settings_and_secrets(start, launch, eventually, tmp_path, arguments):
    """New processes use the changed values of `.env` and of the files of secrets."""
    running = await start(otp_worker=False)
    (tmp_path / "secrets").mkdir()
    process = await launch(running, arguments=arguments, OTP_SECRETS_DIR=str(tmp_path / "secrets"))
    status, _, _ = await process.client.call("GET", "/docs")
    assert status == 200
    (tmp_path / ".env").write_text("OTP_DOCS=false\n")
    (tmp_path / "secrets" / "otp_limit_key").write_text("1/1d")
    process.child.send_signal(signal.SIGHUP)
    assert await eventually(lambda: reloaded(process), seconds=60), process.log
    status, _, _ = await process.client.call("GET", "/docs")
    assert status == 404
    await process.client.issue("+14155550123")
    status, _, _ = await process.client.call("POST", "/v1/verifications", {"to": "+14155550124"})
    assert status == 429


@pytest.mark.slow
@both
async def test_invalid_settings_keep_the_old_processes(start, launch, eventually, tmp_path, arguments):
    """A reload with an invalid setting keeps the old processes and logs a line that names the setting."""
    process = await launch(await start(otp_worker=False), arguments=arguments)
    before = children_of(process)
    (tmp_path / ".env").write_text("OTP_CODE_LENGTH=99\n")
    process.child.send_signal(signal.SIGHUP)
    assert await eventually(lambda: '"reload_failed"' in process.log)
    assert "OTP_CODE_LENGTH" in process.log
    assert children_of(process) == before
    assert await readiness_status(process.port) == 200


def started_by(process):
    """Return the living processes that a `serve` has started, even after it has stopped."""
    words = f"service.serving.child\0{process.child.pid}\0".encode()
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if words in (folder / "cmdline").read_bytes():
                found.add(int(folder.name))
    return found


@pytest.mark.slow
@both
@pytest.mark.parametrize("pause", [0.0, 0.1])
async def test_a_stop_during_a_reload_takes_effect(start, launch, arguments, pause):
    """SIGTERM right after SIGHUP, at any step of a new process's start, stops everything cleanly."""
    process = await launch(await start(otp_worker=False), arguments=arguments, OTP_DRAIN_SECONDS="0")
    process.child.send_signal(signal.SIGHUP)
    await asyncio.sleep(pause)
    assert await process.stop() == 0
    assert started_by(process) == set()


@pytest.mark.slow
@both
@pytest.mark.parametrize("pause", [0.0, 1.0])
async def test_no_process_outlives_a_killed_parent(start, launch, eventually, arguments, pause):
    """After kill -9 in the middle of a reload no process is left that holds the port."""
    if sys.platform != "linux":
        absent("Elsewhere the kernel does not tie a process to its parent.")
    process = await launch(await start(otp_worker=False), arguments=arguments)
    process.child.send_signal(signal.SIGHUP)
    await asyncio.sleep(pause)
    process.kill()
    assert await eventually(lambda: started_by(process) == set(), seconds=2)
    assert await readiness_status(process.port) is None


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "terminated"])
async def test_a_lost_process_is_replaced(start, launch, eventually, number):
    """A process that crashes or is killed is logged as lost and replaced; the others keep serving."""
    process = await launch(await start(otp_worker=False), arguments=["--workers", "2"], OTP_DRAIN_SECONDS="0")
    lost, kept = children_of(process)
    os.kill(lost, number)
    assert await eventually(lambda: len(children_of(process) - {lost}) == 2, seconds=20)
    assert kept in children_of(process)
    assert await eventually(lambda: '"process_lost","level":"warning"' in process.log)
    assert await readiness_status(process.port) == 200


@pytest.mark.slow
async def test_a_frozen_process_is_replaced(start, launch, eventually, tmp_path):
    """A frozen process is killed and replaced after fifteen missed reports (half a minute; shorter in this test)."""
    assert (child_handle._SILENCES, child_handle._SILENCE_SECONDS) == (15, 2.0)
    shorter = "import service.serving.child_handle as handle; handle._SILENCE_SECONDS = 0.5\n"
    (tmp_path / "sitecustomize.py").write_text(shorter)
    process = await launch(
        await start(otp_worker=False), arguments=["--workers", "2"], python_path=[tmp_path], OTP_DRAIN_SECONDS="0"
    )
    frozen = min(children_of(process))
    os.kill(frozen, signal.SIGSTOP)
    assert await eventually(lambda: '"process_hung"' in process.log, seconds=60)
    assert await eventually(lambda: len(children_of(process) - {frozen}) == 2, seconds=20)
