"""One fault run: clients work, the fault happens, the engine heals, and the audit compares; the result is a row."""

import asyncio
import json
import statistics
import time
from dataclasses import dataclass
from itertools import pairwise

from tests.failover.audit import audit
from tests.failover.clients import Clients

BEFORE_SECONDS, AFTER_SECONDS = 2.0, 3.0
COLUMNS = ("lost", "twice", "forgotten", "stuck", "unasked", "immortal", "doubles")


@dataclass
class Row:
    """The result of one run."""

    engine: str
    fault: str
    waits: bool
    pairs: int
    approved: int
    errors: dict
    longest_gap_seconds: float  # without an approval, from the beginning of the fault
    p50_ms: float
    found: object

    def line(self):
        """Write the row for the table of docs/reliability.md."""
        counts = self.found.counts()
        errors = ", ".join(f"{status}: {many}" for status, many in sorted(self.errors.items())) or "none"
        cells = [
            self.engine,
            self.fault,
            "yes" if self.waits else "no",
            self.pairs,
            errors,
            f"{self.longest_gap_seconds:.1f} s",
        ]
        return " | ".join(["", *map(str, [*cells, *(counts[name] for name in COLUMNS)]), ""]).strip()

    def json(self):
        """Write the row for a program."""
        row = {name: value for name, value in vars(self).items() if name != "found"}
        return json.dumps(row | self.found.counts())


async def run_fault(service, engine, name, fault, *, waits, rate, seconds=None):
    """Run clients through a fault, or for some seconds without one; return the row."""
    clients, over = Clients(service), asyncio.Event()
    working = asyncio.create_task(clients.run(rate, over))
    await asyncio.sleep(BEFORE_SECONDS)
    began = time.monotonic()
    try:
        if seconds is None:
            await asyncio.to_thread(fault, engine)
        else:
            await asyncio.sleep(seconds)
        await asyncio.to_thread(engine.heal)
        await asyncio.sleep(AFTER_SECONDS)
    finally:
        over.set()
        ended = time.monotonic()
        await working
    moments = sorted([began, *(each for each in clients.approved_at if began < each < ended), ended])
    gap = max(later - earlier for earlier, later in pairwise(moments))
    latencies = [each for pair in clients.pairs for each in pair.latencies]
    approved, errors, pairs = sum(pair.is_approved for pair in clients.pairs), dict(clients.errors), len(clients.pairs)
    p50_ms = statistics.median(latencies) * 1000 if latencies else 0.0
    found = await audit(clients, engine)
    return Row(engine.name, name, waits, pairs, approved, errors, gap, round(p50_ms, 2), found)
