"""Works on the counters as the worker does, in a new process for each line of standard input, `<address> <upkeep>`.

The process id goes to standard output, and then how the process ended. Forked, it costs a hundredth of a new Python.
"""

import asyncio
import os
import sys

from service.redis_client import open_redis_client
from service.store.funnel_upkeep import RedisFunnelUpkeep
from service.store.scripts import Scripts


class Naive(RedisFunnelUpkeep):
    """Rolls up hour by hour, and notes at the end that it has: what the real one must not do."""

    async def _roll_up(self, day):
        name = f"d{day}"
        if (await self._merged([name]))[name].is_rolled_up:
            return
        hours = await self._merged([f"h{hour}" for hour in range(day * 24, day * 24 + 24)])
        filled = [hour for hour in hours.values() if hour.rows]
        for hour in filled:
            await self.fill(name, hour.rows, hour.ends)
        if filled:
            await self._change(name, _mark)


def _mark(merged):
    merged.is_rolled_up = True


UPKEEPS = {"real": RedisFunnelUpkeep, "naive": Naive}


async def keep_up(url, name):
    """Do all that there is to do."""
    client = await open_redis_client(url, client_name="upkeep", timeout_seconds=30)
    upkeep = UPKEEPS[name](Scripts(client))
    await upkeep.merge_ended_hours()
    await upkeep.roll_up()
    await client.close()


def main():
    """Fork a process for each line."""
    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            asyncio.run(keep_up(*line.split()))
            os._exit(0)
        print(pid, flush=True)
        print(os.waitpid(pid, 0)[1], flush=True)


if __name__ == "__main__":
    main()
