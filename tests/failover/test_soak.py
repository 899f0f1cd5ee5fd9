"""A long run without a fault: what a serving process and Redis hold must not grow with the time.

`make soak` runs for an hour and prints the slopes; in every run of the tests it is left out. Codes live for 30 s and
records for 30 s more, so that as many records expire as are written after the first minutes. Redis
itself grows by what is kept for a day, such as Idempotency-Keys: that is only printed.
"""

import asyncio
import os
import tempfile
import time
from pathlib import Path

import pytest

from tests.attacks.processes import launcher
from tests.conftest import starter
from tests.failover.audit import audit
from tests.failover.clients import Clients
from tests.failover.engines import with_sentinel

SECONDS = float(os.environ.get("SOAK_SECONDS", "0"))
RATE = float(os.environ.get("FAULT_RATE", "10"))
SAMPLES = 60
LONG_SECONDS = 600
WARM_UP = 0.4  # the part of the run that the slopes leave out
SHORT_LIVES = {"OTP_CODE_TTL": "30s", "OTP_LATE_WINDOW": "30s", "OTP_WAIT_REPLICAS": "2", "OTP_MAX_ATTEMPTS": "10"}
NO_LIMIT = {"OTP_LIMIT_KEY": ""}  # one API key issues 36,000 in an hour; `launcher` lifts the other limits
# Where other work keeps the cores busy, replicas are late now and then, and a client gives up.
BUSY, MOST_BUSY = {"503", "TimeoutError"}, 0.001  # of the pairs
MOST_PER_HOUR = {"memory_kib": 16 * 1024, "descriptors": 5, "keys": 500}


def sample(pid, engine):
    """Return what is held now."""
    [primary] = engine.primaries()
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return {
        "memory_kib": pages * os.sysconf("SC_PAGE_SIZE") // 1024,
        "descriptors": len(list(Path(f"/proc/{pid}/fd").iterdir())),
        "keys": sum(1 for _ in primary.admin.scan_iter("otp:{?}:v:*", count=1000)),
        "redis_kib": primary.admin.info("memory")["used_memory"] // 1024,
        "aof_kib": primary.admin.info("persistence").get("aof_current_size", 0) // 1024,
    }


def slopes(samples):
    """Return the growth of each value in an hour, by least squares over the samples after the warm-up."""
    kept = samples[int(len(samples) * WARM_UP) :]
    times = [moment for moment, _ in kept]
    mean = sum(times) / len(times)
    spread = sum((moment - mean) ** 2 for moment in times)
    return {name: 3600 * sum((moment - mean) * values[name] for moment, values in kept) / spread for name in kept[0][1]}


def test_a_slope_is_the_growth_in_an_hour():
    """The control: a value that grows by one each second grows by 3,600 in an hour, a constant one by nothing."""
    samples = [(float(second), {"grows": 7 + second, "stays": 7}) for second in range(10)]
    assert slopes(samples) == pytest.approx({"grows": 3600, "stays": 0})


@pytest.mark.slow
@pytest.mark.skipif(not SECONDS, reason="make soak runs it")
@pytest.mark.timeout(SECONDS + 300)
async def test_nothing_grows(tmp_path):
    """Neither the memory and the descriptors of the service nor the keys of Redis grow; the audit finds nothing."""
    samples, over = [], asyncio.Event()
    with tempfile.TemporaryDirectory() as folder, with_sentinel(Path(folder), "redis") as engine:
        for node in engine.nodes:
            node.admin.config_set("appendonly", "yes")
        async with starter(None) as start, launcher(tmp_path) as launch:
            running = await start(redis_url=engine.url, otp_worker=False)
            process = await launch(running, **SHORT_LIVES, **NO_LIMIT)
            clients = Clients(process.client)
            working = asyncio.create_task(clients.run(RATE, over))
            began = time.monotonic()
            while time.monotonic() - began < SECONDS and clients.errors.keys() <= BUSY:  # else an hour would be wasted
                await asyncio.sleep(SECONDS / SAMPLES)
                held = await asyncio.to_thread(sample, process.child.pid, engine)
                samples.append((time.monotonic() - began, held))
                so_far = f"{samples[-1][0]:.0f} s, {len(clients.pairs)} pairs, {clients.errors}"
                print(f"\n{so_far}: {held}", end="", flush=True)
            over.set()
            await working
            ledger = running.sandbox.ledger  # it forgets the oldest messages, so their pairs cannot be compared
            clients.pairs = [pair for pair in clients.pairs if pair.sid is None or ledger.message(pair.sid)]
            found = await audit(clients, engine, newest=int(10 * RATE))
    grown = slopes(samples)
    for name, slope in grown.items():
        print(f"\n{name}: {samples[0][1][name]} at first, {samples[-1][1][name]} at last, {slope:+.0f} an hour", end="")
    assert clients.errors.keys() <= BUSY
    assert sum(clients.errors.values()) <= max(1, MOST_BUSY * len(clients.pairs)), clients.errors
    assert found.broken() == {}
    if SECONDS < LONG_SECONDS:  # a short run is all warm-up
        return
    assert {name: grown[name] for name, most in MOST_PER_HOUR.items() if grown[name] > most} == {}
