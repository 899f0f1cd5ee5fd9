"""Which node of a Redis Cluster holds a slot: the slot map, one lane per node, and how the map stays true.

The map is asked of any node that answers (`CLUSTER SLOTS`), on the first call and again when the cluster shows that
it has changed: a MOVED reply, a node that cannot be reached, CLUSTERDOWN. One question at a time, however many calls
wait. What a reply means for the call itself is the multiplexer's part, the connections are the lanes'.

Source: https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot
from redis.exceptions import ClusterDownError, RedisError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from service.redis_client.connecting import Address
from service.redis_client.errors import SlotsNotServed
from service.redis_client.node import Lane
from service.redis_client.resp import pack

_CLUSTER_SLOTS = pack((b"CLUSTER", b"SLOTS"))
_SHORTEST_BREAK_SECONDS = 0.2


class Cluster:
    """Find the lane for a key; keep one lane per node."""

    def __init__(
        self,
        seeds: tuple[Address, ...],
        dial: Callable[[Address], Awaitable[asyncio.StreamWriter]],
        *,
        timeout_seconds: float,
    ) -> None:
        self._seeds = seeds
        self._dial = dial
        self._timeout_seconds = timeout_seconds
        self._loop = asyncio.get_running_loop()
        self._lanes: dict[Address, Lane] = {}
        self._owners: list[Address | None] = []  # by slot; empty until the first answer
        self._asking: asyncio.Task[RedisError | None] | None = None
        self._asked_at = float("-inf")
        self._leaving: dict[asyncio.Task[None], Lane] = {}
        self._closed = False

    def known_owner_of(self, key: str | None) -> Address | None:
        """Return the node that holds the key's slot (None: any that holds slots), as far as the map is known."""
        if key is None:
            return next(filter(None, self._owners), None)
        return self._owners[key_slot(key.encode())] if self._owners else None

    async def owner_of(self, key: str | None) -> Address:
        """Return the node that holds the key's slot, asking for the map if need be.

        Raise ConnectionError when no node gives the map or no node holds the slot.
        """
        if not self._owners:
            await self._learn()
        owner = self.known_owner_of(key)
        if owner is None:
            self.doubt()
            raise SlotsNotServed("no node of the cluster holds this slot")
        return owner

    async def primaries(self) -> list[Lane]:
        """Return one lane for each node that holds slots."""
        if not self._owners:
            await self._learn()
        return [self.lane_at(owner) for owner in dict.fromkeys(self._owners) if owner is not None]

    def lane_at(self, address: Address) -> Lane:
        """Return the lane to a node, new if need be."""
        if self._closed:
            raise RedisConnectionError("the multiplexer is closed")
        if address not in self._lanes:
            self._lanes[address] = Lane(lambda: self._dial(address), timeout_seconds=self._timeout_seconds)
        return self._lanes[address]

    def moved(self, slot: int, address: Address) -> None:
        """Believe a MOVED reply at once, and ask for the rest of the map: slots seldom move alone."""
        if self._owners:
            self._owners[slot] = address
        self.doubt()

    def doubt(self, error: RedisError | None = None) -> None:
        """Ask for the map again, in the background, when the error (None: always) may mean that it has changed."""
        if error is None or isinstance(error, RedisConnectionError | RedisTimeoutError | ClusterDownError):
            is_rested = self._loop.time() - self._asked_at > _SHORTEST_BREAK_SECONDS
            if is_rested and self._asking is None and not self._closed:
                self._ask()

    async def close(self) -> None:
        """Close every lane; idempotent."""
        self._closed = True
        for lane in [*self._lanes.values(), *self._leaving.values()]:
            await lane.close()
        if self._asking is not None:
            await asyncio.wait([self._asking])  # not cancelled: its failing lanes end it, as an error to those who wait
        if self._leaving:
            await asyncio.wait(self._leaving)

    async def _learn(self) -> None:
        # Shielded: a caller that gives up must not take the question away from the others.
        failure = await asyncio.shield(self._asking or self._ask())
        if failure is not None:
            raise RedisConnectionError(f"no node of the cluster gives its slot map: {failure}") from failure

    def _ask(self) -> asyncio.Task[RedisError | None]:
        if self._closed:
            raise RedisConnectionError("the multiplexer is closed")
        self._asked_at = self._loop.time()
        self._asking = self._loop.create_task(self._refresh())
        return self._asking

    async def _refresh(self) -> RedisError | None:
        """Take the first map that any known node gives; return the last failure when none does."""
        candidates = dict.fromkeys([*self._lanes, *self._seeds])
        asked = [asyncio.create_task(self._ask_node(address)) for address in candidates]
        failure: RedisError | None = None
        try:
            for answer in asyncio.as_completed(asked):
                owners = await answer
                if not isinstance(owners, RedisError):
                    self._adopt(owners)
                    return None
                failure = owners
        finally:
            for task in asked:
                task.cancel()
            self._asking = None
        return failure

    async def _ask_node(self, address: Address) -> list[Address | None] | RedisError:
        try:
            ranges = await self.lane_at(address).call(_CLUSTER_SLOTS)
            return _owners(ranges, asked_host=address[0])
        except RedisError as error:
            return error

    def _adopt(self, owners: list[Address | None]) -> None:
        self._owners = owners
        kept = set(owners)
        for address in [address for address in self._lanes if address not in kept]:
            # Not closed at once: a node that is just taking over its first slots holds none yet but answers calls.
            lane = self._lanes.pop(address)
            task = self._loop.create_task(lane.drain())
            self._leaving[task] = lane
            task.add_done_callback(self._leaving.pop)


def _owners(ranges: Any, *, asked_host: str) -> list[Address | None]:
    """Spread CLUSTER SLOTS ([first, last, [host, port, …], …] each) over the slots; raise ConnectionError if empty."""
    owners: list[Address | None] = [None] * REDIS_CLUSTER_HASH_SLOTS
    try:
        for first, last, (host, port, *_), *_ in ranges:
            # No host, or "?", means: the one you have asked (cluster-preferred-endpoint-type unknown-endpoint).
            name = asked_host if host in {None, b"", b"?"} else host.decode()
            owners[first : last + 1] = [(name, port)] * (last + 1 - first)
    except (TypeError, ValueError, AttributeError) as error:
        raise RedisConnectionError("the slot map is not understood") from error
    if not any(owners):
        raise SlotsNotServed("the node knows no slots")
    return owners
