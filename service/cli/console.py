"""What the commands have in common to say: a refusal is one sentence on standard error, and exit status 2."""

import errno
import os
import sys
from typing import NoReturn

import typer

from service.logs.shared_output import write_all


def show_alone(text: str) -> None:
    """Write what is shown this once to standard output. Raises `OSError` when it cannot be written."""
    if sys.stdout is None:  # it was closed when the command began
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    write_all(1, f"{text}\n".encode())  # not by `sys.stdout`, which would try once more at the end


def refuse(sentence: str) -> NoReturn:
    """Say why the command cannot do its work, and end it."""
    try:
        typer.echo(sentence, err=True)
    except OSError:  # nobody reads it; Python would try once more at its end, and make the exit status another
        sys.stderr = None
    raise SystemExit(2)
