"""All talk with Redis: scripts and commands of thousands of concurrent calls over one connection per node.

    redis = await open_multiplexer("redis://localhost")
    verdict = await redis.run(script, keys=["otp:{3}:v:…"], args=[digest])
    await redis.close()

Promises: every call ends within its time, with its own reply or an error of redis-py's ConnectionError, TimeoutError
or ResponseError family; what was written is written once. It is sent again only when the server says that it has not
run it: NOSCRIPT, MOVED, ASK, TRYAGAIN. It decides nothing and knows no key names. Not for commands that block the
connection, turn it into a stream or change its state (BLPOP, SUBSCRIBE, MULTI, SELECT …): every caller shares it.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

from redis.exceptions import AskError, ClusterCrossSlotError, MovedError, NoScriptError, RedisError, TryAgainError
from redis.exceptions import TimeoutError as RedisTimeoutError

from service.redis_client.cluster import Cluster
from service.redis_client.connecting import dial_server, read_url
from service.redis_client.node import Lane
from service.redis_client.resp import Word, pack
from service.redis_client.sentinel import Sentinels

_ASKING = pack((b"ASKING",))
_REDIRECTIONS_AT_ONCE = 4  # a slot that moves on while we follow it; more are two nodes that do not agree yet
_TRY_AGAIN_SECONDS = 0.02


@dataclass(frozen=True)
class Script:
    """A Lua script that begins with `#!lua` (without it a one-node cluster hides cross-slot faults)."""

    name: str
    text: str

    def __post_init__(self) -> None:
        if not self.text.startswith("#!lua"):
            raise ValueError(f"the script {self.name} does not begin with #!lua")

    @cached_property
    def sha(self) -> str:
        """The SHA-1 of the text in hex, by which Redis knows a script."""
        return hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()


class Multiplexer:
    """The one way to Redis: one lane (server or Sentinel), or a cluster of them."""

    def __init__(
        self, nodes: Lane | Cluster, *, timeout_seconds: float, watch: asyncio.Task[None] | None = None
    ) -> None:
        self._nodes = nodes
        self._watch = watch  # of Sentinel, where there is one; ends with the multiplexer
        self._timeout_seconds = timeout_seconds
        self._loop = asyncio.get_running_loop()
        self._keys_lie_apart = isinstance(nodes, Cluster)

    async def run(self, script: Script, keys: Sequence[str], args: Sequence[Word]) -> Any:
        """Run a script where its first key lives and return its answer (bytes, int, None or lists of them).

        A node that does not know the script gets its text; the caller never notices. Raise ConnectionError when
        nobody knows whether it ran, TimeoutError likewise, ResponseError when Redis or the script refused.
        """
        deadline = self._loop.time() + self._timeout_seconds
        key = keys[0] if keys else None
        try:
            return await self._send(pack((b"EVALSHA", script.sha, len(keys), *keys, *args)), key)
        except NoScriptError:
            return await self._evaluate(script, keys, args, deadline)

    async def run_each(self, script: Script, calls: Sequence[tuple[str, Sequence[Word]]]) -> list[Any]:
        """Run a script on several keys, each with its arguments; give each its answer, or the error that it met.

        The script takes any number of keys, their arguments one after the other, and answers a list. One server runs it
        once on all of them, an error is all of theirs; in a cluster it runs once on each, side by side.
        """
        if not self._keys_lie_apart:
            answers = await self._run_over(script, calls)
            if not any(isinstance(answer, ClusterCrossSlotError) for answer in answers):
                return answers
            self._keys_lie_apart = True  # a cluster behind one address, as some providers have it; nothing has run
        return [answer for [answer] in await asyncio.gather(*(self._run_over(script, [call]) for call in calls))]

    async def _run_over(self, script: Script, calls: Sequence[tuple[str, Sequence[Word]]]) -> list[Any]:
        keys, args = [key for key, _ in calls], [word for _, words in calls for word in words]
        try:
            answers: list[Any] = await self.run(script, keys, args)
        except RedisError as error:
            return [error] * len(calls)
        return answers

    async def command(self, *words: Word, key: str | None = None) -> Any:
        """Run one command where its key lives (None: on the primary, in a cluster on any) and return the reply."""
        return await self._send(pack(words), key)

    async def everywhere(self, *words: Word) -> list[Any]:
        """Run one command on every primary and return all replies; one failure fails the whole."""
        packed = pack(words)
        if isinstance(self._nodes, Lane):
            return [await self._nodes.call(packed)]
        async with self._until(self._loop.time() + self._timeout_seconds):
            return list(await asyncio.gather(*(lane.call(packed) for lane in await self._nodes.primaries())))

    async def ping(self) -> None:
        """Return when Redis answers; raise ConnectionError or TimeoutError when it does not."""
        await self.command(b"PING")

    async def close(self) -> None:
        """Fail what is pending with ConnectionError and close all sockets; idempotent."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.wait([self._watch])
        await self._nodes.close()

    async def _evaluate(self, script: Script, keys: Sequence[str], args: Sequence[Word], deadline: float) -> Any:
        """Run a script that its node does not know, and let it be kept there.

        By EVAL, not SCRIPT LOAD: of two commands the second can meet a flush again.
        """
        async with self._until(deadline):
            return await self._send(pack((b"EVAL", script.text, len(keys), *keys, *args)), keys[0] if keys else None)

    def _send(self, packed: bytes, key: str | None) -> Awaitable[Any]:
        return self._nodes.call(packed) if isinstance(self._nodes, Lane) else self._route(self._nodes, packed, key)

    async def _route(self, cluster: Cluster, packed: bytes, key: str | None) -> Any:
        deadline = self._loop.time() + self._timeout_seconds
        owner = cluster.known_owner_of(key)
        if owner is not None:
            # The straight way, which costs no timer of its own; whoever is sent elsewhere starts again on the long one.
            try:
                return await cluster.lane_at(owner).call(packed)
            except (AskError, TryAgainError):
                pass
            except RedisError as error:
                cluster.doubt(error)
                raise
        async with self._until(deadline):
            return await _follow(cluster, packed, key)

    @asynccontextmanager
    async def _until(self, deadline: float) -> AsyncIterator[None]:
        """Hold several attempts to the time of one call."""
        try:
            async with asyncio.timeout_at(deadline):
                yield
        except TimeoutError:
            raise RedisTimeoutError("Redis did not answer in time") from None


async def open_multiplexer(url: str, *, timeout_seconds: float = 1.0) -> Multiplexer:
    """Return a multiplexer for a Redis URL (its forms: see `dial`); raise ValueError for a wrong one.

    Nothing is sent yet: the first call connects, so that the service starts, and recovers, without Redis.
    """
    target = read_url(url, timeout_seconds=timeout_seconds)
    if target.kind == "cluster":
        cluster = Cluster(target.addresses, partial(dial_server, target), timeout_seconds=timeout_seconds)
        return Multiplexer(cluster, timeout_seconds=timeout_seconds)
    if target.kind == "server":
        return Multiplexer(
            Lane(partial(dial_server, target), timeout_seconds=timeout_seconds), timeout_seconds=timeout_seconds
        )
    sentinels = Sentinels(target)
    lane = Lane(sentinels.dial, timeout_seconds=timeout_seconds)
    watch = asyncio.get_running_loop().create_task(sentinels.watch(lane.renew))
    return Multiplexer(lane, timeout_seconds=timeout_seconds, watch=watch)


async def _follow(cluster: Cluster, packed: bytes, key: str | None) -> Any:
    """Send a command to the node that holds the key, and on to where the cluster says it went.

    Each of the replies that lead on means that the node has not run the command: sending it again is safe. How often
    is bounded by the time of the call alone.
    """
    address, is_asking = await cluster.owner_of(key), False
    redirections = 0
    while True:
        if redirections > _REDIRECTIONS_AT_ONCE:
            await asyncio.sleep(_TRY_AGAIN_SECONDS)
        lane = cluster.lane_at(address)
        try:
            return await (_ask(lane, packed) if is_asking else lane.call(packed))
        except (MovedError, AskError) as error:
            # No host means: the node that has answered (cluster-preferred-endpoint-type unknown-endpoint).
            redirections += 1
            address = (error.host or address[0], error.port)
            is_asking = not isinstance(error, MovedError)
            if not is_asking:
                cluster.moved(error.slot_id, address)
        except TryAgainError:
            # The slot is on the move and its keys lie on both nodes.
            redirections = 0
            await asyncio.sleep(_TRY_AGAIN_SECONDS)
            address, is_asking = await cluster.owner_of(key), False
        except RedisError as error:
            cluster.doubt(error)
            raise


def _ask(lane: Lane, packed: bytes) -> asyncio.Future[Any]:
    # ASKING holds for the very next command: both are queued in one turn of the loop and leave in one write.
    asking = lane.call(_ASKING)
    asking.add_done_callback(lambda future: future.cancelled() or future.exception())
    return lane.call(packed)
