"""Output that all commands share: an expected failure is one sentence on standard error, and exit status 2.

Colours are for terminals only, and not if NO_COLOR is set (https://no-color.org) or the terminal has none.
"""

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


def paint(text: str, style: str) -> str:
    """Give a text a colour of `typer.style`, or make it `bold`, if standard output shows colours."""
    if not has_colours():
        return text
    return typer.style(text, bold=True) if style == "bold" else typer.style(text, fg=style)


def has_colours() -> bool:
    """Tell whether standard output is a terminal that shows colours, and the user wants them."""
    is_terminal = sys.stdout is not None and sys.stdout.isatty()
    return is_terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


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
