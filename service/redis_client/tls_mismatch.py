"""Finds out why Redis closed a connection or stayed silent: only one side uses TLS, or a client certificate is missing.

The server gives no reason on the connection that it drops, so this module opens another one. It sends no credential
and no command but PING.
"""

import asyncio
import ssl
from collections.abc import Mapping
from typing import Any

from redis.asyncio.connection import Connection, SSLConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from service.redis_client.errors import PlainRedis, TlsRedis

_KNOWN_FOR_SECONDS = 5.0
_SHARE = 0.3  # of a time-out: the next attempt to connect waits for this, and two round trips are all it takes
_SILENCES = {
    RedisConnectionError, RedisTimeoutError, ConnectionResetError, BrokenPipeError, TimeoutError,
    asyncio.IncompleteReadError, asyncio.CancelledError,
}  # fmt: skip


class Silences:
    """Servers that close connections without a response; examined the second time in a row."""

    def __init__(self) -> None:
        # By address: when it was looked for, and what was found.
        self._known: dict[tuple[str, int], tuple[float, Exception | None]] = {}

    def forget(self, options: Mapping[str, Any]) -> None:
        """Note that a server has spoken."""
        if self._known and "host" in options:
            self._known.pop(_address(options), None)

    async def explain(self, options: Mapping[str, Any], error: RedisError) -> RedisError:
        """Return the error of an attempt to connect, with what is known of the server as its cause."""
        if "host" not in options or not _says_nothing(error):
            return error
        address, now = _address(options), asyncio.get_running_loop().time()
        looked_at, found = self._known.get(address, (None, None))
        if looked_at is None:
            self._known[address] = (-_KNOWN_FOR_SECONDS, None)  # a restart is as silent, and gets a second chance
        elif now - looked_at >= _KNOWN_FOR_SECONDS:
            found = await _look(options, error)
            self._known[address] = (now, found)
        if found is not None:
            error.__cause__ = found
        return error


async def _look(options: Mapping[str, Any], error: RedisError) -> Exception | None:
    is_tls = issubclass(options.get("connection_class", Connection), SSLConnection)
    if not is_tls and isinstance(error, RedisTimeoutError):
        return None  # a server with TLS does not wait when it is spoken to without: it closes
    try:
        async with asyncio.timeout(_SHARE * options["socket_timeout"]):
            return await (_look_over_tls if is_tls else _look_plainly)(options)
    except ssl.SSLError as refusal:
        return refusal
    except OSError:  # TimeoutError among them
        return None


def _says_nothing(error: BaseException | None) -> bool:
    """Tell whether the server said nothing: the error is no response, TLS failure or network refusal."""
    while error is not None:
        if type(error) not in _SILENCES:
            return False
        error = error.__cause__ or error.__context__
    return True


async def _look_over_tls(options: Mapping[str, Any]) -> Exception | None:
    """Test a server that should use TLS: without TLS, then over TLS without sending anything."""
    reader, writer = await asyncio.open_connection(*_address(options))
    try:
        writer.write(b"PING\r\n")
        if (await reader.read(64)).startswith((b"+", b"-")):
            return PlainRedis("the server answers without TLS")
    except ConnectionError:
        pass  # as a server with TLS does
    finally:
        writer.close()
    arguments = {name: value for name, value in options.items() if name != "connection_class"}
    context = SSLConnection(**arguments).ssl_context.get()
    reader, writer = await asyncio.open_connection(*_address(options), ssl=context)
    try:
        await reader.read(1)  # what TLS 1.3 thinks of a client's certificate comes after the handshake
    finally:
        writer.close()
    return None


async def _look_plainly(options: Mapping[str, Any]) -> Exception | None:
    """Test whether a server that should not use TLS does."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # Nothing is sent, so it does not matter whose certificate it is.
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        _, writer = await asyncio.open_connection(*_address(options), ssl=context)
    except ssl.SSLError as refusal:
        is_alert = "ALERT" in str(refusal.reason)
        return TlsRedis("the server speaks TLS") if is_alert else None
    writer.close()
    return TlsRedis("the server speaks TLS")


def _address(options: Mapping[str, Any]) -> tuple[str, int]:
    return str(options["host"]), int(options.get("port", 6379))
