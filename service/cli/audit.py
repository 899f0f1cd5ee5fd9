"""The audit line: who did what to which key or number, one JSON line on standard error for each such command.

It is written when the operation ends, however it ends, whatever `OTP_LOG_LEVEL` says. It is never dropped: the command
waits for whoever reads standard error, and when the line cannot be written (full disk, reader gone) the work is done
and the exit status is 2. The log of `serve` and of the other commands that run on does drop lines, so no audit line
stands there. A number stands in it as the first eight characters of its tag, which nobody can tell from a number
without `OTP_INDEX_KEY`. The line goes where the command's standard error goes: who wants to keep it runs the commands
under something that does (`SECURITY.md`). Where standard error is closed there is no line: standard output is for what
the command was asked for.
"""

import os
import pwd
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from service.logs.event_log import open_event_log
from service.logs.shared_output import write_all

unwritten: list[OSError] = []  # why lines of this process are missing


@contextmanager
def audited(operation: str, *, api_key: str | None = None, number_tag: str | None = None) -> Iterator[None]:
    """Write one `audit` event for what the block does: `done`, or `failed` when it ends by an exception.

    What the block has done it must not print itself: a reader who is gone would make it a failure.
    """
    event_log = open_event_log(to=_write)
    outcome = "failed"
    try:
        yield
        outcome = "done"
    finally:
        event_log(
            "audit",
            operation=operation,
            operator=_operator(),
            api_key=api_key,
            number_tag=None if number_tag is None else number_tag[:8],
            outcome=outcome,
        )


def _write(line: bytes, _: bool) -> None:  # noqa: FBT001 - as `open_event_log` calls it
    if sys.stderr is None:  # closed at the start
        return
    try:
        write_all(sys.stderr.fileno(), line)
    except OSError as failure:
        unwritten.append(failure)


def _operator() -> str:
    """Name the user of this process as the system knows him: an environment says what anybody likes."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # in a container that has no such user
        return f"uid {os.getuid()}"
