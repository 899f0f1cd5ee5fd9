"""The keeper: a small process that runs one valkey-server for one data folder while the folder has users.

`service.embedded.server` runs this file as a script, with the locked `keeper.lock`. It promises one server a folder, a
restart on the same append-only file within a second of a crash, a sync of that file every second, and a clean stop when
the last user has left or died. It and what it imports use only the standard library, so it starts in 0.05 s and does
not depend on `sys.path`. `data_folder` explains the locks; `server_process` starts and stops the server.
"""

import contextlib
import fcntl
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

if __name__ == "__main__":  # a script without site-packages; last, so that nothing hides the standard library
    sys.path.append(str(Path(__file__).parents[2]))

from service.embedded.data_folder import LOG, READY, USERS_LOCK, EmbeddedUnavailable, open_lock, try_lock
from service.embedded.server_process import kill_server, start_server, stop_server

_POLL_SECONDS = 0.05  # how often the keeper checks its server and its users
_TEND_SECONDS = 1.0  # the most that a crash of the machine may cost
_RESTART_PAUSE_SECONDS = 0.5  # between two starts, so that a server that always crashes does not use a whole core
_LOG_BYTES = 1 << 20  # above this, the log is renamed to valkey.log.1, so both use at most 2 MiB


def keep(*, binary: str, socket_path: Path, report: Callable[[str], None]) -> None:
    """Run the server for the working directory while it has users. `report` READY; raise if the first start fails."""
    users = open_lock(Path(USERS_LOCK))
    said = [READY]

    def say(sentence: str) -> None:
        _write_to_log(sentence)
        said.append(sentence)

    server = start_server(binary, socket_path, say)
    report("\n".join(said))
    started = tended = time.monotonic()
    # The shared lock of a user and the exclusive one of the keeper exclude each other, and the keeper holds its lock
    # until the server and the keeper have ended. So a new user either gets its lock first, and the keeper continues, or
    # it waits and starts a new keeper:
    #
    #   keeper    LOCK_EX refused . . . . LOCK_EX taken ── SHUTDOWN ── server dead ── process ends: both locks free
    #   user 1  ──(shared)──────── leaves
    #   user 2             comes: LOCK_SH refused . . . . . . . . . . . . . . . . . . LOCK_SH taken, takes keeper.lock
    try:
        while not try_lock(users, fcntl.LOCK_EX):
            time.sleep(_POLL_SECONDS)
            if time.monotonic() - tended > _TEND_SECONDS:
                _tend_files()
                tended = time.monotonic()
            # If a cleaner of temporary files has removed the socket, the server cannot be reached.
            lost = server.poll() is not None or not socket_path.exists()
            if lost and time.monotonic() - started > _RESTART_PAUSE_SECONDS:
                kill_server(server, socket_path)
                started = time.monotonic()
                with contextlib.suppress(OSError, EmbeddedUnavailable):  # the log says why; the next iteration retries
                    server = start_server(binary, socket_path, _write_to_log)
    finally:
        stop_server(server, socket_path)


def _tend_files() -> None:
    """Sync the append-only file, and rename a long log."""
    for file in Path("appendonlydir").glob("*.aof"):
        with contextlib.suppress(OSError), file.open("rb") as written:  # a rewrite may have removed it
            os.fsync(written.fileno())
    with contextlib.suppress(OSError):
        if Path(LOG).stat().st_size > _LOG_BYTES:
            Path(LOG).replace(f"{LOG}.1")  # Valkey opens its log for every line


def _main(data_dir: str, socket_path: str, binary: str) -> None:
    # Daemonize: the starter waits for the first process, and for the end of standard output.
    if os.fork():
        os._exit(0)
    os.umask(0o077)
    os.chdir(data_dir)
    # A service manager may signal all processes of a unit at once, but users must drain before the server ends.
    # So block the signals. They stay blocked in valkey-server, which sets handlers but keeps the signal mask.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        keep(binary=binary, socket_path=Path(socket_path), report=_report)
    except (OSError, EmbeddedUnavailable) as error:
        _report(str(error))


def _write_to_log(sentence: str) -> None:
    with Path(LOG).open("a", encoding="utf-8") as log:
        log.write(f"{sentence}\n")


def _report(sentence: str) -> None:
    """Write the sentence and close the pipe, for whose end the starter waits; later output goes to the log."""
    with contextlib.suppress(BrokenPipeError):  # the starter was killed; there may be other users
        os.write(1, sentence.encode())
    with Path(LOG).open("ab") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)


if __name__ == "__main__":
    _main(*sys.argv[1:])
