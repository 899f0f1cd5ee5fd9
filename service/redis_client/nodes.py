"""The nodes of a target by their addresses: each is opened at its first use, and drained when it holds no slots."""

import asyncio
from collections.abc import Callable, Collection, Iterator
from typing import Generic, Protocol, TypeVar

from redis.exceptions import ConnectionError as RedisConnectionError

from service.redis_client.url import Address


class _Opened(Protocol):
    async def drain(self) -> None:
        """Wait until every command has ended, then close."""

    async def close(self) -> None:
        """Fail all commands and close the sockets; idempotent."""


_Address = TypeVar("_Address", bound=Address | None)  # None: of the only node
_Node = TypeVar("_Node", bound=_Opened)


class Nodes(Generic[_Address, _Node]):
    """Opens and closes nodes."""

    def __init__(self, open_node: Callable[[_Address], _Node]) -> None:
        self._open_node = open_node
        self._nodes: dict[_Address, _Node] = {}
        self._draining: dict[asyncio.Task[None], _Node] = {}
        self._closed = False

    def __iter__(self) -> Iterator[_Node]:
        return iter(self._nodes.values())

    def addresses(self) -> Collection[_Address]:
        """Return the addresses of the nodes in use."""
        return self._nodes.keys()

    def get(self, address: _Address) -> _Node | None:
        """Return the node at an address if it is open."""
        return self._nodes.get(address)

    def at(self, address: _Address) -> _Node:
        """Return the node at an address; open it if needed."""
        if self._closed:
            raise RedisConnectionError("the Redis client is closed")
        if address not in self._nodes:
            self._nodes[address] = self._open_node(address)
        return self._nodes[address]

    def drain_all_but(self, kept: Collection[Address | None]) -> None:
        """Drain the nodes at other addresses."""
        for address in [address for address in self._nodes if address not in kept]:
            # Not closed at once: a node that is receiving its first slots holds none yet, but may have commands.
            node = self._nodes.pop(address)
            task = asyncio.get_running_loop().create_task(node.drain())
            self._draining[task] = node
            task.add_done_callback(self._draining.pop)

    async def close(self) -> None:
        """Close every node; idempotent."""
        self._closed = True
        for node in [*self._nodes.values(), *self._draining.values()]:
            await node.close()
        if self._draining:
            await asyncio.wait(self._draining)
