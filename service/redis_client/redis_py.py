"""The only module that uses internals of redis-py.

redis-py establishes each connection: DNS, TLS, AUTH and SELECT. This client then takes the stream from redis-py's
Connection and reads and writes it itself. redis-py has no public way to do that, so this module uses:

- `_reader` and `_writer` of a Connection, its stream;
- `parse_url`, whose result holds the arguments of a Connection and its class as `connection_class`;
- `ssl_context` of an SSLConnection, the TLS context that its arguments describe;
- `BaseParser.parse_error`, which turns an error reply into an exception.

The other modules use only `redis.exceptions` and `redis.crc`. `tests/redis_client/test_redis_py.py` fails when one of
these internals changes, and pyproject.toml admits only the minor version of redis-py that the tests have run with.
"""

import asyncio
import ssl
from collections.abc import Mapping
from typing import Any

from redis._parsers import BaseParser
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
from redis.exceptions import RedisError

__all__ = [
    "AbstractConnection",
    "error_of_reply",
    "is_tls",
    "is_unix_socket",
    "new_connection",
    "options_of_url",
    "take_stream",
    "tcp_options",
    "tls_context",
]


def options_of_url(url: str, *, timeout_seconds: float) -> dict[str, Any]:
    """Return the arguments of a Connection to one server: RESP2, raw bytes, no retries; raise ValueError."""
    return dict(parse_url(url)) | {
        "protocol": 2,
        "socket_timeout": timeout_seconds,
        "socket_connect_timeout": timeout_seconds,
        "retry": Retry(NoBackoff(), 0),
        "retry_on_timeout": False,
        "health_check_interval": 0,
        "decode_responses": False,
        "driver_info": None,
    }


def is_tls(options: Mapping[str, Any]) -> bool:
    """Tell whether a connection with these options uses TLS."""
    return issubclass(options.get("connection_class", Connection), SSLConnection)


def is_unix_socket(options: Mapping[str, Any]) -> bool:
    """Tell whether a connection with these options uses a Unix domain socket."""
    return options.get("connection_class") is UnixDomainSocketConnection


def tcp_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the same options for TCP: those of a Unix domain socket without the socket."""
    kept = dict(options)
    if is_unix_socket(options):
        del kept["path"], kept["connection_class"]
    return kept


def new_connection(options: Mapping[str, Any]) -> AbstractConnection:
    """Return a Connection that is not connected yet; raise TypeError or ValueError for a wrong option."""
    arguments = dict(options)
    kind: type[AbstractConnection] = arguments.pop("connection_class", Connection)
    return kind(**arguments)


def tls_context(options: Mapping[str, Any]) -> ssl.SSLContext:
    """Return the TLS context that these options describe; raise OSError for a file that cannot be used."""
    connection = new_connection(options)
    if not isinstance(connection, SSLConnection):
        raise TypeError("these options do not use TLS")
    context: ssl.SSLContext = connection.ssl_context.get()
    return context


def take_stream(connection: AbstractConnection) -> asyncio.StreamWriter:
    """Take the stream from a Connection, which then no longer closes it; raise ConnectionError if it has ended."""
    reader, writer = connection._reader, connection._writer  # noqa: SLF001 - there is no public way
    if reader is None or writer is None or reader.at_eof() or writer.transport.is_closing():
        raise RedisConnectionError("Redis closed the connection before its first use")
    connection._reader = connection._writer = None  # noqa: SLF001
    return writer


def error_of_reply(line: str) -> RedisError:
    """Return the exception that redis-py has for an error reply."""
    error: RedisError = BaseParser.parse_error(line)  # type: ignore[no-untyped-call]
    return error
