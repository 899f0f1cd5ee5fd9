"""The keeper: a small process that runs one valkey-server for one data folder while the folder has users.

`service.embedded.server` runs this file as a script, with the locked `keeper.lock`. It promises one server a folder, a
restart on the same append-only file within a second of a crash, a sync of that file every second, and a clean stop when
the last user has left or died. A power loss can leave zeros at the end of the file, which valkey-server refuses; they
are cut off, and a copy of the file is kept. It imports only the standard library, so it starts in 0.05 s and does not
depend on `sys.path`.

The locks (flock) are in the data folder. The kernel releases them when their process ends, so none is ever stale:

    users.lock    shared by all users; the keeper locks it exclusively when no user is left, and keeps it until it ends
    keeper.lock   held by the keeper, which inherits it from the user that started it
    server.lock   held by valkey-server, which inherits it from the keeper: free only if no server uses the folder
"""

import contextlib
import ctypes
import fcntl
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

USERS_LOCK = "users.lock"
KEEPER_LOCK = "keeper.lock"
SERVER_LOCK = "server.lock"
LOG = "valkey.log"
READY = "ready"  # what the keeper reports when the server answers; any other text says why it does not

SILENCE_SECONDS = 10.0  # a server that does not answer for this long has failed
LOADING_SECONDS = 120.0  # a server that loads its file has this long: enough for some 10 GB of data
STOP_SECONDS = 5.0  # a server that needs longer for SHUTDOWN is killed
_POLL_SECONDS = 0.05  # how often the keeper checks its server and its users
_TEND_SECONDS = 1.0  # the most that a crash of the machine may cost
_RESTART_PAUSE_SECONDS = 0.5  # between two starts, so that a server that always crashes does not use a whole core
_LOG_BYTES = 1 << 20  # above this, the log is renamed to valkey.log.1, so both use at most 2 MiB
_BLOCK_BYTES = 1 << 20
_PR_SET_PDEATHSIG = 1  # prctl(2)


class EmbeddedUnavailable(RuntimeError):
    """The embedded Valkey cannot be used for this folder; the text says what to do."""


def private_folder(path: Path) -> None:
    """Create a folder that only this user can enter. Refuse links, and folders of or open to other users."""
    path.mkdir(mode=0o700, exist_ok=True)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise EmbeddedUnavailable(f"{path} is not a private folder of this user: remove it, or set REDIS_URL.")


def open_lock(path: Path) -> int:
    """Open a lock file. The descriptor holds the lock, and is not inherited unless it is passed on explicitly."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def try_lock(lock: int, kind: int) -> bool:
    """Take the lock (`LOCK_EX`, `LOCK_SH`) or change its kind, without waiting. Return False if others hold it."""
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def ask(socket_path: Path, command: bytes) -> bytes:
    """Return the beginning of the server's reply, or nothing if none arrives within a second."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(1)
        connection.connect(str(socket_path))
        connection.sendall(command + b"\r\n")
        return connection.recv(128)
    return b""


def wait_ready(socket_path: Path, look: Callable[[], object]) -> bool:
    """Wait until the server has loaded its data and answers PING. `look` is called before each try, and may raise.

    Return False after SILENCE_SECONDS without a reply, or LOADING_SECONDS of loading.
    """
    began = heard = time.monotonic()
    while True:
        look()
        answer = ask(socket_path, b"PING")
        now = time.monotonic()
        if answer.startswith(b"+PONG"):
            return True
        if answer.startswith(b"-LOADING"):
            heard = now
        if now - heard > SILENCE_SECONDS or now - began > LOADING_SECONDS:
            return False
        time.sleep(0.01)


def keep(*, binary: str, socket_path: Path, report: Callable[[str], None]) -> None:
    """Run the server for the working directory while it has users. `report` READY; raise if the first start fails."""
    users = open_lock(Path(USERS_LOCK))
    said = [READY]

    def say(sentence: str) -> None:
        _write_to_log(sentence)
        said.append(sentence)

    server = _start_server(binary, socket_path, say)
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
                _kill(server, socket_path)
                started = time.monotonic()
                with contextlib.suppress(OSError, EmbeddedUnavailable):  # the log says why; the next iteration retries
                    server = _start_server(binary, socket_path, _write_to_log)
    finally:
        _stop_server(server, socket_path)


def _start_server(binary: str, socket_path: Path, say: Callable[[str], None]) -> subprocess.Popen[bytes]:
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
        _kill(server, socket_path)
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


def _stop_server(server: subprocess.Popen[bytes], socket_path: Path) -> None:
    if server.poll() is None:
        ask(socket_path, b"SHUTDOWN NOW")  # it writes and syncs the append-only file first
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(STOP_SECONDS)
    _kill(server, socket_path)


def _kill(server: subprocess.Popen[bytes], socket_path: Path) -> None:
    """Kill the server if it is still alive, and remove its socket."""
    server.kill()
    server.wait()
    with contextlib.suppress(OSError):
        socket_path.unlink(missing_ok=True)
        socket_path.parent.rmdir()


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
