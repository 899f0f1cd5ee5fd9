"""Signals during start: a signal before the server handles it stops the process cleanly, with exit status 0."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from service.embedded.server import embedded_valkey
from service.sandbox import SandboxSettings
from tests.absent import absent
from tests.attacks.processes import environment_of
from tests.conftest import settings_for
from tests.redis_client.servers import free_port

COMMANDS = ["demo", "serve", "serve --workers 2", "worker", "sandbox"]
SECONDS = 45


@pytest.fixture
def start_process(tmp_path):
    """Yield `start_process(command)`, which starts a process without waiting for it; all stop with the test."""
    processes = []

    def start(command, *, before=(), **environment):
        words = command.split()
        settings = settings_for(None, "", "http://127.0.0.1:1", SandboxSettings())
        port = None if words[0] == "worker" else free_port()
        arguments = [*words, *([] if port is None else ["--port", str(port)])]
        with (tmp_path / "log").open("ab") as log:
            process = subprocess.Popen(
                [*before, sys.executable, "-m", "service", *arguments],
                env=environment_of(settings, port) | {"OTP_DATA_DIR": str(tmp_path / "data")} | environment,
                cwd=tmp_path,
                stdout=log,
                stderr=log,
            )
        process.port = port
        processes.append(process)
        return process

    yield start
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.wait()


def handles(pid, number):
    """Return whether a process handles a signal, according to the kernel."""
    [line] = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("SigCgt:")]
    return bool(int(line.split()[1], 16) >> (number - 1) & 1)


def children_of(pid):
    """Return the children of a process, including orphans that it adopted."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def child_of(pid):
    """Return the newest child of a process, or 0 if it has none yet."""
    return [0, *children_of(pid)][-1]


def state_of(pid):
    """Return the state of a process, as the kernel names it; Z is a zombie."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def can_unshare():
    """Return whether a process can be made process 1 of a new namespace here."""
    return shutil.which("unshare") and not subprocess.run(["unshare", "-pf", "true"], check=False).returncode


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("pause", [0.0, *(pytest.param(pause, marks=pytest.mark.slow) for pause in (0.3, 0.8))])
async def test_sigterm_during_the_start_exits_with_0(start_process, eventually, tmp_path, command, pause):
    """As soon as the process handles signals, SIGTERM stops it with exit status 0, whatever it has loaded by then."""
    process = start_process(command)
    assert await eventually(lambda: handles(process.pid, signal.SIGTERM))
    await asyncio.sleep(pause)
    process.send_signal(signal.SIGTERM)
    await asyncio.to_thread(process.wait, SECONDS)
    log_text = (tmp_path / "log").read_text()
    assert process.returncode == 0, log_text
    assert "Traceback" not in log_text
    assert "FAILED" not in log_text


@pytest.mark.parametrize("command", ["serve", pytest.param("serve --workers 2", marks=pytest.mark.slow), "worker"])
async def test_sighup_during_the_start_is_ignored(start_process, eventually, tmp_path, command):
    """SIGHUP during the start is ignored: the process is about to read its settings anyway."""
    process = start_process(command, REDIS_URL="")
    assert await eventually(lambda: handles(process.pid, signal.SIGHUP))
    for _ in range(3):
        process.send_signal(signal.SIGHUP)
        await asyncio.sleep(0.1)
    log_text = await eventually(lambda: "worker_started" in (tmp_path / "log").read_text(), seconds=SECONDS)
    assert log_text, (tmp_path / "log").read_text()
    assert process.poll() is None


@pytest.mark.parametrize("command", ["serve", *(pytest.param(one, marks=pytest.mark.slow) for one in COMMANDS[2:4])])
async def test_sigterm_while_the_embedded_server_loads_exits_with_0(start_process, eventually, tmp_path, command):
    """While Valkey loads a long file (here one with a sleep), SIGTERM stops the process at once with exit status 0."""
    with embedded_valkey(tmp_path / "data"):
        pass
    [file] = (tmp_path / "data" / "appendonlydir").glob("*.incr.aof")
    file.write_bytes(b"*3\r\n$5\r\nDEBUG\r\n$5\r\nSLEEP\r\n$1\r\n9\r\n")
    log = tmp_path / "data" / "valkey.log"
    log.unlink()
    process = start_process(command, REDIS_URL="")
    assert await eventually(lambda: log.exists() and "DB loaded from base file" in log.read_text(), seconds=SECONDS)
    signalled_at = time.monotonic()
    process.send_signal(signal.SIGTERM)
    await asyncio.to_thread(process.wait, SECONDS)
    log_text = (tmp_path / "log").read_text()
    assert process.returncode == 0, log_text
    assert time.monotonic() - signalled_at < 5


async def test_process_1_of_a_container_handles_sigterm(start_process, eventually, tmp_path):
    """As process 1, which receives only the signals that it handles, `serve` exits with 0 while it is still loading."""
    if not can_unshare():
        absent("No process namespace can be made here.")
    process = start_process("serve", before=["unshare", "--pid", "--fork", "--kill-child"])
    first = await eventually(lambda: child_of(process.pid))
    assert await eventually(lambda: handles(first, signal.SIGTERM))
    assert "uvloop" not in Path(f"/proc/{first}/maps").read_text()  # noqa: ASYNC240 - no file
    os.kill(first, signal.SIGTERM)
    await asyncio.to_thread(process.wait, SECONDS)
    log_text = (tmp_path / "log").read_text()
    assert process.returncode == 0, log_text


async def test_process_1_of_a_container_reaps_zombies(start_process, eventually, tmp_path):
    """As process 1, `serve` reaps a killed keeper of the embedded server, and its server."""
    if not can_unshare():
        absent("No process namespace can be made here.")
    process = start_process("serve", before=["unshare", "--pid", "--fork", "--kill-child"], REDIS_URL="")
    assert await eventually(lambda: "service_started" in (tmp_path / "log").read_text(), seconds=SECONDS)
    first = child_of(process.pid)
    keeper = child_of(first)
    os.kill(keeper, signal.SIGKILL)
    assert await eventually(lambda: child_of(first) not in {0, keeper}, seconds=SECONDS)
    assert await eventually(lambda: [state_of(pid) for pid in children_of(first)] == ["S"], seconds=SECONDS)


@pytest.mark.parametrize("command", ["serve", pytest.param("serve --workers 2", marks=pytest.mark.slow), "sandbox"])
async def test_all_addresses_include_ipv4(start_process, eventually, valkey, command):
    """`--host ::` accepts IPv4 and IPv6, with any number of workers."""
    process = start_process(f"{command} --host ::", REDIS_URL=valkey)
    for host in ("127.0.0.1", "::1"):

        async def is_reached(host=host):
            with suppress(OSError):
                _, writer = await asyncio.open_connection(host, process.port)
                writer.close()
                return True

        assert await eventually(is_reached, seconds=SECONDS), host


@pytest.mark.parametrize("command", ["serve", "worker"])
async def test_a_repaired_file_is_logged(start_process, eventually, tmp_path, command):
    """When zeros left by a power loss are cut off the append-only file, a warning in the log names the copy."""
    with embedded_valkey(tmp_path / "data"):
        pass
    [file] = (tmp_path / "data" / "appendonlydir").glob("*.incr.aof")
    with file.open("ab") as content:
        content.write(bytes(100))
    start_process(command, REDIS_URL="")
    log = tmp_path / "log"
    assert await eventually(lambda: '"append_only_file_cut","level":"warning"' in log.read_text(), seconds=SECONDS)
    assert "damaged-" in log.read_text()
