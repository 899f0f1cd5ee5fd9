"""`otp-service keys`: create, list and revoke API keys. Redis holds their digests only."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Annotated, Any, TypeVar

import typer

from service.app import open_redis
from service.cli.audit import audited, unwritten
from service.cli.console import refuse, show_alone
from service.cli.listing import AsJson, Cells, show_list
from service.config.settings import load_settings
from service.core.api_keys import API_KEY_PREFIX, ApiKey, Scope, new_api_key, read_api_keys
from service.store.ledgers import RedisApiKeys

_SCOPES = (
    "What the key may do: verifications (send and check codes), operate (read /metrics) or reports (nothing yet). "
    "Repeat it for several."
)
Result = TypeVar("Result")
commands = typer.Typer(no_args_is_help=True, help="Create, list and revoke API keys.")


@commands.command("create")
def create_key(
    name: Annotated[str, typer.Argument(help="Who will use the key. The log shows this name instead of the key.")],
    scope: Annotated[list[Scope], typer.Option(metavar="SCOPE", help=_SCOPES)] = [Scope.VERIFICATIONS],  # noqa: B006
    owner: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The key that it replaces: both act on the same verifications."),
    ] = None,
) -> None:
    """Create an API key and print it to standard output. It is shown only once.

    Example: otp-service keys create my-backend
    """
    for given in (name, owner or name):
        _refuse_a_key(given)
        if not given.isprintable() or not 1 <= len(given) <= 64:  # noqa: PLR2004 - the sentence says it
            refuse("a name has 1 to 64 printable characters")
    key, kept = new_api_key(name, scope, owner=owner)

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
def list_keys(*, as_json: AsJson = False) -> None:
    """List the API keys by name. The keys themselves are not stored."""

    async def read(store: RedisApiKeys) -> list[ApiKey]:
        return list(read_api_keys(await store.api_keys()).values())

    found = _with_keys("keys list", read)
    asyncio.run(show_list(_each(found), as_json=as_json, fields=_fields, cells=_cells, empty="No API keys."))


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


async def _each(keys: list[ApiKey]) -> AsyncIterator[ApiKey]:
    for key in sorted(keys, key=lambda known: known.name):
        yield key


def _fields(key: ApiKey) -> dict[str, Any]:
    return {"name": key.name, "scopes": sorted(key.scopes), "created_at": key.created_at, "owner": key.owner}


def _cells(key: ApiKey) -> Cells:
    scopes = ",".join(sorted(key.scopes))
    return {"NAME": key.name, "SCOPES": scopes, "CREATED": key.created_at, "OWNER": key.owner}


def _with_keys(operation: str, step: Callable[[RedisApiKeys], Awaitable[Result]], *, name: str | None = None) -> Result:
    """Run an operation, write its audit line, and return its result, which is to be printed after that."""
    settings = load_settings()

    async def run() -> Result:
        async with open_redis(settings) as scripts:
            return await step(RedisApiKeys(scripts))

    with audited(operation, api_key=name):
        return asyncio.run(run())
