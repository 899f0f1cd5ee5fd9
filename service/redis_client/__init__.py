r"""A Redis client for asyncio: all concurrent callers share one connection per node.

    client = await open_redis_client("redis://localhost", client_name="example")
    count = Script("count", "#!lua\nreturn redis.call('INCR', KEYS[1])")
    assert await client.run(count, keys=["visits"], args=[]) == 1
    assert await client.command("GET", "visits", key="visits") == b"1"
    await client.close()

It connects to one server, to the primary that Sentinel names, or to a cluster (`url` lists the forms of the URL).
Each command ends within its timeout, with its own reply or with an error of redis-py: ConnectionError, TimeoutError or
ResponseError. A command is written once. It is sent again only when the server reports that it has not run it:
NOSCRIPT, MOVED, ASK, TRYAGAIN. A lost connection is replaced, and memory stays bounded while Redis is down.
`run_and_wait` and `command_and_wait` tell whether replicas have a write.

Do not use it for commands that block the connection, turn it into a stream or change its state (BLPOP, SUBSCRIBE,
MULTI, SELECT): all callers share it. Import only from this package, not from its modules.
"""

from service.redis_client.client import RedisClient, open_node_client, open_redis_client
from service.redis_client.errors import (
    EventLoopLate,
    NoPrimary,
    ServerRequiresTls,
    ServerWithoutTls,
    SlotsNotServed,
    TooManyCommands,
)
from service.redis_client.resp import Argument, ProtocolError
from service.redis_client.script import PreparedScript, Script
from service.redis_client.url import Address, read_url, url_without_secrets
from service.redis_client.wait_rounds import WaitPolicy, Written

__all__ = [
    "Address",
    "Argument",
    "EventLoopLate",
    "NoPrimary",
    "PreparedScript",
    "ProtocolError",
    "RedisClient",
    "Script",
    "ServerRequiresTls",
    "ServerWithoutTls",
    "SlotsNotServed",
    "TooManyCommands",
    "WaitPolicy",
    "Written",
    "open_node_client",
    "open_redis_client",
    "read_url",
    "url_without_secrets",
]
