"""What the commands have in common to say: a refusal is one sentence on standard error, and exit status 2."""

import sys
from typing import NoReturn

import typer


def refuse(sentence: str) -> NoReturn:
    """Say why the command cannot do its work, and end it."""
    try:
        typer.echo(sentence, err=True)
    except OSError:  # nobody reads it; Python would try once more at its end, and make the exit status another
        sys.stderr = None
    raise SystemExit(2)
