"""A Redis Cluster: which node holds a slot, and one Node for each.

The slot map comes from any node that answers `CLUSTER SLOTS`: on the first command, and again when a MOVED reply, an
unreachable node or CLUSTERDOWN shows that it has changed. There is one request for it at a time, however many commands
wait. `redirections` decides what a reply means for its command.

Source: https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot
from redis.exceptions import ClusterDownError, RedisError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from service.redis_client.errors import SlotsNotServed
from service.redis_client.node import Node
from service.redis_client.nodes import Nodes
from service.redis_client.resp import pack
from service.redis_client.url import Address

_CLUSTER_SLOTS = pack((b"CLUSTER", b"SLOTS"))
_SHORTEST_PAUSE_SECONDS = 0.2


class Cluster:
    """Finds the node of a key and keeps one Node for each."""

    def __init__(
        self,
        seeds: tuple[Address, ...],
        connect: Callable[[Address], Awaitable[asyncio.StreamWriter]],
        *,
        timeout_seconds: float,
    ) -> None:
        self._seeds = seeds
        self._loop = asyncio.get_running_loop()
        self._nodes: Nodes[Address, Node] = Nodes(
            lambda address: Node(partial(connect, address), timeout_seconds=timeout_seconds)
        )
        self.on_slot_map: Callable[[set[Address | None]], None] = lambda _: None  # gets the nodes that hold slots
        self._owners: list[Address | None] = []  # by slot; empty until the first slot map
        self._refreshing: asyncio.Task[RedisError | None] | None = None
        self._refreshed_at = float("-inf")
        self._closed = False

    def cached_owner_of(self, key: str | None) -> Address | None:
        """Return the node of the key's slot (None: any node with slots) from the last slot map, if there is one."""
        if key is None:
            return next(filter(None, self._owners), None)
        return self._owners[key_slot(key.encode())] if self._owners else None

    async def owner_of(self, key: str | None) -> Address:
        """Return the node of the key's slot, after fetching the slot map if there is none.

        Raise ConnectionError if no node sends a slot map or no node holds the slot.
        """
        if not self._owners:
            await self._fetch_slots()
        owner = self.cached_owner_of(key)
        if owner is None:
            self.refresh_after()
            raise SlotsNotServed("no node of the cluster holds this slot")
        return owner

    async def primaries(self) -> list[Node]:
        """Return each node that holds slots."""
        if not self._owners:
            await self._fetch_slots()
        return [self.node_at(owner) for owner in dict.fromkeys(self._owners) if owner is not None]

    def node_at(self, address: Address) -> Node:
        """Return the Node for an address; create it if needed."""
        return self._nodes.at(address)

    def moved(self, slot: int, address: Address) -> None:
        """Apply a MOVED reply at once, and fetch the whole slot map: slots rarely move alone."""
        if slot < len(self._owners):
            self._owners[slot] = address
        self.refresh_after()

    def refresh_after(self, error: RedisError | None = None) -> None:
        """Fetch the slot map in the background if the error (None: always) may mean that it has changed."""
        if error is None or isinstance(error, RedisConnectionError | RedisTimeoutError | ClusterDownError):
            has_paused = self._loop.time() - self._refreshed_at > _SHORTEST_PAUSE_SECONDS
            if has_paused and self._refreshing is None and not self._closed:
                self._start_refresh()

    async def close(self) -> None:
        """Close every node; idempotent."""
        self._closed = True
        await self._nodes.close()
        if self._refreshing is not None:
            # Not cancelled: its nodes are closed, so it ends with an error for all that wait for it.
            await asyncio.wait([self._refreshing])

    async def _fetch_slots(self) -> None:
        # Shielded: a cancelled caller must not cancel the refresh for the others.
        failure = await asyncio.shield(self._refreshing or self._start_refresh())
        if failure is not None:
            raise RedisConnectionError(f"no node of the cluster sends its slot map: {failure}") from failure

    def _start_refresh(self) -> asyncio.Task[RedisError | None]:
        if self._closed:
            raise RedisConnectionError("the Redis client is closed")
        self._refreshed_at = self._loop.time()
        self._refreshing = self._loop.create_task(self._refresh())
        return self._refreshing

    async def _refresh(self) -> RedisError | None:
        """Apply the first slot map that any known node sends; return the last failure if none does."""
        candidates = dict.fromkeys([*self._nodes.addresses(), *self._seeds])
        requests = [asyncio.create_task(self._slots_from(address)) for address in candidates]
        failure: RedisError | None = None
        try:
            for request in asyncio.as_completed(requests):
                owners = await request
                if not isinstance(owners, RedisError):
                    self._apply(owners)
                    return None
                failure = owners
        finally:
            for task in requests:
                task.cancel()
            self._refreshing = None
        return failure

    async def _slots_from(self, address: Address) -> list[Address | None] | RedisError:
        try:
            ranges = await self.node_at(address).send(_CLUSTER_SLOTS)
            return _owners(ranges, asked_host=address[0])
        except RedisError as error:
            return error

    def _apply(self, owners: list[Address | None]) -> None:
        self._owners = owners
        kept = set(owners)
        self._nodes.drain_all_but(kept)
        self.on_slot_map(kept)


def _owners(ranges: Any, *, asked_host: str) -> list[Address | None]:
    """Return the owner of each slot from CLUSTER SLOTS, a list of [first, last, [host, port, …], …].

    Raise ConnectionError if no slot has an owner.
    """
    owners: list[Address | None] = [None] * REDIS_CLUSTER_HASH_SLOTS
    try:
        for first, last, (host, port, *_), *_ in ranges:
            # No host, or "?", means the node that replied (cluster-preferred-endpoint-type unknown-endpoint).
            name = asked_host if host in {None, b"", b"?"} else host.decode()
            owners[first : last + 1] = [(name, port)] * (last + 1 - first)
    except (TypeError, ValueError, AttributeError) as error:
        raise RedisConnectionError("the slot map has an unknown format") from error
    if not any(owners):
        raise SlotsNotServed("the node knows no slots")
    return owners
