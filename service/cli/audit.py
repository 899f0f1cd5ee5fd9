"""The audit line: each command on a key or a number writes who did what, as one JSON line on standard error.

The line is written when the operation ends, whether it succeeded or not, at every `OTP_LOG_LEVEL`. It is never dropped:
the command blocks until the line is written. If it cannot be written (disk full, pipe closed), the operation is still
done and the exit status is 2; only a new key is not shown, and is revoked. The event log may drop lines, so it has no
audit lines. A number appears as the first eight characters of its tag, which cannot be computed without
`OTP_INDEX_KEY`. `SECURITY.md` says how to keep the lines. If standard error is closed, no line is written, because
standard output is for the result of the command.
"""

import os
import pwd
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from service.logs.event_log import open_event_log
from service.logs.shared_output import write_all

unwritten: list[OSError] = []  # why audit lines of this process could not be written


@contextmanager
def audited(operation: str, *, api_key: str | None = None, number_tag: str | None = None) -> Iterator[None]:
    """Write one `audit` event for the block: `done`, or `failed` if it raises.

    Print the result after the block: a closed standard output would make a completed operation `failed`.
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
    if sys.stderr is None:  # closed when the process started
        return
    try:
        write_all(sys.stderr.fileno(), line)
    except OSError as failure:
        unwritten.append(failure)


def _operator() -> str:
    """Name the user that owns this process. Environment variables such as USER can be set to anything."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # the container has no such user
        return f"uid {os.getuid()}"
