"""The commands: `otp-service demo | serve | worker | sandbox | keys | check | owed`.

Each command reads the settings, opens what it needs and says in a sentence what is wrong when it
cannot. Exit status: 0 done, 1 something is wrong (`check`, `demo --once`), 2 it cannot start.
"""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from typing import Annotated, NoReturn

import typer
import uvicorn

from service import check as diagnosis
from service.adapters.embedded import EmbeddedUnavailable, embedded_valkey
from service.adapters.redis_ledgers import RedisApiKeys
from service.adapters.redis_owed import RedisConfirmations
from service.adapters.twilio_gateway import open_twilio
from service.api.connection import BoundedProtocol
from service.api.keys import Scope, new_api_key, read_api_keys
from service.api.schemas import instant
from service.app import open_redis, open_worker
from service.core.ports import Debt, StoreUnavailable
from service.demo import run_demo
from service.listening import listen
from service.policies import twilio_account
from service.sandbox import DroppingProtocol, SandboxSettings, create_sandbox
from service.settings import Settings, SettingsRefused, load_settings, missing_to_serve
from service.telemetry import open_journal

GRACE_SECONDS = 10

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
keys = typer.Typer(no_args_is_help=True, help="Create, list and revoke API keys.")
owed = typer.Typer(no_args_is_help=True, help="Look at the confirmations owed to Twilio, and revive dead ones.")
app.add_typer(keys, name="keys")
app.add_typer(owed, name="owed")

Host = Annotated[str, typer.Option(help="Address to listen on.")]
Port = Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")]


def main() -> None:
    """Run a command; an expected failure is one sentence on standard error, never a traceback."""
    try:
        app()
    except (SettingsRefused, EmbeddedUnavailable, StoreUnavailable, ValueError, OSError) as failure:
        _refuse(str(failure))


@app.command()
def demo(
    *,
    host: Host = "127.0.0.1",
    port: Port = 8000,
    once: Annotated[bool, typer.Option("--once", help="End after the walk; exit 0 only if the loop closed.")] = False,
) -> None:
    """Walk the loop in the terminal against a stand-in for Twilio, then go on serving. Needs no account."""
    _end_with_zero_when_stopped()
    raise typer.Exit(asyncio.run(run_demo(host=host, port=port, once=once)))


@app.command()
def serve(
    *, host: Host = "127.0.0.1", port: Port = 8000, workers: Annotated[int, typer.Option(min=1, max=64)] = 1
) -> None:
    """Serve the API, with the worker that pays the confirmations unless OTP_WORKER=false."""
    settings = _settings_to_serve()
    listen(host, port).close()  # a taken port is a sentence of ours, not three of uvicorn's
    _end_with_zero_when_stopped()
    with ExitStack() as held:
        if settings.redis_url is None:
            held.enter_context(embedded_valkey(settings.otp_data_dir))  # started once, before the workers race for it
        uvicorn.run(
            "service.app:create_app",
            factory=True,
            host=host,
            port=port,
            workers=workers,
            http=BoundedProtocol,
            lifespan="on",
            access_log=False,
            log_level="warning",
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )


@app.command()
def worker() -> None:
    """Pay confirmations, without the API. Any number may run."""
    settings = _settings_to_serve()

    async def work() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        journal = open_journal(settings.otp_log_level)
        async with (
            open_redis(settings) as scripts,
            open_twilio(twilio_account(settings)) as twilio,
            open_worker(scripts, twilio, journal),
        ):
            await stop.wait()

    asyncio.run(work())


@app.command()
def sandbox(*, host: Host = "127.0.0.1", port: Port = 8001) -> None:
    """Serve the stand-in for Twilio alone."""
    listen(host, port).close()
    _end_with_zero_when_stopped()
    account = SandboxSettings()
    typer.echo(f"TWILIO_BASE_URL=http://{host}:{port}")
    typer.echo(f"TWILIO_ACCOUNT_SID={account.account_sid}")
    typer.echo(f"TWILIO_AUTH_TOKEN={account.auth_token}")
    typer.echo(f"TWILIO_FROM={account.pool_number}")
    typer.echo(f"Messages: http://{host}:{port}/_/messages", err=True)
    uvicorn.run(create_sandbox(account), host=host, port=port, http=DroppingProtocol, log_level="warning")


@app.command()
def check() -> None:
    """Say what is wrong with the settings, Redis and the Twilio credentials, and how to mend it."""
    findings = asyncio.run(diagnosis.examine(load_settings()))
    for finding in findings:
        typer.echo(f"{finding.level.upper():5} {finding.text}")
    raise typer.Exit(1 if any(finding.level == "error" for finding in findings) else 0)


@keys.command("create")
def create_key(
    name: Annotated[str, typer.Argument(help="Who will use it; it stands in the log instead of the key.")],
    scope: Annotated[list[Scope] | None, typer.Option(help="Repeat for several.")] = None,
) -> None:
    """Create an API key and print it, alone, on standard output. It is shown this once."""
    if not name.isprintable() or not 1 <= len(name) <= 64:  # noqa: PLR2004 - said in the sentence
        _refuse("a name has 1 to 64 printable characters")
    key, kept = new_api_key(name, scope or [Scope.VERIFICATIONS])

    async def create(store: RedisApiKeys) -> None:
        if any(known.name == name for known in read_api_keys(await store.api_keys()).values()):
            _refuse(f"there is a key called {name!r} already; revoke it or choose another name")
        await store.add(kept.digest, kept.particulars)

    _with_keys(create)
    typer.echo(key)


@keys.command("list")
def list_keys() -> None:
    """List the API keys: name, scopes, when created. The keys themselves are not kept."""

    async def show(store: RedisApiKeys) -> None:
        for known in read_api_keys(await store.api_keys()).values():
            typer.echo(f"{known.name}\t{','.join(sorted(known.scopes))}\t{known.created_at}")

    _with_keys(show)


@keys.command("revoke")
def revoke_key(name: Annotated[str, typer.Argument(help="As `keys list` shows it.")]) -> None:
    """Revoke an API key; every process refuses it within 30 seconds."""

    async def revoke(store: RedisApiKeys) -> None:
        for known in read_api_keys(await store.api_keys()).values():
            if known.name == name:
                await store.revoke(known.digest)
                typer.echo(f"Revoked {name}; it stops working within 30 seconds.", err=True)
                return
        _refuse(f"there is no key called {name!r}")

    _with_keys(revoke)


@owed.command("list")
def list_owed() -> None:
    """List the confirmations that Twilio has not accepted yet: SID, verification, tries, since, due."""

    async def show(store: RedisConfirmations) -> None:
        async for debt in store.owed():
            since = instant(debt.since_ms)
            typer.echo(f"{_name(debt)}\ttries {debt.tries}\tsince {since}\tdue {instant(debt.due_ms)}")

    _with_confirmations(show)


@owed.command("dead")
def list_dead() -> None:
    """List the confirmations that were given up in the last 14 days, with the reason."""

    async def show(store: RedisConfirmations) -> None:
        async for dead in store.dead():
            typer.echo(f"{_name(dead.debt)}\t{instant(dead.died_at_ms)}\t{dead.reason}")

    _with_confirmations(show)


@owed.command("replay")
def replay_dead(
    sid: Annotated[list[str] | None, typer.Argument(help="Message SIDs, as `owed dead` shows them.")] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="All dead confirmations.")] = False,
) -> None:
    """Owe dead confirmations again."""
    if bool(sid) == everything:
        _refuse("name the SIDs to replay, or --all")

    async def replay(store: RedisConfirmations) -> None:
        chosen = [dead.debt async for dead in store.dead() if everything or dead.debt.sid in (sid or [])]
        replayed = [debt.sid for debt in chosen if await store.replay(debt)]
        typer.echo(f"{len(replayed)} owed again.", err=True)
        missing = set(sid or []) - set(replayed)
        if missing:
            _refuse(f"not among the dead: {', '.join(sorted(missing))}")

    _with_confirmations(replay)


def _settings_to_serve() -> Settings:
    settings = load_settings()
    missing = missing_to_serve(settings)
    if missing:
        _refuse("\n".join([*missing, "To try the service without an account, run: otp-service demo"]))
    return settings


def _end_with_zero_when_stopped() -> None:
    """Keep the exit status of a graceful stop: uvicorn raises the signal again after it, and that would end us."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)


def _with_keys(step: Callable[[RedisApiKeys], Awaitable[None]]) -> None:
    async def run() -> None:
        async with open_redis(load_settings()) as scripts:
            await step(RedisApiKeys(scripts))

    asyncio.run(run())


def _with_confirmations(step: Callable[[RedisConfirmations], Awaitable[None]]) -> None:
    async def run() -> None:
        async with open_redis(load_settings()) as scripts:
            await step(RedisConfirmations(scripts))

    asyncio.run(run())


def _name(debt: Debt) -> str:
    return f"{debt.sid}\t{debt.verification_id}\tsend {debt.send_number}"


def _refuse(sentence: str) -> NoReturn:
    typer.echo(sentence, err=True)
    raise SystemExit(2)
