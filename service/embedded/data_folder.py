"""What the keeper and the users of one data folder share: its locks, its log, and how they ask the server.

The locks (flock) are in the data folder. The kernel releases them when their process ends, so none is ever stale:

    users.lock    shared by all users; the keeper locks it exclusively when no user is left, and keeps it until it ends
    keeper.lock   held by the keeper, which inherits it from the user that started it
    server.lock   held by valkey-server, which inherits it from the keeper: free only if no server uses the folder

The keeper runs without site-packages, so this module imports only the standard library.
"""

import contextlib
import fcntl
import os
import socket
import stat
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
