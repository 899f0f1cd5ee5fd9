"""What `serve` and `worker` say when they start: version, address, Redis, Twilio, worker.

On a terminal it is a short text, elsewhere the log event `starting` with a field for each. Once `serve` can be reached,
a terminal gets its address too, and the log the event `serving`. Neither contains a password,
a whole number or a whole SID.
"""

from collections.abc import Mapping

import typer

from service.config.settings import Settings
from service.core.event_log import EventLog
from service.core.phone import mask
from service.logs.terminal_text import is_terminal, paint
from service.redis_client import url_without_secrets
from service.version import VERSION

_SHORT_SID = 8  # the two letters of the kind and six digits


def announce(
    command: str, settings: Settings, event_log: EventLog, *, address: str | None = None, processes: int | None = None
) -> None:
    """Say what is about to start. `address` is that of `serve`, which cannot be reached yet."""
    has_worker = command == "worker" or settings.otp_worker
    facts = {
        "command": command,
        "version": VERSION,
        "address": address,
        "processes": processes,
        "redis": _redis(settings),
        "twilio_account": _short(settings.twilio_account_sid),
        "twilio_url": settings.twilio_base_url,
        "sender": _sender(settings),
        "worker": has_worker,
    }
    if is_terminal():
        typer.echo("\n".join(_lines(facts)))
    else:
        event_log("starting", **facts)


def announce_ready(address: str, event_log: EventLog) -> None:
    """Say that `serve` can be reached."""
    if is_terminal():
        typer.echo(f"Serving on {address}\n")
    else:
        event_log("serving", address=address)


def _lines(facts: Mapping[str, object]) -> list[str]:
    account = f"account {facts['twilio_account']}, sender {facts['sender']}"
    rows = {
        "Processes": facts["processes"],
        "Redis": facts["redis"],
        "Twilio": f"{account}, at {facts['twilio_url']}" if facts["twilio_url"] else account,
        "Worker": "in this service" if facts["worker"] else "not here (OTP_WORKER=false): run otp-service worker",
    }
    if facts["command"] == "worker":
        del rows["Worker"]
    title = paint(f"otp-service {facts['version']}, {facts['command']}", "bold")
    shown = [f"  {name:<9}  {value}" for name, value in rows.items() if value is not None]
    return [title, *shown, "Press Ctrl-C to stop.", ""]


def _redis(settings: Settings) -> str:
    if settings.redis_url is None:
        return f"embedded Valkey, in {settings.otp_data_dir}"
    return url_without_secrets(settings.redis_url)


def _sender(settings: Settings) -> str:
    """Name the Messaging Service, or the number with its last two digits, or the name that replaces a number."""
    if settings.twilio_messaging_service_sid:
        return _short(settings.twilio_messaging_service_sid)
    sender = settings.twilio_from or ""
    return mask(sender) if sender.startswith("+") else sender


def _short(sid: str | None) -> str:
    return f"{(sid or '')[:_SHORT_SID]}…"
