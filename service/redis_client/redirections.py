"""Follows the replies of a cluster that redirect a command: MOVED, ASK and TRYAGAIN.

Each means that the node has not run the command, so sending it again is safe. Only the time that the caller allows
limits their number. Nodes that do not agree may redirect for ever, so there are pauses, which grow.
"""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import TypeVar

from redis.exceptions import AskError, MovedError, RedisError, TryAgainError

from service.redis_client.cluster import Cluster
from service.redis_client.url import Address

_Result = TypeVar("_Result")

# A slot can move again while the client follows it. More redirections mean that two nodes do not agree yet.
_TRIES_WITHOUT_PAUSE = 4
_PAUSE_SECONDS = 0.02
_UNKNOWN_HOSTS = ("", "?")  # cluster-preferred-endpoint-type unknown-endpoint, or hostname without one


async def follow_redirections(
    cluster: Cluster, key: str | None, send: Callable[[Address, bool], Awaitable[_Result]]
) -> _Result:
    """Send a command to the node of its key, and on to the node that a reply redirects to.

    `send` gets the address, and whether ASKING must precede the command.
    """
    address, is_asking = await cluster.owner_of(key), False
    for tries in itertools.count(1):
        try:
            return await send(address, is_asking)
        except AskError as error:  # or MovedError, which is one
            # Without a host it is the node that replied, at another port.
            address = (address[0] if error.host in _UNKNOWN_HOSTS else error.host, error.port)
            is_asking = not isinstance(error, MovedError)
            if not is_asking:
                cluster.moved(error.slot_id, address)
            await _pause(tries)
        except TryAgainError:  # the slot is moving and its keys are on both nodes
            await _pause(tries)
            address, is_asking = await cluster.owner_of(key), False
        except RedisError as error:
            cluster.refresh_after(error)
            raise
    raise AssertionError


async def _pause(tries: int) -> None:
    if tries > _TRIES_WITHOUT_PAUSE:
        await asyncio.sleep(_PAUSE_SECONDS * (tries - _TRIES_WITHOUT_PAUSE))
