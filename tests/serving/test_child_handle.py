"""The promise of `service.serving.child_handle`: no process outlives its parent, however the parent ends."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import uvloop

from service.serving.child_handle import Child
from service.serving.messages import READY
from tests.absent import absent
from tests.attacks.processes import environment_of

SECONDS = 20
STEPS = 40  # of the event loop: starting a process takes fewer
PARENT = """
import asyncio, socket, sys
from service.serving.child_handle import Child

async def main():
    child = await Child.start([socket.create_server(("127.0.0.1", 0))])
    print(child.pid, flush=True)
    await asyncio.sleep(float(sys.argv[1]))

asyncio.run(main())
"""


def children():
    """Return the living children of this process."""
    here = os.getpid()
    found = Path(f"/proc/{here}/task/{here}/children")
    if not found.exists():
        absent("This system does not list the children of a process.")
    return {int(pid) for pid in found.read_text("ascii").split() if is_alive(int(pid))}


def is_alive(pid):
    """Return whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()[0] not in {"Z", "X"}
    except (FileNotFoundError, ProcessLookupError):
        return False


async def _cancel_after(steps, listener):
    starting = asyncio.create_task(Child.start([listener]))
    for _ in range(steps):
        await asyncio.sleep(0)
    if not starting.cancel():
        child = await starting
        child.kill()
        await child.ended()
        return True
    with pytest.raises(asyncio.CancelledError):
        await starting
    return False


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_a_cancelled_start_leaves_no_process(run):
    """At whatever step of the event loop a start is cancelled, no process is left."""

    async def cancel_everywhere(before):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            for steps in range(STEPS):
                has_started = await _cancel_after(steps, listener)
                assert children() <= before, f"cancelled after {steps} steps"
                if has_started:
                    return
        too_few_steps = "a start takes more steps than the test tries"
        raise AssertionError(too_few_steps)

    run(cancel_everywhere(children()))


@pytest.mark.parametrize("is_frozen", [False, True], ids=["running", "frozen"])
async def test_a_process_dies_with_a_killed_parent(eventually, is_frozen):
    """After kill -9 of the parent its child is killed too, even if the event loop of the child is frozen."""
    if sys.platform != "linux":
        absent("Elsewhere the kernel does not tie a process to its parent.")
    command = [sys.executable, "-c", PARENT, "60"]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE)  # noqa: ASYNC220 - a fork of a few milliseconds
    try:
        pid = int(await asyncio.to_thread(parent.stdout.readline))
        assert await eventually(lambda: b"service.serving" in Path(f"/proc/{pid}/cmdline").read_bytes())
        assert await eventually(lambda: dies_with_parent(pid))
        if is_frozen:
            os.kill(pid, signal.SIGSTOP)
    finally:
        parent.kill()
        parent.communicate()
    try:
        assert await eventually(lambda: not is_alive(pid), seconds=1)
    finally:
        if is_alive(pid):
            os.kill(pid, signal.SIGKILL)


def dies_with_parent(pid):
    """Return whether a process ignores SIGHUP, which it does once the kernel will kill it with its parent."""
    [line] = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("SigIgn:")]
    return bool(int(line.split()[1], 16) >> (signal.SIGHUP - 1) & 1)


@pytest.mark.parametrize("has_unread_reports", [False, True], ids=["all read", "reports unread"])
async def test_a_process_exits_when_its_channel_ends(start, has_unread_reports):
    """Without the kernel's parent-death signal, a process exits when its channel ends or is reset."""
    running = await start(otp_worker=False)
    ours, theirs = socket.socketpair()
    with ours, theirs, socket.create_server(("127.0.0.1", 0)) as listener:
        numbers = [theirs.fileno(), listener.fileno()]
        command = [sys.executable, "-m", "service.serving.child", *map(str, (os.getpid(), *numbers))]
        process = subprocess.Popen(  # noqa: ASYNC220 - a fork of a few milliseconds
            command, pass_fds=numbers, env=environment_of(running.settings, None)
        )
        try:
            ours.settimeout(SECONDS)
            length = len(READY) if has_unread_reports else 1024
            assert (await asyncio.to_thread(ours.recv, length)).startswith(READY)
            await asyncio.to_thread(ours.recv, 1, socket.MSG_PEEK)  # leave a report unread
            if not has_unread_reports:
                ours.recv(1024)
            ours.close()
            assert await asyncio.to_thread(process.wait, SECONDS) == 0
        finally:
            process.kill()
            process.wait()
