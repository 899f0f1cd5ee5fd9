"""`otp-service check`: prints what `diagnosis` found, the worst first, counts it, and names the next step."""

import asyncio
from collections.abc import Sequence
from typing import Annotated

import typer

from service import diagnosis
from service.cli import first_message
from service.cli.console import refuse
from service.cli.listing import AsJson, count_of, json_text
from service.config.env_file import unread_names
from service.config.settings import SETTINGS, load_settings
from service.diagnosis.finding import Finding
from service.logs.terminal_text import paint, wrap

_GROUPS = (("error", "error", "red"), ("warn", "warning", "yellow"), ("ok", "fine", "green"))
_JSON_LEVELS = {"error": "error", "warn": "warning", "ok": "ok"}
_INDENT = 6


def check(
    *,
    send_to: Annotated[
        str | None,
        typer.Option(metavar="NUMBER", help="Also send one real message to this number and test the whole loop."),
    ] = None,
    timeout: Annotated[
        int, typer.Option(min=1, max=600, metavar="SECONDS", help="How long --send-to waits for the code to be typed.")
    ] = 300,
    as_json: AsJson = False,
) -> None:
    """Check the settings, Redis and the Twilio credentials, and say how to fix each error.

    Example: otp-service check --send-to +14155550123
    """
    if send_to is not None:
        if as_json:
            refuse("use --json without --send-to, which asks for the code that arrives")
        first_message.refuse_without_terminal()
    settings = load_settings()
    unread = unread_names(SETTINGS, secrets_dir=settings.otp_secrets_dir)
    findings = asyncio.run(diagnosis.examine(settings, unread=unread))
    errors = _number_of(findings, "error")
    if as_json:
        typer.echo(json_text(_fields(findings)))
    else:
        typer.echo("\n\n".join(_groups(findings)) + "\n")
    if send_to is not None and not errors:
        raise typer.Exit(0 if first_message.send_first_message(settings, send_to, timeout) else 1)
    if not as_json:
        typer.echo("\n".join(_next_step(errors, is_sending=send_to is not None)))
    raise typer.Exit(1 if errors else 0)


def _groups(findings: Sequence[Finding]) -> list[str]:
    """Write the errors, the warnings and the rest, each under its number."""
    groups = []
    for level, name, colour in _GROUPS:
        texts = [finding.text for finding in findings if finding.level == level]
        if texts:
            heading = f"{len(texts)} fine" if level == "ok" else count_of(len(texts), name)
            lines = [f"{paint(f'{level.upper():5}', colour)} {wrap(text, indent=_INDENT)}" for text in texts]
            groups.append("\n".join([paint(heading, "bold"), *lines]))
    return groups


def _next_step(errors: int, *, is_sending: bool) -> list[str]:
    if errors:
        nothing_sent = ["Nothing was sent."] if is_sending else []
        fix = "the error" if errors == 1 else f"the {errors} errors"
        return [*nothing_sent, f"Next: fix {fix} above, then run check again."]
    return [
        "Next: otp-service serve, unless it runs already",
        "Then: otp-service check --send-to +1…  (one real message, the whole loop)",
    ]


def _fields(findings: Sequence[Finding]) -> dict[str, object]:
    return {
        "errors": _number_of(findings, "error"),
        "warnings": _number_of(findings, "warn"),
        "findings": [{"level": _JSON_LEVELS[finding.level], "text": finding.text} for finding in findings],
    }


def _number_of(findings: Sequence[Finding], level: str) -> int:
    return sum(finding.level == level for finding in findings)
