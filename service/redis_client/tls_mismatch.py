"""Finds out why a server closes connections or stays silent: TLS on one side only, or no client certificate.

The server gives no reason on the connection that it closes, so this module opens another one. It sends no credentials
and no command except PING.
"""

import asyncio
import ssl
from collections.abc import Coroutine, Mapping
from typing import Any

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from service.redis_client import redis_py
from service.redis_client.errors import ServerRequiresTls, ServerWithoutTls

_VALID_FOR_SECONDS = 5.0
_SHARE = 0.3  # of a timeout: the next attempt to connect waits for it, and two round trips are enough
_SILENT_SHARE = 0.3  # of a timeout, after which a server that should use TLS is silent
_SILENT_ERRORS = {
    RedisConnectionError, RedisTimeoutError, ConnectionResetError, BrokenPipeError, TimeoutError,
    asyncio.IncompleteReadError, asyncio.CancelledError,
}  # fmt: skip


class SilentServers:
    """Servers that close connections without a reply; each is examined at its second failure in a row."""

    def __init__(self) -> None:
        # By address: when the server was examined, and the result.
        self._examined: dict[tuple[str, int], tuple[float, Exception | None]] = {}

    def forget(self, options: Mapping[str, Any]) -> None:
        """Note that a server has replied."""
        if self._examined and "host" in options:
            self._examined.pop(_address(options), None)

    async def explain(self, options: Mapping[str, Any], error: RedisError) -> RedisError:
        """Return the error of a failed connection; its `__cause__` is what is known about the server."""
        if "host" not in options or not _is_silent(error):
            return error
        address, now = _address(options), asyncio.get_running_loop().time()
        examined_at, found = self._examined.get(address, (None, None))
        if examined_at is None:
            # A server that restarts closes connections too, so the first failure proves nothing.
            self._examined[address] = (-_VALID_FOR_SECONDS, None)
        elif now - examined_at >= _VALID_FOR_SECONDS:
            found = await _examine(options, error)
            self._examined[address] = (now, found)
        if found is not None:
            error.__cause__ = found
        return error


async def unless_without_tls(opening: Coroutine[Any, Any, None], options: Mapping[str, Any]) -> None:
    """Wait until a connection over TLS is open. Raises `ServerWithoutTls` if the server is silent, but not without TLS.

    The command that needs the connection has the same timeout, so an examination after it would come too late.
    """
    task = asyncio.ensure_future(opening)
    try:
        await asyncio.wait({task}, timeout=_SILENT_SHARE * options["socket_timeout"])
        if not task.done() and await _replies_without_tls(options):
            raise ServerWithoutTls("the server replies without TLS")
        await task
    finally:
        task.cancel()
        await asyncio.wait({task})
        if not task.cancelled():
            task.exception()  # it is raised above, or another one is


async def _replies_without_tls(options: Mapping[str, Any]) -> bool:
    try:
        async with asyncio.timeout(_SHARE * options["socket_timeout"]):
            return await _is_plain(options)
    except OSError:  # includes TimeoutError
        return False


async def _examine(options: Mapping[str, Any], error: RedisError) -> Exception | None:
    is_tls = redis_py.is_tls(options)
    if not is_tls and isinstance(error, RedisTimeoutError):
        return None  # a TLS server closes a plain connection, it does not stay silent
    try:
        async with asyncio.timeout(_SHARE * options["socket_timeout"]):
            return await (_examine_over_tls if is_tls else _examine_plainly)(options)
    except ssl.SSLError as refusal:
        return refusal
    except OSError:  # includes TimeoutError
        return None


def _is_silent(error: BaseException | None) -> bool:
    """Tell whether the server sent nothing: the error is no reply, no TLS failure and no refusal by the network."""
    while error is not None:
        if type(error) not in _SILENT_ERRORS:
            return False
        error = error.__cause__ or error.__context__
    return True


async def _examine_over_tls(options: Mapping[str, Any]) -> Exception | None:
    """Test a server that should use TLS: without TLS, then over TLS without sending anything."""
    if await _is_plain(options):
        return ServerWithoutTls("the server replies without TLS")
    reader, writer = await asyncio.open_connection(*_address(options), ssl=redis_py.tls_context(options))
    try:
        await reader.read(1)  # a TLS 1.3 server rejects a client certificate only after the handshake
    finally:
        writer.close()
    return None


async def _is_plain(options: Mapping[str, Any]) -> bool:
    reader, writer = await asyncio.open_connection(*_address(options))
    try:
        writer.write(b"PING\r\n")
        return (await reader.read(64)).startswith((b"+", b"-"))
    except ConnectionError:
        return False  # expected of a TLS server
    finally:
        writer.close()


async def _examine_plainly(options: Mapping[str, Any]) -> Exception | None:
    """Test whether a server that should not use TLS does."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # Nothing is sent, so the certificate does not need to be verified.
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        _, writer = await asyncio.open_connection(*_address(options), ssl=context)
    except ssl.SSLError as refusal:
        is_alert = "ALERT" in str(refusal.reason)
        return ServerRequiresTls("the server requires TLS") if is_alert else None
    writer.close()
    return ServerRequiresTls("the server requires TLS")


def _address(options: Mapping[str, Any]) -> tuple[str, int]:
    return str(options["host"]), int(options.get("port", 6379))
