"""A process of `serve --workers`: `python -m service.serving.child PARENT CHANNEL LISTENER…`.

PARENT is the parent's process id; CHANNEL and LISTENER are file descriptors of open sockets. On Linux the kernel kills
this process when its parent dies, even after kill -9 and even if this process hangs. Otherwise it would keep the port
after its parent is gone. On other systems it ends when its event loop reads the end of the channel.

The request to the kernel comes before any large import, which takes a second, so this module imports little.
"""

import ctypes
import os
import signal
import sys
from importlib import import_module

_PR_SET_PDEATHSIG = 1  # prctl(2)


def main() -> None:
    """Serve until the parent stops this process."""
    parent, *numbers = map(int, sys.argv[1:])
    _die_with(parent)
    for number in (signal.SIGINT, signal.SIGHUP):  # a terminal sends them to every process; the parent handles them
        signal.signal(number, signal.SIG_IGN)
    import_module("service.serving.child_server").run_child(numbers)


def _die_with(parent: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before prctl
        sys.exit(1)


if __name__ == "__main__":
    main()
