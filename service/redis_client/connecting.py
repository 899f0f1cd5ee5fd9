"""From a Redis URL to open connections: what REDIS_URL may say, and how a node is reached.

    redis://  rediss://  unix://                                    one server, redis-py's own forms and options
    redis+sentinel://[user:pass@]h1:26379,h2:26379/service[/db]     the primary that Sentinel names
    redis+cluster://[user:pass@]h1:7000,h2:7001                     a cluster, found from any of its nodes

`rediss+…` is the same over TLS. User and password are those of the data nodes; Sentinel's own go into the options
`sentinel_username` and `sentinel_password`. redis-py's Connection does the connecting, TLS, AUTH and SELECT. What
comes out is ready for commands and has answered once; what goes wrong is ConnectionError or TimeoutError.
"""

import asyncio
import os
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

from redis.asyncio.connection import (
    AbstractConnection,
    Connection,
    SSLConnection,
    UnixDomainSocketConnection,
    parse_url,
)
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from service.redis_client.tls_mismatch import Silences

Address = tuple[str, int]
Options = dict[str, Any]

_CLIENT_NAME = "otp-service"
_SENTINEL_PORT = 26379
_SERVER_PORT = 6379


@dataclass(frozen=True)
class Target:
    """What a URL names: the kind, where to begin, and the options of redis-py's Connection (they hold the password)."""

    kind: Literal["server", "sentinel", "cluster"]
    options: Mapping[str, Any] = field(repr=False)
    sentinel_options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    addresses: tuple[Address, ...] = ()
    service: str = ""
    silences: Silences = field(default_factory=Silences, repr=False, compare=False)


def read_url(url: str, *, timeout_seconds: float) -> Target:
    """Understand a URL without connecting; raise ValueError with a sentence that never shows the password."""
    scheme, mark, rest = url.partition("://")
    if not mark:
        raise ValueError(_NOT_UNDERSTOOD)
    transport, _, kind = scheme.partition("+")
    if kind == "sentinel":
        return _read_sentinel(transport, rest, timeout_seconds)
    if kind == "cluster":
        return _read_cluster(transport, rest, timeout_seconds)
    options = _read_server(url, timeout_seconds)
    _refuse_unknown(options)
    return Target("server", options)


async def dial_server(target: Target, address: Address | None = None) -> asyncio.StreamWriter:
    """Connect to the one server, or to the given node of a cluster, and hand over the stream."""
    options = dict(target.options)
    if address is not None:
        options["host"], options["port"] = address
    async with told_why(target, options), session(options) as connection:
        await greet(connection)
        return take_stream(connection)


@asynccontextmanager
async def told_why(target: Target, options: Mapping[str, Any]) -> AsyncIterator[None]:
    """Look for the reason when a server of the target keeps ending connections without a word."""
    try:
        yield
    except (RedisConnectionError, RedisTimeoutError) as error:
        raise await target.silences.explain(options, error)  # noqa: B904 - the same error, with its cause
    target.silences.forget(options)


@asynccontextmanager
async def session(options: Mapping[str, Any]) -> AsyncIterator[AbstractConnection]:
    """Open a connection for some questions within one time-out; close it, unless its stream was taken."""
    connection = _new_connection(options)
    try:
        async with asyncio.timeout(options["socket_timeout"]):
            await connection.connect()  # type: ignore[no-untyped-call]
            yield connection
    except (RedisConnectionError, RedisTimeoutError):
        raise
    except TimeoutError:
        raise RedisTimeoutError("Redis did not answer in time") from None
    except Exception as error:
        # Whatever else a library, a socket or TLS may raise means one thing here: there is no connection.
        raise RedisConnectionError(f"cannot connect to Redis: {error}") from error
    finally:
        await connection.disconnect(nowait=True)


async def greet(connection: AbstractConnection) -> None:
    """Wait for a first answer: a frozen server still accepts connections, in the kernel, and never answers."""
    refusal = await ask(connection, "CLIENT", "SETNAME", _CLIENT_NAME)
    if isinstance(refusal, ResponseError) and str(refusal).startswith("DENIED"):
        raise RedisConnectionError("Redis refuses connections from elsewhere") from refusal


async def ask(connection: AbstractConnection, *words: str) -> Any:
    """Return the reply to one question, or the refusal as a value: an ACL may forbid what we only like to know."""
    await connection.send_command(*words)
    try:
        return await connection.read_response()
    except ResponseError as refusal:
        return refusal


def take_stream(connection: AbstractConnection) -> asyncio.StreamWriter:
    """Take the stream out of a Connection, which then closes nothing of ours; raise ConnectionError if it has ended."""
    # redis-py has no public way to hand the stream over.
    reader, writer = connection._reader, connection._writer  # noqa: SLF001
    if reader is None or writer is None or reader.at_eof() or writer.transport.is_closing():
        raise RedisConnectionError("Redis closed the connection during the greeting")
    connection._reader = connection._writer = None  # noqa: SLF001
    return writer


def _read_sentinel(transport: str, rest: str, timeout_seconds: float) -> Target:
    user, hosts, path, query = _split(rest)
    service, _, database = path.partition("/")
    if not service:
        raise ValueError("the Redis URL names no Sentinel service: redis+sentinel://host:26379/service")
    if re.fullmatch(r"[A-Za-z0-9._-]+", service) is None:  # sentinel.conf: "the valid charset is …"
        raise ValueError("the Redis URL names a service that no Sentinel can have: letters, digits, dots, - and _")
    urls = [f"{transport}://{user}{host}/{database}{query}" for host in hosts]
    options, addresses = _read_many(urls, _SENTINEL_PORT, timeout_seconds)
    own = {name.removeprefix("sentinel_"): options.pop(name) for name in list(options) if name.startswith("sentinel_")}
    # Time-outs and TLS serve both kinds of node; who we are and which database does not.
    shared = {name: value for name, value in options.items() if name not in {"username", "password", "db"}}
    sentinel_options = {**shared, **own}
    _refuse_unknown(options)
    _refuse_unknown(sentinel_options)
    return Target("sentinel", options, sentinel_options, addresses, service)


def _read_cluster(transport: str, rest: str, timeout_seconds: float) -> Target:
    user, hosts, path, query = _split(rest)
    urls = [f"{transport}://{user}{host}/{path}{query}" for host in hosts]
    options, addresses = _read_many(urls, _SERVER_PORT, timeout_seconds)
    if options.get("db"):
        raise ValueError("the Redis URL chooses a database, but a Redis Cluster has only database 0")
    _refuse_unknown(options)
    return Target("cluster", options, addresses=addresses)


def _split(rest: str) -> tuple[str, list[str], str, str]:
    location, mark, query = rest.partition("?")
    user, at, place = location.rpartition("@")
    hosts, _, path = place.partition("/")
    if not all(hosts.split(",")):
        raise ValueError("the Redis URL has an empty place in its list of hosts")
    return user + at, hosts.split(","), path, mark + query


def _read_many(urls: list[str], port: int, timeout_seconds: float) -> tuple[Options, tuple[Address, ...]]:
    each = [_read_server(url, timeout_seconds) for url in urls]
    addresses = tuple((str(options.pop("host", "localhost")), int(options.pop("port", port))) for options in each)
    return each[0], addresses


def _read_server(url: str, timeout_seconds: float) -> Options:
    try:
        options: Options = dict(parse_url(url))
    except ValueError:
        # The library's sentence can quote a piece of the password when that holds a slash or a hash.
        raise ValueError(_NOT_UNDERSTOOD) from None
    parts = urlsplit(url)
    if options.get("connection_class") is UnixDomainSocketConnection:
        # `unix://run/redis.sock` would be a host, which nobody asks, and /redis.sock.
        is_understood = bool(options.get("path")) and not parts.hostname
    else:
        host_is_one = re.fullmatch(r"[^\s,]*", str(options.get("host", ""))) is not None
        is_understood = host_is_one and parts.port != 0 and re.fullmatch("/?[0-9]*", parts.path) is not None
    if not is_understood or "#" in url or not url.isprintable():  # urlsplit drops line breaks without a word
        raise ValueError(_NOT_UNDERSTOOD)
    return options | {
        "protocol": 2,
        "socket_timeout": timeout_seconds,
        "socket_connect_timeout": timeout_seconds,
        "retry": Retry(NoBackoff(), 0),
        "retry_on_timeout": False,
        "health_check_interval": 0,
        "decode_responses": False,
        "driver_info": None,
    }


_NOT_UNDERSTOOD = (
    "the Redis URL is not understood: it begins with redis://, rediss://, unix://, redis+sentinel:// or "
    "redis+cluster://, port and database are whole numbers, unix:// has three slashes before its path, "
    "and special characters of the password are written as %xx"
)


def _refuse_unknown(options: Mapping[str, Any]) -> None:
    for name in ("ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile"):
        if name in options and not os.access(options[name], os.R_OK):
            raise ValueError(f"the Redis URL names a file in {name} that is not there or cannot be read")
    try:
        connection = _new_connection(options)
        if isinstance(connection, SSLConnection):
            connection.ssl_context.get()  # reads the certificates, over which every connection would stumble
    except OSError:
        raise ValueError("the Redis URL names a TLS file that holds no certificate or key that fits") from None
    except (TypeError, ValueError, RedisError):
        raise ValueError("the Redis URL has an option that redis-py's Connection does not know or accept") from None


def _new_connection(options: Mapping[str, Any]) -> AbstractConnection:
    arguments = dict(options)
    kind: type[AbstractConnection] = arguments.pop("connection_class", Connection)
    return kind(**arguments)
