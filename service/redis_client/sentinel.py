"""Finds the primary through Sentinel: before each connection, and once a second from the first connection on.

The check each second is necessary: after a planned failover the old primary accepts writes for ten seconds or more,
until Sentinel makes it a replica, and those writes are lost. The commands and the connection are the node's part.

All Sentinels are asked, because one that was cut off, or started again, may go on naming a node that is dead, or that
still accepts writes. Of different answers that with the highest `config-epoch` counts, as it does between Sentinels.

Source: https://redis.io/docs/latest/develop/reference/sentinel-clients/
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from service.redis_client.connecting import Connector, ask, session
from service.redis_client.errors import NoPrimary
from service.redis_client.url import Address

_CHECK_EVERY_SECONDS = 1.0
_PART_OF_TIMEOUT = 0.5  # so that a frozen Sentinel leaves time for the connection to the primary


class _Answer(NamedTuple):
    epoch: int
    address: Address


class Sentinels:
    """Asks the Sentinels of a target."""

    def __init__(self, connector: Connector) -> None:
        self._connector = connector
        self._target = connector.target
        self._followed: Address | None = None  # the node that was named last, from the first connection on

    async def connect(self) -> asyncio.StreamWriter:
        """Connect to the primary and return the stream; raise ConnectionError or TimeoutError."""
        named = await self._named()
        for address in named[:-1]:
            with suppress(RedisError):
                return await self._connect_to(address, named)
        return await self._connect_to(named[-1], named)

    async def watch(self, on_change: Callable[[], None]) -> None:
        """Ask each second, until cancelled; call `on_change` when another node has become the primary."""
        while True:
            await asyncio.sleep(_CHECK_EVERY_SECONDS)
            if self._followed is None:
                continue
            try:
                named = await self._named()
            except RedisError:
                continue  # without Sentinel the connected primary is the best known one
            if named[0] != self._followed:
                self._followed = named[0]
                on_change()

    async def _connect_to(self, address: Address, named: list[Address]) -> asyncio.StreamWriter:
        # Sentinel may still name the old primary for a moment; its guide for clients asks to check the role.
        writer = await self._connector.connect(address, primary_only=True)
        if self._followed is None:  # else `watch` compares: other connections may still follow the node before
            self._followed = named[0]
        return writer

    async def _named(self) -> list[Address]:
        """Return the nodes that the newest configuration names, the most named first; there is hardly ever a second."""
        answers = await asyncio.gather(*(self._ask(*address) for address in self._target.addresses))
        found = [answer for answer in answers if isinstance(answer, _Answer)]
        if not found:
            failure = None if None in answers else next(each for each in answers if isinstance(each, RedisError))
            raise NoPrimary(
                f"no Sentinel names a primary for {self._target.service!r}: {failure or 'unknown service'}"
            ) from failure
        newest = max(answer.epoch for answer in found)
        named = [answer.address for answer in found if answer.epoch == newest]
        return sorted(dict.fromkeys(named), key=lambda each: (-named.count(each), each != self._followed))

    async def _ask(self, host: str, port: int) -> _Answer | RedisError | None:
        """Return the answer of a Sentinel, None if it does not know the service, or why there is none."""
        share_seconds = self._target.timeout_seconds * _PART_OF_TIMEOUT
        timeouts = {"socket_timeout": share_seconds, "socket_connect_timeout": share_seconds}
        try:
            async with session({**self._target.sentinel_options, **timeouts, "host": host, "port": port}) as connection:
                # In this order: an epoch that is newer than its address would name the old primary.
                state = await ask(connection, "SENTINEL", "MASTER", self._target.service)
                address = await ask(connection, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._target.service)
                # Read within the session: what has another form is a ConnectionError, of this Sentinel alone.
                is_named = address is not None and not isinstance(address, RedisError)
                return _Answer(_epoch_of(state), _address_of(address)) if is_named else address
        except (RedisConnectionError, RedisTimeoutError) as error:
            return error


def _epoch_of(state: Any) -> int:
    # A list of names and values, or an error where an ACL forbids the command: then all answers count alike.
    fields = dict(zip(state[::2], state[1::2], strict=False)) if isinstance(state, list) else {}
    return int(fields.get(b"config-epoch", 0))


def _address_of(reply: Any) -> Address:
    host, port = reply
    return host.decode(), int(port)
