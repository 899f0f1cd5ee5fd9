"""Compares the clocks of Redis's nodes, replicas included, with the clock of this machine.

Scripts use the clock of the node that they run on. After a failover that is a replica's clock, so replicas are
compared too. Each reading says how exact it is. The caller decides what a difference means.
"""

import asyncio
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from redis.exceptions import RedisError

from service.redis_client.connecting import Address, Target, dial_server, read_url
from service.redis_client.node import Lane
from service.redis_client.resp import pack

_TIME = pack((b"TIME",))
_REPLICA = re.compile(r"ip=(?P<host>[^,]+),port=(?P<port>\d+)")
_TIMEOUT_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Clock:
    """How far the clock of a node is ahead of this machine's (negative: behind), and how exactly that is known."""

    node: str
    lead_seconds: float
    within_seconds: float


def primary_clocks(infos: Sequence[Mapping[str, str]], *, asked_at: float) -> list[Clock]:
    """Read the clocks of the primaries in their INFO, which has just come and was asked for at that time."""
    return [_clock(_primary(info), int(info["server_time_usec"]) / 1e6, asked_at) for info in infos]


async def replica_clocks(url: str, infos: Sequence[Mapping[str, str]]) -> tuple[list[Clock], list[str]]:
    """Read the clocks of the replicas that INFO of the primaries names; give the names of silent ones beside."""
    target = read_url(url, timeout_seconds=_TIMEOUT_SECONDS)
    found = [
        _REPLICA.search(value) for info in infos for name, value in info.items() if re.fullmatch(r"slave\d+", name)
    ]
    replicas = [(match["host"], int(match["port"])) for match in found if match]
    clocks = await asyncio.gather(*(_replica_clock(target, replica) for replica in replicas))
    silent = [_replica(replica) for replica, clock in zip(replicas, clocks, strict=True) if clock is None]
    return [clock for clock in clocks if clock is not None], silent


async def _replica_clock(target: Target, replica: Address) -> Clock | None:
    tcp = {name: value for name, value in target.options.items() if name not in {"path", "connection_class"}}
    reached = replace(target, options=tcp if "path" in target.options else target.options)
    lane = Lane(partial(dial_server, reached, replica), timeout_seconds=_TIMEOUT_SECONDS)
    try:
        await lane.call(_TIME)  # connects
        asked_at = time.time()
        seconds, microseconds = map(int, await lane.call(_TIME))
        return _clock(_replica(replica), seconds + microseconds / 1e6, asked_at)
    except RedisError:
        return None
    finally:
        await lane.close()


def _primary(info: Mapping[str, str]) -> str:
    port = info.get("tcp_port", "0")
    return "the primary" if port == "0" else f"the primary with port {port}"  # 0: a socket


def _replica(address: Address) -> str:
    return f"the replica {address[0]}:{address[1]}"


def _clock(node: str, seconds: float, asked_at: float) -> Clock:
    answered_at = time.time()
    return Clock(node, seconds - (asked_at + answered_at) / 2, (answered_at - asked_at) / 2)
