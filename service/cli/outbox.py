"""`otp-service outbox`: list the confirmations that Twilio has not accepted, and retry failed ones."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated

import typer

from service.app import open_redis
from service.cli.console import refuse
from service.config.settings import load_settings
from service.core.confirming import read_confirmation
from service.core.instants import instant
from service.core.outbox import OutboxEntry
from service.store.confirmations import open_confirmations
from service.store.outbox import RedisOutbox

commands = typer.Typer(no_args_is_help=True, help="List pending and failed confirmations, and retry failed ones.")


@commands.command("list")
def list_pending() -> None:
    """List the confirmations that Twilio has not accepted yet: SID, verification, send, tries, since, due."""

    async def show(outbox: RedisOutbox) -> None:
        async for entry in outbox.pending():
            since = instant(entry.since_ms)
            typer.echo(f"{_name(entry)}\ttries {entry.tries}\tsince {since}\tdue {instant(entry.due_ms)}")

    _with_outbox(show)


@commands.command("failed")
def list_failed() -> None:
    """List the confirmations that failed in the last 14 days, with the reason."""

    async def show(outbox: RedisOutbox) -> None:
        async for failed in outbox.failed():
            typer.echo(f"{_name(failed.entry)}\t{instant(failed.failed_at_ms)}\t{failed.reason}")

    _with_outbox(show)


@commands.command("retry")
def retry_failed(
    sid: Annotated[list[str] | None, typer.Argument(help="Message SIDs that `outbox failed` shows.")] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="Retry all failed confirmations.")] = False,
) -> None:
    """Enqueue failed confirmations again."""
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


def _name(entry: OutboxEntry) -> str:
    confirmation = read_confirmation(entry.particulars)
    if confirmation is None:
        return f"{entry.key}\tillegible\t"  # as many columns as the others
    return f"{entry.key}\t{confirmation.verification_id}\tsend {confirmation.send_number}"
