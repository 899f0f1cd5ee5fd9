"""Output that all commands share: an expected failure is one sentence on standard error, and exit status 2."""

import errno
import os
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


def output_failure() -> str | None:
    """After an `OSError`: say why standard output cannot be written, if that was the cause.

    What is left in its buffer is dropped: Python would write it again at exit, and change the exit status.
    """
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as failure:
        sys.stdout = None
        return f"standard output: {failure.strerror}"
    return None


def refuse(sentence: str) -> NoReturn:
    """Print why the command cannot run, and exit with status 2."""
    try:
        typer.echo(sentence, err=True)
    except OSError:  # Python would flush it again at exit, and change the exit status
        sys.stderr = None
    raise SystemExit(2)
