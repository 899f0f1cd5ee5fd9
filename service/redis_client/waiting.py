"""Waits until replicas have a write: finds the node of a key, and runs a script there in a round that ends with WAIT.

`wait_rounds` has the rounds of one node. A call ends within the time of one command, and twice that of WAIT: a round
that runs already, and its own. Redirections, another connection and the text of a script are part of that time.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial

from redis.exceptions import NoScriptError

from service.redis_client.cluster import Cluster
from service.redis_client.errors import is_late, timed_out
from service.redis_client.nodes import Nodes
from service.redis_client.redirections import follow_redirections
from service.redis_client.resp import Argument, pack
from service.redis_client.script import Script
from service.redis_client.url import Address
from service.redis_client.wait_rounds import WaitingNode, WaitPolicy, Written

_REPLICATED = Written(None, is_replicated=True)


class Waits:
    """Finds the node of a script's first key, follows redirections as the client does, and has one connection each."""

    def __init__(
        self,
        policy: WaitPolicy,
        connect: Callable[[Address | None], Awaitable[asyncio.StreamWriter]],
        *,
        cluster: Cluster | None,
        timeout_seconds: float,
    ) -> None:
        self._cluster = cluster
        self._longest_seconds = timeout_seconds + 2 * policy.wait_ms / 1000
        self._loop = asyncio.get_running_loop()
        self._nodes: Nodes[Address | None, WaitingNode] = Nodes(
            lambda address: WaitingNode(partial(connect, address), policy, timeout_seconds=timeout_seconds)
        )
        if cluster is not None:
            cluster.on_slot_map = self._nodes.drain_all_but

    async def run(self, script: Script, keys: Sequence[str], args: Sequence[Argument]) -> Written:
        """Run a script that writes, and wait. Raises as `WaitingNode.run` does."""
        async with self._in_time():
            try:
                return await self._send(script.call(keys, args), keys[0])
            except NoScriptError:
                return await self._send(script.call_with_text(keys, args), keys[0])

    async def command(self, words: Sequence[Argument], key: str, unless_within: float) -> Written:
        """Run a command that writes, and wait; equal commands of a round run once. Raises as `WaitingNode.run` does."""
        address = None if self._cluster is None else self._cluster.cached_owner_of(key)
        node = self._nodes.get(address)
        if node is not None and node.replicated_within(unless_within):
            return _REPLICATED
        async with self._in_time():
            return await self._send(pack(words), key, is_shared=True)

    def renew_connections(self) -> None:
        """Connect again for the next rounds: another node has become the primary."""
        for node in self._nodes:
            node.renew_connection()

    async def close(self) -> None:
        """Close every connection; idempotent."""
        await self._nodes.close()

    @asynccontextmanager
    async def _in_time(self) -> AsyncIterator[None]:
        """End a call in time: it may wait for a round of others that Redis does not answer, and then for its own."""
        deadline = self._loop.time() + self._longest_seconds
        try:
            async with asyncio.timeout_at(deadline):
                yield
        except TimeoutError:
            raise timed_out(was_late=is_late(self._loop.time() - deadline, self._longest_seconds)) from None

    async def _send(self, packed: bytes, key: str, *, is_shared: bool = False) -> Written:
        async def send(address: Address | None, is_asking: bool) -> Written:  # noqa: FBT001
            return await self._nodes.at(address).run(packed, is_asking=is_asking, is_shared=is_shared)

        if self._cluster is None:
            return await send(None, False)
        return await follow_redirections(self._cluster, key, send)
