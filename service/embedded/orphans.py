"""Collects the exit status of orphaned processes, as process 1 of a container must.

When the starter of a keeper ends, process 1 becomes the parent of the keeper and of its server. They run in sessions of
their own. Processes in the session of this process are not collected here: their starters wait for them.
"""

import contextlib
import os


def reap_orphans() -> None:
    """Collect the exit status of ended processes in other sessions, and leave all others alone."""
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) is not None:
            if os.getsid(ended.si_pid) == os.getsid(0):
                break
            os.waitpid(ended.si_pid, os.WNOHANG)
