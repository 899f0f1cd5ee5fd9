"""Free ports for the servers of tests: below those that the kernel gives to outgoing connections.

A port that the kernel picks may be gone again before the server binds it: any connection of any test may get it. These
are given to nobody who does not ask for them by number.
"""

import contextlib
import random
import socket

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
