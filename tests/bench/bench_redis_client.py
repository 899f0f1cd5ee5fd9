"""How many scripts a second one process runs: redis-py's pool against our multiplexer, same server, same run.

Run it alone: `python tests/bench/bench_redis_client.py`. It starts its own Redis and stops it. Read the ratios: the
absolute numbers are those of the machine. One script that reads its argument and writes one counter; N callers that
each call again as soon as they have their answer; event loop uvloop, as in the service.
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

from service.redis_client.client import Script, open_multiplexer
from tests.redis_client.servers import cluster, server

SCRIPT = Script("bench", "#!lua\nredis.call('INCR', KEYS[1])\nreturn {ARGV[1], 1, 'approved'}")
CALLERS = (1, 8, 64, 256)
CALLS = 20_000


def main():
    """Measure three ways, in turns, and print one line for each number of callers."""
    with tempfile.TemporaryDirectory() as folder, server(Path(folder) / "redis") as node:
        pooled = [measure(pool, node.url, callers) for callers in CALLERS]
        multiplexed = [measure(multiplexer, node.url, callers) for callers in CALLERS]
    with tempfile.TemporaryDirectory() as folder, cluster(Path(folder), (0, 16383)) as (node,):
        clustered = [measure(multiplexer, f"redis+cluster://127.0.0.1:{node.port}", callers) for callers in CALLERS]
    print("callers   redis-py pool/s   multiplexer/s   ratio   in cluster mode/s   p99 pool ms   p99 multiplexer ms")
    for callers, before, after, sharded in zip(CALLERS, pooled, multiplexed, clustered, strict=True):
        print(
            f"{callers:7} {before[0]:17,.0f} {after[0]:15,.0f} {after[0] / before[0]:7.1f} {sharded[0]:19,.0f}"
            f" {before[1]:13.2f} {after[1]:20.2f}"
        )
    save("multiplexer", dict(zip(CALLERS, zip(pooled, multiplexed, clustered, strict=True), strict=True)))


def measure(kind, url, callers):
    """Return calls per second and the 99th percentile of their time in milliseconds."""
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


async def multiplexer(url, callers):
    ours = await open_multiplexer(url)

    async def call():
        await ours.run(SCRIPT, ["otp:{3}:v:bench"], ["argument"])

    try:
        return await load(call, callers)
    finally:
        await ours.close()


async def load(call, callers):
    """Let each caller call until its share is done."""
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
