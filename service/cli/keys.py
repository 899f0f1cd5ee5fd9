"""`otp-service keys`: create, list and revoke API keys. Redis holds their digests only."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated

import typer

from service.app import open_redis
from service.cli.audit import audited, unwritten
from service.cli.console import refuse, show_alone
from service.config.settings import load_settings
from service.core.api_keys import API_KEY_PREFIX, Scope, new_api_key, read_api_keys
from service.store.ledgers import RedisApiKeys

_SCOPES = (
    "What the key may do: `verifications` (the default), or `operate` to read /metrics. Nothing uses `reports` yet. "
    "Repeat for several scopes."
)
commands = typer.Typer(no_args_is_help=True, help="Create, list and revoke API keys.")


@commands.command("create")
def create_key(
    name: Annotated[str, typer.Argument(help="Who will use the key. The log shows this name instead of the key.")],
    scope: Annotated[list[Scope] | None, typer.Option(help=_SCOPES)] = None,
    owner: Annotated[
        str | None, typer.Option(help="Name of the key that it replaces: both act on the same verifications.")
    ] = None,
) -> None:
    """Create an API key and print it to standard output. It is shown only once."""
    for given in (name, owner or name):
        _refuse_a_key(given)
        if not given.isprintable() or not 1 <= len(given) <= 64:  # noqa: PLR2004 - the sentence says it
            refuse("a name has 1 to 64 printable characters")
    key, kept = new_api_key(name, scope or [Scope.VERIFICATIONS], owner=owner)

    async def create(store: RedisApiKeys) -> str:
        if any(known.name == name for known in read_api_keys(await store.api_keys()).values()):
            refuse(f"a key named {name!r} exists already; revoke it or choose another name")
        await store.add(kept.digest, kept.particulars)
        return ""

    async def take_back(store: RedisApiKeys) -> str:
        await store.revoke(kept.digest)
        return ""

    _with_keys("keys create", create, name=name)
    why = _show(key)
    if why is not None:
        _with_keys("keys revoke", take_back, name=name)
        refuse(f"the key could not be shown, so it was revoked: {why}")


def _show(key: str) -> str | None:
    """Show a key that has its audit line; return why it was not shown."""
    if unwritten:
        return f"its audit line cannot be written: standard error: {unwritten[0].strerror}"
    try:
        show_alone(key)
    except OSError as failure:
        return f"standard output: {failure.strerror}"
    return None


@commands.command("list")
def list_keys() -> None:
    """List the API keys: name, scopes, creation time, owner. The keys themselves are not stored."""

    async def show(store: RedisApiKeys) -> str:
        return "".join(
            f"{known.name}\t{','.join(sorted(known.scopes))}\t{known.created_at}\t{known.owner}\n"
            for known in read_api_keys(await store.api_keys()).values()
        )

    typer.echo(_with_keys("keys list", show), nl=False)


@commands.command("revoke")
def revoke_key(name: Annotated[str, typer.Argument(help="The name that `keys list` shows.")]) -> None:
    """Revoke an API key. Every process refuses it within 30 seconds."""
    _refuse_a_key(name)

    async def revoke(store: RedisApiKeys) -> str:
        kept = read_api_keys(await store.api_keys()).values()
        revoked = next((known for known in kept if known.name == name), None)
        if revoked is None:
            refuse(f"no key is named {name!r}")
        await store.revoke(revoked.digest)
        return f"Revoked {name}; it stops working within 30 seconds."

    typer.echo(_with_keys("keys revoke", revoke, name=name), err=True)


def _refuse_a_key(name: str) -> None:
    """Refuse an API key given as a name, without repeating it: names appear in lists, logs and audit lines."""
    if API_KEY_PREFIX in name:
        refuse(f"a name must not contain {API_KEY_PREFIX}: give the name of the key, not the key")


def _with_keys(operation: str, step: Callable[[RedisApiKeys], Awaitable[str]], *, name: str | None = None) -> str:
    """Run an operation, write its audit line, and return the text to print."""
    settings = load_settings()

    async def run() -> str:
        async with open_redis(settings) as scripts:
            return await step(RedisApiKeys(scripts))

    with audited(operation, api_key=name):
        return asyncio.run(run())
