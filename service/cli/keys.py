"""`otp-service keys`: create, change, list and revoke API keys. Redis holds their digests only."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Annotated, Any, TypeVar

import typer

from service.app import open_redis
from service.cli.audit import audited, unwritten
from service.cli.console import refuse, show_alone
from service.cli.listing import AsJson, Cells, show_list
from service.config.looks import check_look, read_look
from service.config.settings import load_settings
from service.core.api_keys import API_KEY_PREFIX, ApiKey, Look, Scope, new_api_key, read_api_keys
from service.store.ledgers import RedisApiKeys

_SCOPES = (
    "What the key may do: verifications (send and check codes), operate (read /metrics) or "
    "reports (read reports, and sign in to the dashboard). Repeat it for several."
)
Result = TypeVar("Result")
commands = typer.Typer(no_args_is_help=True, help="Create, change, list and revoke API keys.")

Brand = Annotated[str | None, typer.Option(metavar="TEXT", help="Who its messages are from; default: OTP_BRAND.")]
Sender = Annotated[
    str | None,
    typer.Option(
        metavar="SENDER",
        help="Number, short code, name or Messaging Service (MG…) of its SMS; default: that of the settings.",
    ),
]
Language = Annotated[
    str | None, typer.Option("--locale", metavar="TAG", help="Its default language; default: OTP_LOCALE.")
]
Texts = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="A file like that of OTP_TEXTS; its texts come before those of OTP_TEXTS."),
]


@commands.command("create")
def create_key(
    name: Annotated[str, typer.Argument(help="Who will use the key. The log shows this name instead of the key.")],
    scope: Annotated[list[Scope], typer.Option(metavar="SCOPE", help=_SCOPES)] = [Scope.VERIFICATIONS],  # noqa: B006
    *,
    owner: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The key that it replaces: both act on the same verifications."),
    ] = None,
    new_owner: Annotated[bool, typer.Option("--new-owner", help="Take an --owner that no key has.")] = False,
    brand: Brand = None,
    sender: Sender = None,
    locale: Language = None,
    texts: Texts = None,
) -> None:
    """Create an API key and print it to standard output. It is shown only once.

    Brand, sender, language and texts that are not given are those of the key that it replaces, else of the settings.

    Example: otp-service keys create my-backend
    """
    for given in (name, owner or name):
        _refuse_a_key(given)
        if not given.isprintable() or not 1 <= len(given) <= 64:  # noqa: PLR2004 - the sentence says it
            refuse("a name has 1 to 64 printable characters")
    look = _look(brand, sender, locale, texts)
    key, kept = new_api_key(name, scope, owner=owner, look=look)

    async def create(store: RedisApiKeys) -> str:
        known = {each.name: each for each in read_api_keys(await store.api_keys()).values()}
        if name in known:
            refuse(f"a key named {name!r} exists already; revoke it or choose another name")
        made = _in_place_of(owner, kept, known, may_be_new=new_owner)
        await store.add(made.digest, made.particulars)
        return ""

    async def take_back(store: RedisApiKeys) -> str:
        await store.revoke(kept.digest)
        return ""

    _with_keys("keys create", create, name=name)
    why = _show(key)
    if why is not None:
        _with_keys("keys revoke", take_back, name=name)
        refuse(f"the key could not be shown, so it was revoked: {why}")


def _in_place_of(owner: str | None, key: ApiKey, known: Mapping[str, ApiKey], *, may_be_new: bool) -> ApiKey:
    """Give a new key the owner and the look of the key that it replaces.

    That is the one of this name, or else, as it may be revoked, the newest of this owner.
    """
    of_owner = [each for each in known.values() if each.owner == owner]
    replaced = known.get(owner or "") or max(of_owner, key=lambda each: each.created_at, default=None)
    if replaced is not None:
        return replace(key, owner=replaced.owner, look=_merged(replaced.look, key.look))
    if owner not in {None, key.name} and not may_be_new:
        refuse(
            f"no key has the owner {owner!r}; see otp-service keys list. If all its keys are revoked, or it is "
            "new, add --new-owner"
        )
    return key


def _show(key: str) -> str | None:
    """Show a key that has its audit line; return why it was not shown."""
    if unwritten:
        return f"its audit line cannot be written: standard error: {unwritten[0].strerror}"
    try:
        show_alone(key)
    except OSError as failure:
        return f"standard output: {failure.strerror}"
    return None


@commands.command("update")
def update_key(
    name: Annotated[str, typer.Argument(help="The name that `keys list` shows.")],
    *,
    brand: Brand = None,
    sender: Sender = None,
    locale: Language = None,
    texts: Texts = None,
) -> None:
    """Change how the messages of an API key look. An empty value ('') is that of the settings again.

    Every process uses it within 30 seconds, also for verifications that are pending.

    Example: otp-service keys update my-backend --brand "Rooster Pay" --locale de
    """
    _refuse_a_key(name)
    given = [brand, sender, locale, texts]
    if not any(value is not None for value in given):
        refuse("give at least one of --brand, --sender, --locale and --texts")
    cleared = [option for option, value in zip(Look._fields, given, strict=True) if value == ""]
    look = _look(*given)

    async def update(store: RedisApiKeys) -> str:
        stored = await store.api_keys()
        kept = _named(name, stored)
        changed = _merged(kept.look._replace(**dict.fromkeys(cleared)), look)
        if not await store.replace(kept.digest, stored[kept.digest], replace(kept, look=changed).particulars):
            refuse(f"the key {name!r} was changed or revoked at the same time; look at `keys list`")
        return f"Updated {name}; every process uses it within 30 seconds."

    typer.echo(_with_keys("keys update", update, name=name), err=True)


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
        await store.revoke(_named(name, await store.api_keys()).digest)
        return f"Revoked {name}; it stops working within 30 seconds."

    typer.echo(_with_keys("keys revoke", revoke, name=name), err=True)


def _named(name: str, stored: Mapping[str, bytes]) -> ApiKey:
    """Find a key by its name, or refuse."""
    found = next((known for known in read_api_keys(stored).values() if known.name == name), None)
    if found is None:
        refuse(f"no key is named {name!r}")
    return found


def _look(brand: str | None, sender: str | None, locale: str | None, texts: str | None) -> Look:
    """Read the options, or refuse."""
    try:
        return read_look(Look(brand, sender, locale), texts, load_settings())
    except ValueError as refusal:
        refuse(str(refusal))


def _merged(old: Look, new: Look) -> Look:
    """Take what is given from the new look and the rest from the old one, or refuse what does not fit together."""
    merged = old._replace(**new.given)
    try:
        check_look(merged, load_settings())
    except ValueError as refusal:
        refuse(str(refusal))
    return merged


def _refuse_a_key(name: str) -> None:
    """Refuse an API key given as a name, without repeating it: names appear in lists, logs and audit lines."""
    if API_KEY_PREFIX in name:
        refuse(f"a name must not contain {API_KEY_PREFIX}: give the name of the key, not the key")


async def _each(keys: list[ApiKey]) -> AsyncIterator[ApiKey]:
    for key in sorted(keys, key=lambda known: known.name):
        yield key


def _fields(key: ApiKey) -> dict[str, Any]:
    return {
        "name": key.name,
        "scopes": sorted(key.scopes),
        "created_at": key.created_at,
        "owner": key.owner,
        **key.look._asdict(),
    }


def _cells(key: ApiKey) -> Cells:
    scopes = ",".join(sorted(key.scopes))
    cells = {"NAME": key.name, "SCOPES": scopes, "CREATED": key.created_at, "OWNER": key.owner}
    look = key.look._replace(texts="own" if key.look.texts else None)
    return cells | {name.upper(): value or "-" for name, value in look._asdict().items()}


def _with_keys(operation: str, step: Callable[[RedisApiKeys], Awaitable[Result]], *, name: str | None = None) -> Result:
    """Run an operation, write its audit line, and return its result, which is to be printed after that."""
    settings = load_settings()

    async def run() -> Result:
        async with open_redis(settings) as scripts:
            return await step(RedisApiKeys(scripts))

    with audited(operation, api_key=name):
        return asyncio.run(run())
