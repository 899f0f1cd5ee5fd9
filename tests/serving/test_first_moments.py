"""The first moments of a process: a signal that comes before the server takes it ends the process in order, with 0."""

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
SECONDS = 20


@pytest.fixture
def begin(tmp_path):
    """Yield `begin(command)`, which starts a process and does not wait for it; all end with the test."""
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


def takes(pid, number):
    """Return whether a process takes a signal, as the kernel has it."""
    [line] = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("SigCgt:")]
    return bool(int(line.split()[1], 16) >> (number - 1) & 1)


def children_of(pid):
    """Return the processes that another one has started, or that were left to it."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def child_of(pid):
    """Return the newest process that another one has started; 0 when there is none yet."""
    return [0, *children_of(pid)][-1]


def state_of(pid):
    """Return the state of a process, as the kernel names it; Z is one that nobody has failed."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def can_unshare():
    """Return whether a process can be made the first one of a namespace here."""
    return shutil.which("unshare") and not subprocess.run(["unshare", "-pf", "true"], check=False).returncode


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("pause", [0.0, *(pytest.param(pause, marks=pytest.mark.slow) for pause in (0.3, 0.8))])
async def test_a_signal_in_the_first_moments_ends_with_0(begin, eventually, tmp_path, command, pause):
    """From when the process can take a signal at all, whatever it has loaded by then, SIGTERM ends it with 0."""
    process = begin(command)
    assert await eventually(lambda: takes(process.pid, signal.SIGTERM))
    await asyncio.sleep(pause)
    process.send_signal(signal.SIGTERM)
    await asyncio.to_thread(process.wait, SECONDS)
    said = (tmp_path / "log").read_text()
    assert process.returncode == 0, said
    assert "Traceback" not in said
    assert "FAILED" not in said


@pytest.mark.parametrize("command", ["serve", "serve --workers 2", "worker"])
async def test_a_reload_in_the_first_moments_ends_nothing(begin, eventually, tmp_path, command):
    """SIGHUP while the process is still starting is ignored: it reads its settings in a moment anyway."""
    process = begin(command, REDIS_URL="")
    assert await eventually(lambda: takes(process.pid, signal.SIGHUP))
    for _ in range(3):
        process.send_signal(signal.SIGHUP)
        await asyncio.sleep(0.1)
    said = await eventually(lambda: "worker_started" in (tmp_path / "log").read_text(), seconds=SECONDS)
    assert said, (tmp_path / "log").read_text()
    assert process.poll() is None


@pytest.mark.parametrize("command", ["serve", *(pytest.param(one, marks=pytest.mark.slow) for one in COMMANDS[2:4])])
async def test_a_signal_while_the_embedded_server_loads_is_heard(begin, eventually, tmp_path, command):
    """While Valkey reads a long file (here one that lets it sleep) SIGTERM ends the process with 0, at once."""
    with embedded_valkey(tmp_path / "data"):
        pass
    [file] = (tmp_path / "data" / "appendonlydir").glob("*.incr.aof")
    file.write_bytes(b"*3\r\n$5\r\nDEBUG\r\n$5\r\nSLEEP\r\n$1\r\n9\r\n")
    log = tmp_path / "data" / "valkey.log"
    log.unlink()
    process = begin(command, REDIS_URL="")
    assert await eventually(lambda: log.exists() and "DB loaded from base file" in log.read_text(), seconds=SECONDS)
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    await asyncio.to_thread(process.wait, SECONDS)
    said = (tmp_path / "log").read_text()
    assert process.returncode == 0, said
    assert time.monotonic() - began < 5


async def test_the_first_process_of_a_container_hears_it_too(begin, eventually, tmp_path):
    """As process 1, which gets only the signals that it takes, `serve` ends with 0 though it is still loading."""
    if not can_unshare():
        absent("No process namespace can be made here.")
    process = begin("serve", before=["unshare", "--pid", "--fork", "--kill-child"])
    first = await eventually(lambda: child_of(process.pid))
    assert await eventually(lambda: takes(first, signal.SIGTERM))
    assert "uvloop" not in Path(f"/proc/{first}/maps").read_text()  # noqa: ASYNC240 - no file
    os.kill(first, signal.SIGTERM)
    await asyncio.to_thread(process.wait, SECONDS)
    said = (tmp_path / "log").read_text()
    assert process.returncode == 0, said


async def test_the_first_process_of_a_container_leaves_no_dead_ones(begin, eventually, tmp_path):
    """As process 1, `serve` fails a keeper of the embedded server that was killed, and its server."""
    if not can_unshare():
        absent("No process namespace can be made here.")
    process = begin("serve", before=["unshare", "--pid", "--fork", "--kill-child"], REDIS_URL="")
    assert await eventually(lambda: "service_started" in (tmp_path / "log").read_text(), seconds=SECONDS)
    first = child_of(process.pid)
    keeper = child_of(first)
    os.kill(keeper, signal.SIGKILL)
    assert await eventually(lambda: child_of(first) not in {0, keeper}, seconds=SECONDS)
    assert await eventually(lambda: [state_of(pid) for pid in children_of(first)] == ["S"], seconds=SECONDS)


@pytest.mark.parametrize("command", ["serve", "serve --workers 2", "sandbox"])
async def test_all_addresses_are_those_of_ipv4_too(begin, eventually, valkey, command):
    """`--host ::` answers over IPv4 and IPv6, with any number of workers."""
    process = begin(f"{command} --host ::", REDIS_URL=valkey)
    for host in ("127.0.0.1", "::1"):

        async def is_reached(host=host):
            with suppress(OSError):
                _, writer = await asyncio.open_connection(host, process.port)
                writer.close()
                return True

        assert await eventually(is_reached, seconds=SECONDS), host


@pytest.mark.parametrize("command", ["serve", "worker"])
async def test_a_damaged_file_is_an_event(begin, eventually, tmp_path, command):
    """When zeros of a power loss were cut off the append-only file, the log has a warning that names the copy."""
    with embedded_valkey(tmp_path / "data"):
        pass
    [file] = (tmp_path / "data" / "appendonlydir").glob("*.incr.aof")
    with file.open("ab") as content:
        content.write(bytes(100))
    begin(command, REDIS_URL="")
    log = tmp_path / "log"
    assert await eventually(lambda: '"append_only_file_cut","level":"warning"' in log.read_text(), seconds=SECONDS)
    assert "damaged-" in log.read_text()
