"""Finds the primary through Sentinel: before each connection, and once a second while a connection is in use.

The check each second is necessary: after a planned failover the old primary accepts writes for ten seconds or more,
until Sentinel makes it a replica, and those writes are lost. The commands and the connection are the node's part.

Source: https://redis.io/docs/latest/develop/reference/sentinel-clients/
"""

import asyncio
from collections.abc import Callable

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from service.redis_client.connecting import Connector, ask, session
from service.redis_client.errors import NoPrimary
from service.redis_client.url import Address

_CHECK_EVERY_SECONDS = 1.0


class Sentinels:
    """Asks the Sentinels of a target, in the order of the URL."""

    def __init__(self, connector: Connector) -> None:
        self._connector = connector
        self._target = connector.target
        self._primary: Address | None = None  # the node of the last connection

    async def connect(self) -> asyncio.StreamWriter:
        """Connect to the primary and return the stream; raise ConnectionError or TimeoutError."""
        address = await self._find_primary()
        # Sentinel may still name the old primary for a moment; its guide for clients asks to check the role.
        writer = await self._connector.connect(address, primary_only=True)
        self._primary = address
        return writer

    async def watch(self, on_change: Callable[[], None]) -> None:
        """Ask each second, until cancelled; call `on_change` when another node has become the primary."""
        while True:
            await asyncio.sleep(_CHECK_EVERY_SECONDS)
            if self._primary is None:
                continue
            try:
                address = await self._find_primary()
            except RedisError:
                continue  # without Sentinel the connected primary is the best known one
            if address != self._primary:
                self._primary = None
                on_change()

    async def _find_primary(self) -> Address:
        # Each Sentinel gets an equal share of the timeout, so that a frozen one leaves time for the others.
        addresses = self._target.addresses
        share_seconds = self._target.timeout_seconds / len(addresses)
        timeouts = {"socket_timeout": share_seconds, "socket_connect_timeout": share_seconds}
        failure: RedisError | None = None
        for host, port in addresses:
            options = {**self._target.sentinel_options, **timeouts, "host": host, "port": port}
            try:
                async with session(options) as connection:
                    answer = await ask(connection, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._target.service)
                    if isinstance(answer, list):
                        return answer[0].decode(), int(answer[1])
            except (RedisConnectionError, RedisTimeoutError) as error:
                failure = error
            else:
                failure = answer
        raise NoPrimary(
            f"no Sentinel names a primary for {self._target.service!r}: {failure or 'unknown service'}"
        ) from failure
