"""Sessions of the dashboard in Redis: one key each, named by the HMAC of its token, with the digest of its API key."""

import asyncio

from service.core.sessions import Session
from service.store import keys as redis_keys
from service.store.scripts import Scripts


class RedisSessions:
    """The `SessionStore` of the core."""

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts

    async def begin(self, tag: str, key_digest: str, seconds: int) -> None:
        """Write a session."""
        key = redis_keys.session(tag)
        await self._scripts.command("SET", key, key_digest, "EX", seconds, key=key)

    async def find(self, tag: str) -> Session | None:
        """Read a session and its TTL, in one pipelined round trip."""
        key = redis_keys.session(tag)
        digest, ttl = await asyncio.gather(
            self._scripts.command("GET", key, key=key), self._scripts.command("TTL", key, key=key)
        )
        return None if digest is None else Session(digest.decode(), max(0, ttl))

    async def end(self, tag: str) -> None:
        """Delete a session."""
        key = redis_keys.session(tag)
        await self._scripts.command("DEL", key, key=key)
