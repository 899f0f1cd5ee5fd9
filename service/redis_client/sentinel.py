"""Which node Sentinel calls the primary: asked before each connection, and watched while one is in use.

Watching matters: after a planned failover the old primary goes on taking writes for ten seconds and more, until
Sentinel makes it a replica, and all that it takes is lost. The calls themselves and the connection are the lane's.

Source: https://redis.io/docs/latest/develop/reference/sentinel-clients/
"""

import asyncio
from collections.abc import Callable

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from service.redis_client.connecting import Address, Target, ask, greet, session, take_stream, told_why
from service.redis_client.errors import NoPrimary

_LOOK_EVERY_SECONDS = 1.0


class Sentinels:
    """Ask the Sentinels of a target, in the order of the URL."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._primary: Address | None = None  # where the last dial went

    async def dial(self) -> asyncio.StreamWriter:
        """Connect to the primary and hand over the stream; raise ConnectionError or TimeoutError."""
        host, port = address = await self._find()
        options = {**self._target.options, "host": host, "port": port}
        async with told_why(self._target, options), session(options) as connection:
            await greet(connection)
            # Sentinel may name the old primary for a moment longer: its guide for clients asks to check the role.
            role = await ask(connection, "ROLE")
            if isinstance(role, list) and role[0] != b"master":
                raise NoPrimary("Sentinel names a node that is not the primary")
            self._primary = address
            return take_stream(connection)

    async def watch(self, on_change: Callable[[], None]) -> None:
        """Look every second, until cancelled, and tell once for each dial that the primary is another now."""
        while True:
            await asyncio.sleep(_LOOK_EVERY_SECONDS)
            if self._primary is None:
                continue
            try:
                address = await self._find()
            except RedisError:
                continue  # without Sentinel the primary we have is the best we know
            if address != self._primary:
                self._primary = None
                on_change()

    async def _find(self) -> Address:
        # Each Sentinel gets a share of the time, so that a frozen one leaves some for the others.
        addresses = self._target.addresses
        share_seconds = self._target.options["socket_timeout"] / len(addresses)
        times = {"socket_timeout": share_seconds, "socket_connect_timeout": share_seconds}
        failure: RedisError | None = None
        for host, port in addresses:
            options = {**self._target.sentinel_options, **times, "host": host, "port": port}
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
