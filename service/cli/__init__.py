"""The commands: `otp-service demo | serve | worker | sandbox | check | keys | numbers | owed`.

Each command reads the settings, opens what it needs and says in a sentence what is wrong when it
cannot. Exit status: 0 done, 1 something is wrong (`check`, `demo --once`), 2 it cannot start.
"""

import asyncio

import typer

from service import check as diagnosis
from service.adapters.embedded import EmbeddedUnavailable
from service.cli import keys, numbers, owed, running
from service.cli.console import refuse
from service.config.settings import SettingsRefused, load_settings
from service.core.ports import StoreUnavailable

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
for command in (running.demo, running.serve, running.worker, running.sandbox):
    app.command()(command)


def main() -> None:
    """Run a command; an expected failure is one sentence on standard error, never a traceback."""
    try:
        app()
    except StoreUnavailable as away:
        refuse(f"Redis: {away}. {away.fault.sentence}")
    except (SettingsRefused, EmbeddedUnavailable, ValueError, OSError) as failure:
        refuse(str(failure))


@app.command()
def check() -> None:
    """Say what is wrong with the settings, Redis and the Twilio credentials, and how to mend it."""
    findings = asyncio.run(diagnosis.examine(load_settings()))
    for finding in findings:
        typer.echo(f"{finding.level.upper():5} {finding.text}")
    raise typer.Exit(1 if any(finding.level == "error" for finding in findings) else 0)


app.add_typer(keys.commands, name="keys")
app.add_typer(numbers.commands, name="numbers")
app.add_typer(owed.commands, name="owed")
