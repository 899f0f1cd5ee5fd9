"""The window: streams the contents of Redis and of the simulator, so that a visitor can watch the loop.

`GET /demo/window` streams server-sent events `verification`: what `view` shows of a verification, whenever a script has
changed its record (from Redis keyspace notifications) or the simulator has news of one of its messages. `at_ms` is when
that happened; None for the verification as it was when the stream began. Never show records in production; the demo
may, because its keys are temporary.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self

from pydantic_core import to_json
from redis.asyncio import Redis
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from service.core.verification import is_id
from service.demo.view import verification_of, view
from service.sandbox import Ledger, end_at_shutdown
from service.store import keys as redis_keys

_EVENTS = "Kh"  # keyspace channel; changes of hashes


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

    async def record(self, verification_id: str) -> dict[bytes, bytes]:
        """Read the record of a verification as it is stored; empty if there is none."""
        record: dict[bytes, bytes] = await self._redis.hgetall(redis_keys.verification(verification_id))
        return record

    async def stream(self, request: Request) -> Response:
        """Stream every change until the client leaves; begin with the verification in `?verification=`."""
        end_at_shutdown(request.scope)
        first = request.query_params.get("verification", "")
        return StreamingResponse(self._events(first if is_id(first) else None), media_type="text/event-stream")

    async def _events(self, first: str | None) -> AsyncIterator[bytes]:
        async with self.changes() as changes:
            yield b": open\n\n"
            if first is not None:
                yield await self._event(first, None)
            while (change := await changes.get()) is not None:
                yield await self._event(*change)

    async def _event(self, verification_id: str, at_ms: int | None) -> bytes:
        key = redis_keys.verification(verification_id)
        shown = view(verification_id, await self.record(verification_id), self._ledger)
        ttl_seconds = await self._redis.ttl(key)
        return b"event: verification\ndata: %s\n\n" % to_json(
            {**shown, "at_ms": at_ms, "key": key, "ttl_seconds": ttl_seconds}
        )

    @asynccontextmanager
    async def changes(self) -> AsyncIterator["asyncio.Queue[tuple[str, int] | None]"]:
        """Collect all changes in one queue: which verification has changed, and when; None at the end."""
        changes: asyncio.Queue[tuple[str, int] | None] = asyncio.Queue()
        async with self._redis.pubsub() as pubsub:
            await pubsub.psubscribe("__keyspace@0__:otp:*:v:*")
            tasks = [
                asyncio.create_task(_listen_to_redis(pubsub, changes)),
                asyncio.create_task(self._listen_to_simulator(changes)),
            ]
            for task in tasks:  # if one ends or fails, end the stream: the page opens a new one
                task.add_done_callback(lambda _: changes.put_nowait(None))
            try:
                yield changes
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _listen_to_simulator(self, changes: "asyncio.Queue[tuple[str, int] | None]") -> None:
        with self._ledger.subscribe() as told:
            while (change := await told.get()) is not None:
                verification_id = verification_of(change[1], self._ledger)
                if verification_id is not None:
                    await changes.put((verification_id, _now_ms()))


async def _listen_to_redis(pubsub: Any, changes: "asyncio.Queue[tuple[str, int] | None]") -> None:
    async for message in pubsub.listen():
        if message["type"] == "pmessage":
            await changes.put((message["channel"].decode().rpartition(":")[2], _now_ms()))


def _now_ms() -> int:
    return round(time.time() * 1000)
