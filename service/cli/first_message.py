"""`otp-service check --send-to`: prints the steps of the first message to the terminal, and reads the code."""

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
    """Refuse to run without a terminal, before anything is sent: the operator could not type the code."""
    if not sys.stdin.isatty():
        refuse(
            "check --send-to asks for the code that arrives, but standard input is not a terminal: "
            "run it in a terminal (docker compose exec without -T, ssh with -t)"
        )


def send_first_message(settings: Settings, number: str, timeout_seconds: float) -> bool:
    """Send one message and follow it; return whether the loop closed."""
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
    """Read one line from the terminal, or return None after `seconds`. Raises `EOFError` if the input is closed."""
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
        line = os.read(descriptor, _MOST_BYTES)  # a terminal returns one line at a time
    except OSError:  # the terminal is gone
        line = b""
    if not line:  # Ctrl-D
        typer.echo()
        raise EOFError
    return line.decode(errors="replace")
