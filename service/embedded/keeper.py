"""Keep one valkey-server alive for one data folder as long as somebody uses it: a small process of its own.

`service.embedded.server` runs this file as a script and hands it the locked `keeper.lock`. It promises one server per
folder, a new one on the same append-only file within a second of a crash, that file on the disk every second, and a
clean end when the last user has gone, however that user went. A power loss can leave zeros at the end of the file,
which valkey-server refuses; they are cut off, and a copy of the file is kept. It imports the standard library alone: it
starts in 0.05 s whatever the user's `sys.path`.

The locks (flock) lie in the data folder and the kernel releases them with their process, so nothing is ever stale:

    users.lock    shared by every user; the keeper takes it alone, when the last user has gone, and never gives it back
    keeper.lock   the keeper's, inherited from the user who took it and started the keeper
    server.lock   valkey-server's, inherited from the keeper: free only when no server works on the folder
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
READY = (
    "ready"  # what the keeper reports on its standard output when the server answers; anything else is why it does not
)

SILENCE_SECONDS = 10.0  # a server that says nothing for so long is given up
LOADING_SECONDS = 120.0  # a server that says it is loading its file gets so long: some 10 GB of data
STOP_SECONDS = 5.0  # a server that takes longer over its SHUTDOWN is killed
_POLL_SECONDS = 0.05  # how often the keeper looks for its server and its users
_TEND_SECONDS = 1.0  # what a crash of the whole machine may cost
_RESTART_PAUSE_SECONDS = 0.5  # between two starts, so that a server which cannot live does not burn a core
_LOG_BYTES = 1 << 20  # the log moves to valkey.log.1 beyond this, so both take 2 MiB at most
_BLOCK_BYTES = 1 << 20
_PR_SET_PDEATHSIG = 1  # prctl(2)


class EmbeddedUnavailable(RuntimeError):
    """No embedded Valkey for this folder; the sentence says what to do."""


def private_folder(path: Path) -> None:
    """Make a folder that only this user may enter; refuse a link, and one that is somebody else's or open to others."""
    path.mkdir(mode=0o700, exist_ok=True)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise EmbeddedUnavailable(f"{path} is not a folder of this user alone: remove it, or set REDIS_URL.")


def open_lock(path: Path) -> int:
    """Open a lock file; the descriptor is the lock's holder and does not pass to other programs by itself."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def try_lock(lock: int, kind: int) -> bool:
    """Take the lock (`LOCK_EX`, `LOCK_SH`) or change its kind, without waiting; False when others hold it."""
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def ask(socket_path: Path, command: bytes) -> bytes:
    """Return the beginning of the server's answer, or nothing when none comes within a second."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(1)
        connection.connect(str(socket_path))
        connection.sendall(command + b"\r\n")
        return connection.recv(128)
    return b""


def wait_ready(socket_path: Path, look: Callable[[], object]) -> bool:
    """Wait until the server answers PING with its data loaded; `look`, called before each try, may raise to end it.

    False after SILENCE_SECONDS without a sign of life, or LOADING_SECONDS of loading.
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
    """Serve the working directory until its users have gone; `report` READY, or raise when the first start fails."""
    users = open_lock(Path(USERS_LOCK))
    said = [READY]

    def say(sentence: str) -> None:
        _write_to_log(sentence)
        said.append(sentence)

    server = _start_server(binary, socket_path, say)
    report("\n".join(said))
    started = tended = time.monotonic()
    # A user's lock and this one exclude each other, and this one is held until the server is dead and this process
    # has ended. So a newcomer either holds his lock first, and the keeper stays, or he waits and starts afresh:
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
            # A server whose socket was swept out of the temporary folder is as good as dead.
            lost = server.poll() is not None or not socket_path.exists()
            if lost and time.monotonic() - started > _RESTART_PAUSE_SECONDS:
                _kill(server, socket_path)
                started = time.monotonic()
                with contextlib.suppress(OSError, EmbeddedUnavailable):  # the log says why; the next round tries again
                    server = _start_server(binary, socket_path, _write_to_log)
    finally:
        _stop_server(server, socket_path)


def _start_server(binary: str, socket_path: Path, say: Callable[[str], None]) -> subprocess.Popen[bytes]:
    """Start the server; where that fails, once more without the zeros at the end of its file, if there are any."""
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
        copy.replace(file)  # the damage is elsewhere too: that is nothing to decide here
        raise
    say(
        f"The append-only file ended in {size - kept} bytes of zeros, as after a power loss. They were cut off, with "
        f"the command that they broke: the last second before it may be lost. A copy of the file: {copy.resolve()}"
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
            server = subprocess.Popen(  # noqa: S603 - our own binary and a path that embedded.py has checked
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
    """Take the server's lock; end a server that outlived its keeper, as it can where the kernel does not tie them."""
    lock = open_lock(Path(SERVER_LOCK))
    deadline = time.monotonic() + STOP_SECONDS
    while not try_lock(lock, fcntl.LOCK_EX):
        ask(socket_path, b"SHUTDOWN NOW")
        if time.monotonic() > deadline:
            os.close(lock)
            raise EmbeddedUnavailable("Another valkey-server works on this data folder: end it, or set REDIS_URL.")
        time.sleep(0.02)
    return lock


def _command(binary: str, socket_path: Path) -> list[str]:
    # The working directory is the data folder: its name, maybe with blanks and quotes, stays out of Valkey's parser.
    options = (
        ("port", "0"),
        ("unixsocket", str(socket_path)),
        ("unixsocketperm", "700"),
        ("appendonly", "yes"),
        # "everysec" holds writes back while a sync is running, so that kill -9 then loses what was acknowledged (2 862
        # increments on a busy disk). With "no" every write precedes its answer, and the keeper syncs every second.
        ("appendfsync", "no"),
        ("aof-load-truncated", "yes"),  # a half-written last command was never acknowledged
        ("save", ""),
        ("maxmemory-policy", "noeviction"),
        ("logfile", LOG),
    )
    return [binary, *(word for name, value in options for word in (f"--{name}", value))]


def _tie_to_this_process() -> Callable[[], None] | None:
    """Return what makes the server die with the keeper, where the kernel can do that (Linux)."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl
    keeper = os.getpid()

    def tie() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != keeper:  # the keeper died before the line above
            os._exit(1)

    return tie


def _wait_started(server: subprocess.Popen[bytes], socket_path: Path) -> None:
    def look() -> None:
        if server.poll() is not None:
            raise EmbeddedUnavailable(f"The embedded Valkey ended as it started (status {server.returncode}).")

    if not wait_ready(socket_path, look):
        raise EmbeddedUnavailable("The embedded Valkey does not answer.")


def _stop_server(server: subprocess.Popen[bytes], socket_path: Path) -> None:
    if server.poll() is None:
        ask(socket_path, b"SHUTDOWN NOW")  # writes and syncs the append-only file first
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(STOP_SECONDS)
    _kill(server, socket_path)


def _kill(server: subprocess.Popen[bytes], socket_path: Path) -> None:
    """End the server, if it still lives, and remove what it leaves outside its data."""
    server.kill()
    server.wait()
    with contextlib.suppress(OSError):
        socket_path.unlink(missing_ok=True)
        socket_path.parent.rmdir()


def _tend_files() -> None:
    """Bring the append-only file to the disk, and move a long log aside."""
    for file in Path("appendonlydir").glob("*.aof"):
        with contextlib.suppress(OSError), file.open("rb") as written:  # a rewrite may just have removed it
            os.fsync(written.fileno())
    with contextlib.suppress(OSError):
        if Path(LOG).stat().st_size > _LOG_BYTES:
            Path(LOG).replace(f"{LOG}.1")  # Valkey opens its log anew for every line


def _main(data_dir: str, socket_path: str, binary: str) -> None:
    # The starter waits for the first process and for the end of standard output; the second belongs to nobody.
    if os.fork():
        os._exit(0)
    os.umask(0o077)
    os.chdir(data_dir)
    # A stopping service manager signals every process of the unit at once; users must drain before their server goes.
    # A blocked signal stays blocked in valkey-server, which sets handlers but leaves the mask as it finds it.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        keep(binary=binary, socket_path=Path(socket_path), report=_report)
    except (OSError, EmbeddedUnavailable) as error:
        _report(str(error))


def _write_to_log(sentence: str) -> None:
    with Path(LOG).open("a", encoding="utf-8") as log:
        log.write(f"{sentence}\n")


def _report(sentence: str) -> None:
    """Say the sentence and let go of the pipe, whose end the starter awaits; what is said later goes to the log."""
    with contextlib.suppress(BrokenPipeError):  # a killed starter does not listen; there may be other users
        os.write(1, sentence.encode())
    with Path(LOG).open("ab") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)


if __name__ == "__main__":
    _main(*sys.argv[1:])
