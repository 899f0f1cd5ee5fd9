"""Compares the clocks of all Redis nodes, replicas included, with the clock of this machine.

Scripts use the clock of the node that they run on. After a failover that is the clock of a former replica, so replicas
are compared too. Each result says how exact it is; the caller decides what a difference means.
"""

import asyncio
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from redis.exceptions import RedisError

from service.core.store_health import StoreFault
from service.redis_client import Address, open_node_client
from service.store.faults import fault_of
from service.store.scripts import CLIENT_NAME

_REPLICA = re.compile(r"ip=(?P<host>[^,]+),port=(?P<port>\d+)")


@dataclass(frozen=True, slots=True)
class Clock:
    """How far a node's clock is ahead of this machine's (negative: behind), give or take `within_seconds`."""

    node: str
    lead_seconds: float
    within_seconds: float


def primary_clocks(infos: Sequence[Mapping[str, str]], *, asked_at: float) -> list[Clock]:
    """Return the clocks of the primaries from their INFO, requested at `asked_at` and received just now."""
    return [_clock(_primary(info), int(info["server_time_usec"]) / 1e6, asked_at) for info in infos]


async def replica_clocks(url: str, infos: Sequence[Mapping[str, str]]) -> tuple[list[Clock], dict[str, StoreFault]]:
    """Return the clocks of the replicas in the primaries' INFO, and why those of others are unknown, by their names."""
    named = [
        _REPLICA.search(value) for info in infos for name, value in info.items() if re.fullmatch(r"slave\d+", name)
    ]
    replicas = [(match["host"], int(match["port"])) for match in named if match]
    found = await asyncio.gather(*(_replica_clock(url, replica) for replica in replicas))
    unread = {_replica(at): clock for at, clock in zip(replicas, found, strict=True) if isinstance(clock, StoreFault)}
    return [clock for clock in found if isinstance(clock, Clock)], unread


async def _replica_clock(url: str, replica: Address) -> Clock | StoreFault:
    client = await open_node_client(url, replica, client_name=CLIENT_NAME)
    try:
        await client.command("TIME")  # connects, so that the time of connecting does not count
        asked_at = time.time()
        seconds, microseconds = map(int, await client.command("TIME"))
        return _clock(_replica(replica), seconds + microseconds / 1e6, asked_at)
    except RedisError as error:
        return fault_of(error)
    finally:
        await client.close()


def _primary(info: Mapping[str, str]) -> str:
    port = info.get("tcp_port", "0")
    return "the primary" if port == "0" else f"the primary with port {port}"  # 0: a Unix domain socket


def _replica(address: Address) -> str:
    return f"the replica {address[0]}:{address[1]}"


def _clock(node: str, seconds: float, asked_at: float) -> Clock:
    answered_at = time.time()
    return Clock(node, seconds - (asked_at + answered_at) / 2, (answered_at - asked_at) / 2)
