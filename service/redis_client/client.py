"""The client: sends scripts and commands to one node, or to the node of a cluster that holds the key.

It sends the text of a script that a node does not know (NOSCRIPT); `redirections` follows the other replies that ask
for a command again. The promises for callers are those of the package.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from redis.exceptions import AskError, ClusterCrossSlotError, NoScriptError, RedisError, TryAgainError

from service.redis_client.cluster import Cluster
from service.redis_client.connecting import Connector
from service.redis_client.errors import is_late, timed_out
from service.redis_client.node import Node
from service.redis_client.redirections import follow_redirections
from service.redis_client.resp import Argument, pack
from service.redis_client.script import PreparedScript, Script
from service.redis_client.sentinel import Sentinels
from service.redis_client.url import Address, read_url
from service.redis_client.wait_rounds import WaitPolicy, Written
from service.redis_client.waiting import Waits

_ASKING = pack((b"ASKING",))


class RedisClient:
    """Sends scripts and commands to one node (a server, or the primary of a Sentinel service) or to a cluster."""

    def __init__(
        self,
        nodes: Node | Cluster,
        *,
        timeout_seconds: float,
        sentinel_watch: asyncio.Task[None] | None = None,
        waits: Waits | None = None,
    ) -> None:
        self._nodes = nodes
        self._waits = waits
        self.is_waiting = self._waits is not None
        self._sentinel_watch = sentinel_watch
        self._timeout_seconds = timeout_seconds
        self._loop = asyncio.get_running_loop()
        self.is_cluster = isinstance(nodes, Cluster)

    async def run(self, script: Script, keys: Sequence[str], args: Sequence[Argument]) -> Any:
        """Run a script on the node of its first key and return its result (bytes, int, None or lists of them).

        A node that does not know the script gets its text. Raise ConnectionError or TimeoutError if Redis may or may
        not have run it, ResponseError if Redis refused it or the script failed.
        """
        deadline = self._loop.time() + self._timeout_seconds
        key = keys[0] if keys else None
        try:
            return await self._send(script.call(keys, args), key)
        except NoScriptError:
            return await self._evaluate(script.call_with_text(keys, args), key, deadline)

    async def run_prepared(
        self, prepared: PreparedScript, key: str, given: Sequence[bytes], further: Sequence[Argument] = ()
    ) -> Any:
        """Run a prepared script as `run` does, on the node of `key`; `given` and `further` are those of its `call`."""
        deadline = self._loop.time() + self._timeout_seconds
        try:
            return await self._send(prepared.call(given, further), key)
        except NoScriptError:
            return await self._evaluate(prepared.call_with_text(given, further), key, deadline)

    async def run_each(self, script: Script, keyed_args: Sequence[tuple[str, Sequence[Argument]]]) -> list[Any]:
        """Run a script for several keys with their arguments; return a result for each, or its error as a value.

        The script takes any number of keys, followed by the arguments of all, and returns a list. A single server runs
        it once with all keys, so one error is the result of all. A cluster runs it once for each key, concurrently.
        """
        if not self.is_cluster:
            results = await self._run_for(script, keyed_args)
            if not any(isinstance(result, ClusterCrossSlotError) for result in results):
                return results
            self.is_cluster = True  # a cluster behind one address, as some providers offer; nothing has run yet
        return [result for [result] in await asyncio.gather(*(self._run_for(script, [each]) for each in keyed_args))]

    async def _run_for(self, script: Script, keyed_args: Sequence[tuple[str, Sequence[Argument]]]) -> list[Any]:
        keys, args = [key for key, _ in keyed_args], [word for _, words in keyed_args for word in words]
        try:
            results: list[Any] = await self.run(script, keys, args)
        except RedisError as error:
            return [error] * len(keyed_args)
        return results

    async def run_and_wait(self, script: Script, keys: Sequence[str], args: Sequence[Argument]) -> Written:
        """Run a script that writes, and tell whether the replicas have it and all that its node held before.

        It runs on a connection of its own, after which WAIT runs. Raises as `run` does, and ValueError if the client
        was opened without `wait`.
        """
        if self._waits is None:
            raise ValueError("this client waits for no replicas")
        return await self._waits.run(script, keys, args)

    async def command_and_wait(self, *words: Argument, key: str, unless_within: float = 0) -> Written:
        """Run a command as `run_and_wait` does, unless a wait on its node ended well within so many seconds."""
        if self._waits is None:
            raise ValueError("this client waits for no replicas")
        return await self._waits.command(words, key, unless_within)

    async def command(self, *words: Argument, key: str | None = None) -> Any:
        """Run one command on the node of `key` (None: the primary, or any node of a cluster) and return the reply."""
        return await self._send(pack(words), key)

    async def command_on_primaries(self, *words: Argument) -> list[Any]:
        """Run one command on every primary and return all replies; raise the first error."""
        packed = pack(words)
        if isinstance(self._nodes, Node):
            return [await self._nodes.send(packed)]
        async with self._until(self._loop.time() + self._timeout_seconds):
            return list(await asyncio.gather(*(node.send(packed) for node in await self._nodes.primaries())))

    async def ping(self) -> None:
        """Return when Redis replies; raise ConnectionError or TimeoutError if it does not."""
        await self.command(b"PING")

    async def close(self) -> None:
        """Fail all pending commands with ConnectionError and close all sockets; idempotent."""
        if self._sentinel_watch is not None:
            self._sentinel_watch.cancel()
            await asyncio.wait([self._sentinel_watch])
        if self._waits is not None:
            await self._waits.close()
        await self._nodes.close()

    async def _evaluate(self, call_with_text: bytes, key: str | None, deadline: float) -> Any:
        """Run a script that its node does not know; the node keeps it from then on.

        By EVAL: after SCRIPT LOAD and before EVALSHA another flush could remove the script again.
        """
        async with self._until(deadline):
            return await self._send(call_with_text, key)

    def _send(self, packed: bytes, key: str | None) -> Awaitable[Any]:
        return self._nodes.send(packed) if isinstance(self._nodes, Node) else self._route(self._nodes, packed, key)

    async def _route(self, cluster: Cluster, packed: bytes, key: str | None) -> Any:
        deadline = self._loop.time() + self._timeout_seconds
        owner = cluster.cached_owner_of(key)
        if owner is not None:
            # The fast path needs no timer of its own; a redirected command starts again on the slow path.
            try:
                return await cluster.node_at(owner).send(packed)
            except (AskError, TryAgainError):
                pass
            except RedisError as error:
                cluster.refresh_after(error)
                raise
        async with self._until(deadline):
            return await follow_redirections(cluster, key, partial(_send_to, cluster, packed))

    @asynccontextmanager
    async def _until(self, deadline: float) -> AsyncIterator[None]:
        """Limit several attempts to the timeout of one command."""
        try:
            async with asyncio.timeout_at(deadline):
                yield
        except TimeoutError:
            was_late = is_late(self._loop.time() - deadline, self._timeout_seconds)
            raise timed_out(was_late=was_late) from None


async def open_redis_client(
    url: str, *, client_name: str, timeout_seconds: float = 1.0, wait: WaitPolicy | None = None
) -> RedisClient:
    """Return a client for a Redis URL; raise ValueError for a URL that can never work.

    The first command connects, so that a service can start while Redis is down. CLIENT LIST shows `client_name`. With
    `wait`, `run_and_wait` has a second connection to each node.
    """
    target = read_url(url, timeout_seconds=timeout_seconds)
    connector = Connector(target, client_name=client_name)
    open_waits = partial(Waits, wait, timeout_seconds=timeout_seconds) if wait else lambda *_, **__: None
    if target.kind == "cluster":
        cluster = Cluster(target.addresses, connector.connect, timeout_seconds=timeout_seconds)
        waits = open_waits(connector.connect, cluster=cluster)
        return RedisClient(cluster, timeout_seconds=timeout_seconds, waits=waits)
    if target.kind == "server":
        node = Node(connector.connect, timeout_seconds=timeout_seconds)
        waits = open_waits(connector.connect, cluster=None)
        return RedisClient(node, timeout_seconds=timeout_seconds, waits=waits)
    sentinels = Sentinels(connector)
    node = Node(sentinels.connect, timeout_seconds=timeout_seconds)
    waits = open_waits(lambda _: sentinels.connect(), cluster=None)

    def follow() -> None:
        node.renew_connection()
        if waits is not None:
            waits.renew_connections()

    watch = asyncio.get_running_loop().create_task(sentinels.watch(follow))
    return RedisClient(node, timeout_seconds=timeout_seconds, sentinel_watch=watch, waits=waits)


async def open_node_client(
    url: str, address: Address, *, client_name: str, timeout_seconds: float = 1.0
) -> RedisClient:
    """Return a client for one node, such as a replica, with the credentials and the TLS options of a Redis URL."""
    connector = Connector(read_url(url, timeout_seconds=timeout_seconds), client_name=client_name)
    node = Node(partial(connector.connect, address), timeout_seconds=timeout_seconds)
    return RedisClient(node, timeout_seconds=timeout_seconds)


def _send_to(cluster: Cluster, packed: bytes, address: Address, is_asking: bool) -> asyncio.Future[Any]:  # noqa: FBT001
    node = cluster.node_at(address)
    if is_asking:  # ASKING applies to the very next command, and both are queued without an await between them
        asking = node.send(_ASKING)
        asking.add_done_callback(lambda future: future.cancelled() or future.exception())
    return node.send(packed)
