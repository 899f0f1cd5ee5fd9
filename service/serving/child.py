"""A process of `serve --workers`: `python -m service.serving.child PARENT CHANNEL LISTENER…`.

PARENT is the parent's process id, the others are the numbers of open sockets. On Linux the kernel kills this process
when its parent dies, even by kill -9 and even if this one stands still: else it would keep the port, with nobody to
tell it of a stop. Elsewhere it ends when its event loop reads the end of the channel.

That is arranged before anything large is imported, which takes a second. So this module imports none of it.
"""

import ctypes
import os
import signal
import sys
from importlib import import_module

READY, ALIVE, RETIRE, STOP = b"ready\n", b"alive\n", b"retire\n", b"stop\n"
_PR_SET_PDEATHSIG = 1  # prctl(2)


def main() -> None:
    """Serve until it is told to end."""
    parent, *numbers = map(int, sys.argv[1:])
    _die_with(parent)
    for number in (signal.SIGINT, signal.SIGHUP):  # a terminal sends them to all; the parent says what they mean for us
        signal.signal(number, signal.SIG_IGN)
    import_module("service.serving.child_server").run_child(numbers)


def _die_with(parent: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before that line
        sys.exit(1)


if __name__ == "__main__":
    main()
