"""Scripts per second in one process, with the pool of redis-py and with the Redis client of the service.

Both use the same server in the same run: `python tests/bench/bench_redis_client.py`, on an idle machine. Read the
ratios; the absolute numbers depend on the machine. The script reads its argument and increments one counter. Each of N
callers starts its next run as soon as it has a result. The event loop is uvloop, as in the service.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path

import redis.asyncio
import uvloop

sys.path.insert(0, str(Path(__file__).parents[2]))

from results import save

from service.redis_client import Script, open_redis_client
from tests.redis_client.servers import cluster, server

SCRIPT = Script("bench", "#!lua\nredis.call('INCR', KEYS[1])\nreturn {ARGV[1], 1, 'approved'}")
CALLERS = (1, 8, 64, 256)
CALLS = 20_000


def main():
    """Measure the pool, the client, and the client with a cluster; print one line for each number of callers."""
    with tempfile.TemporaryDirectory() as folder, server(Path(folder) / "redis") as node:
        pooled = [measure(pool, node.url, callers) for callers in CALLERS]
        shared = [measure(shared_connection, node.url, callers) for callers in CALLERS]
    with tempfile.TemporaryDirectory() as folder, cluster(Path(folder), (0, 16383)) as (node,):
        url = f"redis+cluster://127.0.0.1:{node.port}"
        clustered = [measure(shared_connection, url, callers) for callers in CALLERS]
    print("callers   redis-py pool/s   our client/s   ratio   in cluster mode/s   p99 pool ms   p99 our client ms")
    for callers, before, after, sharded in zip(CALLERS, pooled, shared, clustered, strict=True):
        print(
            f"{callers:7} {before[0]:17,.0f} {after[0]:14,.0f} {after[0] / before[0]:7.1f} {sharded[0]:19,.0f}"
            f" {before[1]:13.2f} {after[1]:19.2f}"
        )
    save("redis_client", dict(zip(CALLERS, zip(pooled, shared, clustered, strict=True), strict=True)))


def measure(kind, url, callers):
    """Return the runs per second and the 99th percentile of their time in milliseconds."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(kind(url, callers))


async def pool(url, callers):
    client = redis.asyncio.Redis.from_url(url, protocol=2, max_connections=callers)
    await client.script_load(SCRIPT.text)

    async def call():
        await client.evalsha(SCRIPT.sha, 1, "otp:{3}:v:bench", "argument")

    try:
        return await load(call, callers)
    finally:
        await client.aclose()


async def shared_connection(url, callers):
    client = await open_redis_client(url, client_name="bench")

    async def call():
        await client.run(SCRIPT, ["otp:{3}:v:bench"], ["argument"])

    try:
        return await load(call, callers)
    finally:
        await client.close()


async def load(call, callers):
    """Let each caller run its share of the scripts, one after the other."""
    times = []

    async def caller():
        for _ in range(max(CALLS // 10, CALLS * min(callers, 10) // 10) // callers):
            began = time.perf_counter()
            await call()
            times.append(time.perf_counter() - began)

    await call()
    started = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(callers)))
    return len(times) / (time.perf_counter() - started), statistics.quantiles(times, n=100)[98] * 1000


if __name__ == "__main__":
    main()
