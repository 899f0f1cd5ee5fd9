"""The commands: `otp-service demo | serve | worker | sandbox | check | keys | numbers | outbox`.

Each command reads the settings and opens the connections that it needs. An expected failure is one sentence on standard
error. Exit status: 0 for success, 1 if `check` or `demo --once` found an error, 2 if the command could not run,
3 if `serve` could not start.
"""

import asyncio
from typing import Annotated

import typer

from service import diagnosis as diagnosis
from service.cli import audit, first_message, keys, numbers, outbox, running
from service.cli.console import output_failure, refuse
from service.config.env_file import unread_names
from service.config.settings import SETTINGS, SettingsRefused, load_settings
from service.core.store_health import StoreUnavailable
from service.embedded.server import EmbeddedUnavailable
from service.logs.shared_output import occupy_closed_descriptors
from service.version import VERSION

_HELP = """Send one-time codes, check them, and tell Twilio which messages arrived.

Exit status: 0 for success, 1 if `check` or `demo --once` found an error, 2 if the command could not run,
3 if `serve` could not start."""

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=_HELP)
for command in (running.demo, running.serve, running.worker, running.sandbox):
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
        refuse(output_failure() or str(failure))
    except (SettingsRefused, EmbeddedUnavailable, ValueError) as failure:
        refuse(str(failure))


@app.command()
def check(
    *,
    send_to: Annotated[
        str | None, typer.Option(help="Also send one real message to this number (E.164) and test the whole loop.")
    ] = None,
    timeout: Annotated[int, typer.Option(min=1, max=600, help="Seconds to wait for the code to be typed.")] = 300,
) -> None:
    """Check the settings, Redis and the Twilio credentials, and say how to fix each error."""
    if send_to is not None:
        first_message.refuse_without_terminal()
    settings = load_settings()
    unread = unread_names(SETTINGS, secrets_dir=settings.otp_secrets_dir)
    findings = asyncio.run(diagnosis.examine(settings, unread=unread))
    for finding in findings:
        typer.echo(f"{finding.level.upper():5} {finding.text}")
    if any(finding.level == "error" for finding in findings):
        if send_to is not None:
            typer.echo("\nNothing was sent: fix the errors first.")
        raise typer.Exit(1)
    if send_to is not None:
        typer.echo()
        raise typer.Exit(0 if first_message.send_first_message(settings, send_to, timeout) else 1)


app.add_typer(keys.commands, name="keys")
app.add_typer(numbers.commands, name="numbers")
app.add_typer(outbox.commands, name="outbox")
