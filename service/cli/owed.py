"""`otp-service owed`: look at the confirmations that Twilio has not taken, and owe dead ones again."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated

import typer

from service.adapters.redis_owed import RedisConfirmations
from service.api.schemas import instant
from service.app import open_redis
from service.cli.console import refuse
from service.config.settings import load_settings
from service.core.ports import Debt

commands = typer.Typer(no_args_is_help=True, help="Look at the confirmations owed to Twilio, and revive dead ones.")


@commands.command("list")
def list_owed() -> None:
    """List the confirmations that Twilio has not accepted yet: SID, verification, tries, since, due."""

    async def show(store: RedisConfirmations) -> None:
        async for debt in store.owed():
            since = instant(debt.since_ms)
            typer.echo(f"{_name(debt)}\ttries {debt.tries}\tsince {since}\tdue {instant(debt.due_ms)}")

    _with_confirmations(show)


@commands.command("dead")
def list_dead() -> None:
    """List the confirmations that were given up in the last 14 days, with the reason."""

    async def show(store: RedisConfirmations) -> None:
        async for dead in store.dead():
            typer.echo(f"{_name(dead.debt)}\t{instant(dead.died_at_ms)}\t{dead.reason}")

    _with_confirmations(show)


@commands.command("replay")
def replay_dead(
    sid: Annotated[list[str] | None, typer.Argument(help="Message SIDs, as `owed dead` shows them.")] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="All dead confirmations.")] = False,
) -> None:
    """Owe dead confirmations again."""
    if bool(sid) == everything:
        refuse("name the SIDs to replay, or --all")

    async def replay(store: RedisConfirmations) -> None:
        chosen = [dead.debt async for dead in store.dead() if everything or dead.debt.sid in (sid or [])]
        replayed = [debt.sid for debt in chosen if await store.replay(debt)]
        typer.echo(f"{len(replayed)} owed again.", err=True)
        missing = set(sid or []) - set(replayed)
        if missing:
            refuse(f"not among the dead: {', '.join(sorted(missing))}")

    _with_confirmations(replay)


def _with_confirmations(step: Callable[[RedisConfirmations], Awaitable[None]]) -> None:
    async def run() -> None:
        async with open_redis(load_settings()) as scripts:
            await step(RedisConfirmations(scripts))

    asyncio.run(run())


def _name(debt: Debt) -> str:
    return f"{debt.sid}\t{debt.verification_id}\tsend {debt.send_number}"
