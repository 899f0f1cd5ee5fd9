"""One fault run: clients work, the fault happens, the engine heals, and the audit compares; the result is a row."""

import asyncio
import statistics
from dataclasses import dataclass

from tests.failover.audit import audit
from tests.failover.clients import Clients

BEFORE_SECONDS, AFTER_SECONDS = 2.0, 3.0


@dataclass
class Row:
    """The result of one run."""

    engine: str
    fault: str
    waits: bool
    pairs: int
    approved: int
    errors: dict
    recovery_seconds: float  # the longest that one request had to be repeated
    p50_ms: float
    found: object

    def values(self):
        """Return all as a flat dictionary."""
        return {name: value for name, value in vars(self).items() if name != "found"} | self.found.counts()


async def run_fault(service, engine, name, fault, *, waits, rate, seconds=None):
    """Run clients through a fault, or for some seconds without one; return the row."""
    clients, over = Clients(service), asyncio.Event()
    working = asyncio.create_task(clients.run(rate, over))
    await asyncio.sleep(BEFORE_SECONDS)
    try:
        if seconds is None:
            await asyncio.to_thread(fault, engine)
        else:
            await asyncio.sleep(seconds)
        await asyncio.to_thread(engine.heal)
        await asyncio.sleep(AFTER_SECONDS)
    finally:
        over.set()
        await working
    latencies = [each for pair in clients.pairs for each in pair.latencies]
    approved, errors, pairs = sum(pair.is_approved for pair in clients.pairs), dict(clients.errors), len(clients.pairs)
    p50_ms = statistics.median(latencies) * 1000 if latencies else 0.0
    found = await audit(clients, engine)
    wait, p50_ms = round(clients.longest_wait, 1), round(p50_ms, 2)
    return Row(engine.name, name, waits, pairs, approved, errors, wait, p50_ms, found)
