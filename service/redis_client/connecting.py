"""Opens connections to the nodes of a target: connects with redis-py, waits for a first reply, takes the stream.

A connection that it returns is ready for commands: TLS, AUTH and SELECT are done and the server has replied once.
Every failure is a ConnectionError or a TimeoutError, with the cause that `tls_mismatch` finds.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from service.redis_client import redis_py
from service.redis_client.errors import NoPrimary, is_late, timed_out
from service.redis_client.tls_mismatch import SilentServers, unless_without_tls
from service.redis_client.url import Address, Target


class Connector:
    """Opens connections to the nodes of one target, under one client name (see CLIENT LIST)."""

    def __init__(self, target: Target, *, client_name: str) -> None:
        self.target = target
        self._client_name = client_name
        self._silent_servers = SilentServers()

    async def connect(self, address: Address | None = None, *, primary_only: bool = False) -> asyncio.StreamWriter:
        """Connect to the one server of the target, or to the given node, and return the stream.

        With `primary_only` raise NoPrimary if the node is a replica.
        """
        options: Mapping[str, Any] = self.target.options
        if address is not None:
            options = {**redis_py.tcp_options(options), "host": address[0], "port": address[1]}
        async with self._explaining_failure(options), session(options) as connection:
            await self._wait_for_reply(connection)
            if primary_only:
                await _refuse_replica(connection)
            return redis_py.take_stream(connection)

    async def _wait_for_reply(self, connection: redis_py.AbstractConnection) -> None:
        # The kernel accepts connections for a frozen server, which never replies.
        refusal = await ask(connection, "CLIENT", "SETNAME", self._client_name)
        if isinstance(refusal, ResponseError) and str(refusal).startswith("DENIED"):
            raise RedisConnectionError("Redis refuses connections from other hosts") from refusal

    @asynccontextmanager
    async def _explaining_failure(self, options: Mapping[str, Any]) -> AsyncIterator[None]:
        try:
            yield
        except (RedisConnectionError, RedisTimeoutError) as error:
            raise await self._silent_servers.explain(options, error)  # noqa: B904 - the same error, with its cause
        self._silent_servers.forget(options)


@asynccontextmanager
async def session(options: Mapping[str, Any]) -> AsyncIterator[redis_py.AbstractConnection]:
    """Open a connection for a few commands within one timeout; close it at the end, unless its stream was taken."""
    connection, timeout_seconds = redis_py.new_connection(options), options["socket_timeout"]
    deadline = asyncio.get_running_loop().time() + timeout_seconds
    try:
        async with asyncio.timeout_at(deadline):
            opening = connection.connect()  # type: ignore[no-untyped-call]
            await (unless_without_tls(opening, options) if redis_py.is_tls(options) else opening)
            yield connection
    except (RedisConnectionError, RedisTimeoutError):
        raise
    except TimeoutError:
        was_late = is_late(asyncio.get_running_loop().time() - deadline, timeout_seconds)
        raise timed_out(was_late=was_late) from None
    except Exception as error:
        # Any other error of redis-py, a socket or TLS means the same: there is no connection.
        raise RedisConnectionError(f"cannot connect to Redis: {error}") from error
    finally:
        await connection.disconnect(nowait=True)


async def ask(connection: redis_py.AbstractConnection, *words: str) -> Any:
    """Return the reply to one command, a ResponseError as a value: an ACL may forbid the command."""
    await connection.send_command(*words)
    try:
        return await connection.read_response()
    except ResponseError as refusal:
        return refusal


async def _refuse_replica(connection: redis_py.AbstractConnection) -> None:
    role = await ask(connection, "ROLE")
    if isinstance(role, list) and role[0] != b"master":
        raise NoPrimary("Sentinel names a node that is not the primary")
