"""Starts and stops the valkey-server of the keeper's working directory, which is the data folder.

A power loss can leave zeros at the end of the append-only file, which valkey-server refuses. They are cut off, and a
copy of the file is kept. The server ends with the keeper, however the keeper ends (Linux only). It imports only the
standard library, like the keeper.
"""

import contextlib
import ctypes
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from service.embedded.data_folder import (
    LOG,
    SERVER_LOCK,
    STOP_SECONDS,
    EmbeddedUnavailable,
    ask,
    open_lock,
    private_folder,
    try_lock,
    wait_ready,
)

_BLOCK_BYTES = 1 << 20
_PR_SET_PDEATHSIG = 1  # prctl(2)


def start_server(binary: str, socket_path: Path, say: Callable[[str], None]) -> subprocess.Popen[bytes]:
    """Start the server. If that fails and its file ends in zeros, cut them off and try once more."""
    try:
        return _try_server(binary, socket_path)
    except EmbeddedUnavailable:
        file = max(Path("appendonlydir").glob("*.incr.aof"), key=lambda file: int(file.suffixes[-3][1:]), default=None)
        size, kept = (0, 0) if file is None else (file.stat().st_size, _length_without_zeros(file))
        if file is None or size == kept:
            raise
    copy = _copy(file)
    os.truncate(file, kept)
    try:
        server = _try_server(binary, socket_path)
    except BaseException:
        copy.replace(file)  # the file has other damage too, so restore it
        raise
    say(
        f"The append-only file ended in {size - kept} bytes of zeros, as after a power loss. They were cut off, with "
        f"the incomplete command: the last second may be lost. A copy of the file: {copy.resolve()}"
    )
    return server


def _length_without_zeros(file: Path) -> int:
    with file.open("rb") as content:
        end = content.seek(0, os.SEEK_END)
        while end:
            start = max(0, end - _BLOCK_BYTES)
            content.seek(start)
            if block := content.read(end - start).rstrip(b"\0"):
                return start + len(block)
            end = start
    return 0


def _copy(file: Path) -> Path:
    copy = Path(time.strftime(f"damaged-%Y%m%dT%H%M%S-{os.getpid()}-{file.name}", time.gmtime()))
    with file.open("rb") as content, copy.open("xb") as copied:
        while block := content.read(_BLOCK_BYTES):
            copied.write(block)
        copied.flush()
        os.fsync(copied.fileno())
    return copy


def _try_server(binary: str, socket_path: Path) -> subprocess.Popen[bytes]:
    private_folder(socket_path.parent)
    lock = _free_folder(socket_path)
    try:
        with Path(LOG).open("ab") as log:
            server = subprocess.Popen(  # noqa: S603 - a binary from the package, and a checked path
                _command(binary, socket_path),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(lock,),
                preexec_fn=_tie_to_this_process(),  # noqa: PLW1509 - the keeper has one thread
            )
    finally:
        os.close(lock)
    try:
        _wait_started(server, socket_path)
    except BaseException:
        kill_server(server, socket_path)
        raise
    return server


def _free_folder(socket_path: Path) -> int:
    """Take the lock of the server; stop a server that outlived its keeper, which can happen only outside Linux."""
    lock = open_lock(Path(SERVER_LOCK))
    deadline = time.monotonic() + STOP_SECONDS
    while not try_lock(lock, fcntl.LOCK_EX):
        ask(socket_path, b"SHUTDOWN NOW")
        if time.monotonic() > deadline:
            os.close(lock)
            raise EmbeddedUnavailable("Another valkey-server uses this data folder: stop it, or set REDIS_URL.")
        time.sleep(0.02)
    return lock


def _command(binary: str, socket_path: Path) -> list[str]:
    # The working directory is the data folder, so Valkey need not parse its name, which may contain spaces or quotes.
    options = (
        ("port", "0"),
        ("unixsocket", str(socket_path)),
        ("unixsocketperm", "700"),
        ("appendonly", "yes"),
        # With "everysec", Valkey delays writes while a sync runs, so kill -9 loses acknowledged writes (2,862 in a test
        # on a busy disk). With "no", it writes before it replies, and the keeper syncs every second.
        ("appendfsync", "no"),
        ("aof-load-truncated", "yes"),  # a half-written last command was never acknowledged
        ("save", ""),
        ("maxmemory-policy", "noeviction"),
        ("logfile", LOG),
    )
    return [binary, *(word for name, value in options for word in (f"--{name}", value))]


def _tie_to_this_process() -> Callable[[], None] | None:
    """Return a function that makes the kernel kill the server when the keeper dies (Linux only)."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl
    keeper = os.getpid()

    def tie() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != keeper:  # the keeper died before prctl
            os._exit(1)

    return tie


def _wait_started(server: subprocess.Popen[bytes], socket_path: Path) -> None:
    def look() -> None:
        if server.poll() is not None:
            raise EmbeddedUnavailable(f"The embedded Valkey ended at its start (status {server.returncode}).")

    if not wait_ready(socket_path, look):
        raise EmbeddedUnavailable("The embedded Valkey does not answer.")


def stop_server(server: subprocess.Popen[bytes], socket_path: Path) -> None:
    """Have the server write and sync its file and end. Kill it if that takes too long."""
    if server.poll() is None:
        ask(socket_path, b"SHUTDOWN NOW")
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(STOP_SECONDS)
    kill_server(server, socket_path)


def kill_server(server: subprocess.Popen[bytes], socket_path: Path) -> None:
    """Kill the server if it is still alive, and remove its socket."""
    server.kill()
    server.wait()
    with contextlib.suppress(OSError):
        socket_path.unlink(missing_ok=True)
        socket_path.parent.rmdir()
