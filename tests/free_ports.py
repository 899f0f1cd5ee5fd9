"""Find free ports below the kernel's range for outgoing connections, and wait until a server listens.

A port that the kernel picks may be taken again before the server binds it, by any connection of any test. The kernel
assigns ports of this range only to programs that ask for them by number.
"""

import contextlib
import random
import socket
import time

_FIRST, _LAST = 10_000, 20_000
_BUS = 10_000  # a cluster node also listens on port + 10,000, which must stay below the kernel's range (32,768 and up)


def free_port() -> int:
    """Return a port that is free, as is the cluster bus port 10,000 above."""
    while True:
        port = random.SystemRandom().randint(_FIRST, _LAST)
        with socket.socket() as first, socket.socket() as second, contextlib.suppress(OSError):
            first.bind(("127.0.0.1", port))
            second.bind(("127.0.0.1", port + _BUS))
            return port


def wait_until_listening(process, port, *, host="127.0.0.1", seconds=15) -> bool:
    """Wait until something listens on a port; return False if the process ends first, or on a timeout."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex((host, port)) == 0:
                return True
        time.sleep(0.02)
    return False
