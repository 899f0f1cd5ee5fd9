"""Reads all of Redis like an attacker who has stolen it: every command as MONITOR shows it, every key and value."""

import asyncio
from contextlib import asynccontextmanager

from redis.connection import parse_url


class Commands:
    """The commands that Redis has run so far, as MONITOR prints them."""

    def __init__(self):
        self.text = b""

    def count(self, *words):
        """Count the commands whose line holds all words."""
        return sum(all(word in line for word in words) for line in self.text.splitlines())


@asynccontextmanager
async def monitored(url):
    """Record all commands that one Redis runs during the block; the record is complete when the block ends."""
    reader, writer = await asyncio.open_unix_connection(parse_url(url)["path"])
    commands = Commands()

    async def record():
        while data := await reader.read(1 << 16):
            commands.text += data

    writer.write(b"MONITOR\r\n")
    assert await reader.readline() == b"+OK\r\n"
    recording = asyncio.create_task(record())
    try:
        yield commands
        writer.write(b"QUIT\r\n")
        await asyncio.wait_for(recording, 5)
    finally:
        recording.cancel()
        writer.close()
        await writer.wait_closed()


def dump(redis):
    """Return every key with all its data."""
    readers = {
        b"hash": lambda key: b" ".join(b" ".join(pair) for pair in redis.hgetall(key).items()),
        b"list": lambda key: b" ".join(redis.lrange(key, 0, -1)),
        b"set": lambda key: b" ".join(redis.smembers(key)),
        b"zset": lambda key: b" ".join(redis.zrange(key, 0, -1)),
        b"string": redis.get,
    }
    return b"\n".join(key + b" " + readers[redis.type(key)](key) for key in redis.scan_iter())
