"""Health check: one small script that writes in every partition, and finds the commands that Redis or its user lacks.

On one server the script runs once for all partitions; in a cluster it runs once for each, in parallel. All of them end
within the time-out of the store, however many nodes are down.
"""

import asyncio
import re

from service.core.partitions import PARTITIONS
from service.core.store_health import StoreFault, StoreHealth, StoreUnavailable
from service.store import keys as redis_keys
from service.store.faults import lacking
from service.store.replication import NOT_REPLICATED, replicas_follow
from service.store.scripts import Scripts, load_scripts

_CALL = re.compile(r"redis\.p?call\('([A-Z]+)'")
_PLAIN = {"get", "lrange", "set", "scan"}  # sent without a script, beside those that scripts run too


def commands_of(*names: str) -> set[str]:
    """List the commands that scripts run."""
    scripts = load_scripts()
    return {command.lower() for name in names for command in _CALL.findall(scripts[name].text)}


class RedisHealth:
    """Tests each partition with a write."""

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts
        waiting = {"wait"} if scripts.waits else set()
        self._needed = commands_of("issue", "check") | waiting
        self._asked = " ".join(sorted(commands_of(*load_scripts()) | _PLAIN | waiting))

    async def look(self) -> StoreHealth:
        """Try every partition and the API keys, in parallel."""
        calls = [(redis_keys.health(partition), (self._asked,)) for partition in PARTITIONS]
        answers, api_keys = await asyncio.gather(self._scripts.run_each("health", calls), self._api_keys())
        looks = [(self._fault(answer), _refused(answer)) for answer in answers]
        return StoreHealth(
            tuple(PARTITIONS),
            {name: fault for name, (fault, _) in zip(PARTITIONS, looks, strict=True) if fault is not None},
            api_keys=api_keys,
            lacking=tuple(sorted(set().union(*(refused for _, refused in looks)))),
        )

    async def look_at_replicas(self) -> StoreHealth:
        """Let every partition wait for its replicas once, as an approval does."""
        faults = await asyncio.gather(*map(self._wait, PARTITIONS))
        failed = {name: fault for name, fault in zip(PARTITIONS, faults, strict=True) if fault is not None}
        return StoreHealth(tuple(PARTITIONS), failed)

    async def look_apart(self) -> StoreFault | None:
        """Try what lies outside the partitions: the limits and the Idempotency-Keys."""
        keys = [redis_keys.limit("health", "0"), redis_keys.idempotency("health")]
        answers = await self._scripts.run_each("health", [(key, (self._asked,)) for key in keys])
        return next(filter(None, map(self._fault, answers)), None)

    def _fault(self, answer: StoreUnavailable | bytes) -> StoreFault | None:
        if isinstance(answer, StoreUnavailable):
            return answer.fault
        refused = {name for name in _refused(answer) if name.removeprefix("?") in self._needed}
        return lacking(refused) if refused else None

    async def _wait(self, partition: str) -> StoreFault | None:
        try:
            written = await replicas_follow(self._scripts, partition)
        except StoreUnavailable as away:
            return away.fault
        return None if written.is_replicated else NOT_REPLICATED

    async def _api_keys(self) -> StoreFault | None:
        try:
            await self._scripts.command("HGET", redis_keys.API_KEYS, "", key=redis_keys.API_KEYS)
        except StoreUnavailable as away:
            return away.fault
        return None


def _refused(answer: StoreUnavailable | bytes) -> set[str]:
    return set() if isinstance(answer, StoreUnavailable) else set(answer.decode().split())
