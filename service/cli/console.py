"""Output that all commands share: an expected failure is one sentence on standard error, and exit status 2."""

import errno
import os
import select
import sys
from typing import NoReturn

import typer

from service.logs.shared_output import write_all


def show_alone(text: str) -> None:
    """Write a text that is shown only once to standard output. Raises `OSError` if it cannot be written.

    On a terminal an empty line keeps it apart from the audit line before it.
    """
    if sys.stdout is None:  # closed when the process started
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    before = "\n" if os.isatty(1) else ""
    write_all(1, f"{before}{text}\n".encode())  # not by `sys.stdout`, which would write again at exit


def output_has_room() -> bool:
    """Say whether a short text is written at once: not so into a full pipe that nobody reads."""
    return sys.stdout is None or bool(select.select([], [1], [], 0)[1])


_OF_WRITING = {errno.ENOSPC, errno.EPIPE, errno.EIO, errno.EFBIG, errno.EDQUOT}


def output_failure(cause: OSError) -> str | None:
    """Say why standard output cannot be written, if that was the cause of an error.

    What is left in its buffer is dropped: Python would write it again at exit, and change the exit status. With
    PYTHONUNBUFFERED nothing is left in it; but commands write to no other file themselves.
    """
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as failure:
        sys.stdout = None
        return f"standard output: {failure.strerror}"
    is_of_writing = cause.errno in _OF_WRITING and cause.filename is None
    return f"standard output: {cause.strerror}" if is_of_writing else None


def refuse(sentence: str) -> NoReturn:
    """Print why the command cannot run, and exit with status 2."""
    try:
        typer.echo(sentence, err=True)
    except OSError:  # Python would flush it again at exit, and change the exit status
        sys.stderr = None
    raise SystemExit(2)
