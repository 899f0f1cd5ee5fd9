"""`otp-service outbox`: list the confirmations that Twilio has not accepted, and retry failed ones."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Annotated

import typer

from service.app import open_redis
from service.cli.console import refuse
from service.cli.listing import AsJson, Cells, show_list, span
from service.config.settings import load_settings
from service.core.confirming import entry_fields, failed_fields, read_confirmation
from service.core.instants import instant
from service.core.outbox import FailedEntry, OutboxEntry
from service.store.confirmations import open_confirmations
from service.store.outbox import RedisOutbox

commands = typer.Typer(no_args_is_help=True, help="List pending and failed confirmations, and retry failed ones.")


@commands.command("list")
def list_pending(*, as_json: AsJson = False) -> None:
    """List the confirmations that Twilio has not accepted yet, with the time since the code was typed."""
    now_ms = time.time_ns() // 1_000_000

    async def show(outbox: RedisOutbox) -> None:
        await show_list(
            outbox.pending(),
            as_json=as_json,
            fields=lambda entry: entry_fields(entry) | {"due_at": instant(entry.due_ms)},
            cells=lambda entry: _pending_cells(entry, now_ms),
            empty="Nothing is pending.",
        )

    _with_outbox(show)


@commands.command("failed")
def list_failed(*, as_json: AsJson = False) -> None:
    """List the confirmations that failed in the last 14 days, with the reason."""

    async def show(outbox: RedisOutbox) -> None:
        await show_list(
            outbox.failed(), as_json=as_json, fields=failed_fields, cells=_failed_cells, empty="Nothing has failed."
        )

    _with_outbox(show)


@commands.command("retry")
def retry_failed(
    sid: Annotated[list[str] | None, typer.Argument(help="Message SIDs that `outbox failed` shows.")] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="Retry all failed confirmations.")] = False,
) -> None:
    """Enqueue failed confirmations again: those of the SIDs, or all.

    Example: otp-service outbox retry --all
    """
    if bool(sid) == everything:
        refuse("name the SIDs to retry, or use --all")

    async def retry(outbox: RedisOutbox) -> None:
        chosen = [failed.entry async for failed in outbox.failed() if everything or failed.entry.key in (sid or [])]
        retried = [entry.key for entry in chosen if await outbox.retry(entry)]
        typer.echo(f"{len(retried)} confirmation{'' if len(retried) == 1 else 's'} enqueued.", err=True)
        missing = set(sid or []) - set(retried)
        if missing:
            refuse(f"not among the failed confirmations: {', '.join(sorted(missing))}")

    _with_outbox(retry)


def _with_outbox(step: Callable[[RedisOutbox], Awaitable[None]]) -> None:
    async def run() -> None:
        async with open_redis(load_settings()) as scripts:
            await step(open_confirmations(scripts))

    asyncio.run(run())


def _pending_cells(entry: OutboxEntry, now_ms: int) -> Cells:
    """Fit 80 columns: the verification is in the JSON."""
    wait_ms = entry.due_ms - now_ms
    return {
        "SID": entry.key,
        "SEND": _send(entry),
        "TRIES": str(entry.tries),
        "WAITING": span(now_ms - entry.since_ms) if entry.is_legible else "?",
        "NEXT TRY": f"in {span(wait_ms)}" if wait_ms > 0 else "now",
    }


def _failed_cells(failed: FailedEntry) -> Cells:
    at = instant(failed.failed_at_ms)
    return {"SID": failed.entry.key, "SEND": _send(failed.entry), "FAILED AT": at, "REASON": failed.reason}


def _send(entry: OutboxEntry) -> str:
    confirmation = read_confirmation(entry.particulars)
    return "illegible" if confirmation is None else str(confirmation.send_number)
