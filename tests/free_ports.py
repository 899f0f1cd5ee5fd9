"""Free ports for the servers of tests: below those that the kernel gives to outgoing connections. And who listens.

A port that the kernel picks may be gone again before the server binds it: any connection of any test may get it. These
are given to nobody who does not ask for them by number.
"""

import contextlib
import random
import socket
import time

_FIRST, _LAST = 10_000, 20_000
_BUS = 10_000  # a cluster node also listens that far above; still below the kernel's own ports, 32,768 and up


def free_port() -> int:
    """Return a port that is free, as is the cluster bus port 10,000 above."""
    while True:
        port = random.SystemRandom().randint(_FIRST, _LAST)
        with socket.socket() as first, socket.socket() as second, contextlib.suppress(OSError):
            first.bind(("127.0.0.1", port))
            second.bind(("127.0.0.1", port + _BUS))
            return port


def comes_to_listen(process, port, *, seconds=15) -> bool:
    """Wait until something listens on a port; give False when the process ends before, or does not begin in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as knock:
            if knock.connect_ex(("127.0.0.1", port)) == 0:
                return True
        time.sleep(0.02)
    return False
