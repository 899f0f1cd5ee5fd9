"""What the commands have in common to say: a refusal is one sentence on standard error, and exit status 2."""

from typing import NoReturn

import typer


def refuse(sentence: str) -> NoReturn:
    """Say why the command cannot do its work, and end it."""
    typer.echo(sentence, err=True)
    raise SystemExit(2)
