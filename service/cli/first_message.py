"""`otp-service check --send-to`: shows the steps of the first message in the terminal, and reads the code."""

import asyncio
import os
import sys

import typer

from service.cli.audit import audited
from service.cli.console import refuse
from service.config.policies import new_keyring
from service.config.settings import Settings
from service.core.phone import InvalidNumber, canonical_number
from service.demo.walk import say
from service.first_message import FirstMessage, StepFailed

_MOST_BYTES = 1024


def refuse_without_terminal() -> None:
    """End the command before anything is sent if there is no terminal to type the code in."""
    if not sys.stdin.isatty():
        refuse(
            "check --send-to asks for the code that arrives, and standard input is no terminal: "
            "run it in one (docker compose exec without -T, ssh with -t)"
        )


def send_first_message(settings: Settings, number: str, timeout_seconds: float) -> bool:
    """Send one message and follow it; tell whether the loop closed."""
    try:
        number = canonical_number(number)
    except InvalidNumber as refusal:
        refuse(str(refusal))
    walk = FirstMessage(settings, say=say, ask=_ask, timeout_seconds=timeout_seconds)
    try:
        with audited("check send-to", number_tag=new_keyring(settings).number_tag(number)):
            asyncio.run(walk.run(number))
    except StepFailed as failed:
        say("FAILED", str(failed))
        return False
    say("closed", "The loop is closed: delivered, typed, approved, reported and confirmed.")
    return True


async def _ask(question: str, seconds: float) -> str | None:
    """Read one line from the terminal; None when the time is over. Raises `EOFError` when no line will come."""
    typer.echo(f"\n{question} ({seconds:.0f} s): ", nl=False)
    descriptor, loop = sys.stdin.fileno(), asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(descriptor, readable.set)
    try:
        async with asyncio.timeout(seconds):
            await readable.wait()
    except TimeoutError:
        typer.echo()
        return None
    finally:
        loop.remove_reader(descriptor)
    try:
        line = os.read(descriptor, _MOST_BYTES)  # a terminal gives one line at a time, when it is ready
    except OSError:  # the terminal is gone
        line = b""
    if not line:  # Ctrl-D
        typer.echo()
        raise EOFError
    return line.decode(errors="replace")
