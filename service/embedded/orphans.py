"""Ended processes that nobody waits for.

A container's first process becomes the parent of the embedded server's keepers, and of their servers, when those who
started them end. They live in sessions of their own. A process of our own session was started by somebody here, who
waits for it.
"""

import contextlib
import os


def reap_orphans() -> None:
    """Collect the exit status of processes that ended in another session than ours; leave all others alone."""
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) is not None:
            if os.getsid(ended.si_pid) == os.getsid(0):
                break
            os.waitpid(ended.si_pid, os.WNOHANG)
