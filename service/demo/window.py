"""The window: streams the contents of Redis and of the simulator, so that a visitor can watch the loop.

`GET /demo/window` streams server-sent events: `record`, the hash of a verification, whenever a script has changed it
(from Redis keyspace notifications); `pending`, the pending confirmations of its partition; `message`, a message in the
simulator. Binary values in Redis, such as digests and encrypted numbers, are shown in hex. Never show records in
production; the demo may, because its keys are temporary.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self

from pydantic_core import to_json
from redis.asyncio import Redis
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from service.core.verification import is_id, partition_of
from service.sandbox import Ledger, end_at_shutdown, message_row
from service.store import keys as redis_keys
from service.store.fields import FIELDS

_CODE = FIELDS.key("code").encode()
_CHANNEL = b"__keyspace@0__:"
_EVENTS = "Khz"  # keyspace channel; changes of hashes and of sorted sets


class Window:
    """Reads from one Redis, with connections of its own, and subscribes to one simulator."""

    def __init__(self, redis_url: str, ledger: Ledger) -> None:
        self._redis: Any = Redis.from_url(redis_url, protocol=2)  # its types do not say whether replies are text
        self._ledger = ledger

    async def __aenter__(self) -> Self:
        """Enable keyspace notifications."""
        await self._redis.config_set("notify-keyspace-events", _EVENTS)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, _: object, __: TracebackType | None) -> None:
        """Close the connections."""
        await self._redis.aclose()

    def routes(self) -> list[BaseRoute]:
        """Return the only route."""
        return [Route("/demo/window", self.stream, methods=["GET"])]

    async def record(self, verification_id: str) -> dict[str, str]:
        """Read the record of a verification as text; empty if there is none."""
        fields = await self._redis.hgetall(redis_keys.verification(verification_id))
        return {_text(name): _text(value) for name, value in sorted(fields.items())}

    async def stream(self, request: Request) -> Response:
        """Stream every change until the client leaves; begin with the verification in `?verification=`."""
        end_at_shutdown(request.scope)
        first = request.query_params.get("verification", "")
        return StreamingResponse(self._events(first if is_id(first) else None), media_type="text/event-stream")

    async def _events(self, first: str | None) -> AsyncIterator[bytes]:
        async with self._changes() as changes:
            yield b": open\n\n"
            if first is not None:
                yield await self._record_event(first)
                yield await self._pending_event(partition_of(first))
            while True:
                change = await changes.get()
                if change is None:
                    return
                yield change if isinstance(change, bytes) else await self._event_of(*change)

    async def _event_of(self, kind: str, name: str) -> bytes:
        return await (self._record_event(name) if kind == "v" else self._pending_event(name))

    async def _record_event(self, verification_id: str) -> bytes:
        key = redis_keys.verification(verification_id)
        ttl_seconds = await self._redis.ttl(key)
        fields = await self.record(verification_id)
        return _event("record", {"id": verification_id, "key": key, "ttl_seconds": ttl_seconds, "fields": fields})

    async def _pending_event(self, partition: str) -> bytes:
        sids = await self._redis.zrange(redis_keys.outbox(partition), 0, -1)
        return _event("pending", {"partition": partition, "sids": [sid.decode() for sid in sids]})

    @asynccontextmanager
    async def _changes(self) -> AsyncIterator["asyncio.Queue[Any]"]:
        """Collect all changes in one queue: complete events, or `kind, name` of a key to read; None at the end."""
        changes: asyncio.Queue[Any] = asyncio.Queue()
        async with self._redis.pubsub() as pubsub:
            await pubsub.psubscribe("__keyspace@0__:otp:*:v:*", "__keyspace@0__:otp:*:outbox")
            tasks = [asyncio.create_task(_listen_to_redis(pubsub, changes)), asyncio.create_task(self._listen(changes))]
            for task in tasks:  # if one ends or fails, end the stream: the page opens a new one
                task.add_done_callback(lambda _: changes.put_nowait(None))
            try:
                yield changes
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _listen(self, changes: "asyncio.Queue[Any]") -> None:
        with self._ledger.subscribe() as told:
            while (change := await told.get()) is not None:
                await changes.put(_event("message", message_row(change[1])))


async def _listen_to_redis(pubsub: Any, changes: "asyncio.Queue[Any]") -> None:
    async for message in pubsub.listen():
        if message["type"] == "pmessage":
            _, partition, kind, *name = message["channel"].removeprefix(_CHANNEL).decode().split(":")
            await changes.put((kind, name[0] if name else partition.strip("{}")))


def _event(name: str, content: dict[str, Any]) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (name.encode(), to_json(content))


def _text(value: bytes) -> str:
    """Format a name or value as text: the digest in `c:<digest>` in hex, and encrypted values in hex."""
    if value.startswith(_CODE):
        return _CODE.decode() + value.removeprefix(_CODE).hex()
    return value.decode() if value.isascii() and value.decode().isprintable() else value.hex()
