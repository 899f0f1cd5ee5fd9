"""The commands: `otp-service demo | serve | worker | sandbox | check | keys | numbers | outbox | report | texts`.

Each command reads the settings and opens the connections that it needs. An expected failure is one sentence on standard
error. Exit status: 0 for success, 1 if `check` or `demo --once` found an error, 2 if the command could not run,
3 if `serve` could not start.
"""

from typing import Annotated

import typer

from service.cli import audit, keys, numbers, outbox, running
from service.cli.check import check
from service.cli.console import output_failure, refuse
from service.cli.report import report
from service.cli.texts import texts
from service.config.settings import SettingsRefused
from service.core.store_health import StoreUnavailable
from service.embedded.server import EmbeddedUnavailable
from service.logs.shared_output import occupy_closed_descriptors
from service.version import VERSION

# Each paragraph of a help text is one line here: typer keeps line breaks after the first paragraph.
_HELP = (
    "Send one-time codes, check them, and tell Twilio which messages arrived.\n\n"
    "To begin: otp-service demo\n\n"
    "Exit status: 0 for success, 1 if `check` or `demo --once` found an error, 2 if the command could not run, "
    "3 if `serve` could not start."
)

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, help=_HELP)
for command in (running.demo, running.serve, running.worker, running.sandbox, check, report, texts):
    app.command()(command)


def _show_version(asked: bool) -> None:  # noqa: FBT001 - as typer calls it
    if asked:
        typer.echo(f"otp-service {VERSION}")
        raise typer.Exit


@app.callback()
def _options(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Take the options that come before a command."""


def main() -> None:
    """Run a command. An expected failure is one sentence on standard error, never a traceback."""
    occupy_closed_descriptors()
    try:
        app()
    except SystemExit as end:
        if audit.unwritten and not end.code:
            refuse(f"The command succeeded, but its audit line could not be written: {audit.unwritten[0]}")
        raise
    except StoreUnavailable as away:
        refuse(f"Redis: {away}. {away.fault.sentence}")
    except OSError as failure:
        refuse(output_failure(failure) or str(failure))
    except (SettingsRefused, EmbeddedUnavailable, ValueError) as failure:
        refuse(str(failure))


app.add_typer(keys.commands, name="keys")
app.add_typer(numbers.commands, name="numbers")
app.add_typer(outbox.commands, name="outbox")
