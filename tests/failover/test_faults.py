"""Real engines, real failures: with OTP_WAIT_REPLICAS nothing is lost, approved twice, forgotten or stuck.

Each run ends with one audit. A few short ones are in every run of the tests; `make faults` runs all, with waiting and
without, and prints the table of docs/reliability.md (FAULTS selects by name, FAULT_RATE is pairs a second).
"""

import asyncio
import os
import tempfile
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from tests.conftest import starter
from tests.failover import network, table
from tests.failover.engines import ENGINES
from tests.failover.faults import FAULTS, OF_NETWORKS
from tests.failover.rounds import run_fault

RATE = float(os.environ.get("FAULT_RATE", "10"))
IS_FULL = "FAULT_RATE" in os.environ
CHOSEN = os.environ.get("FAULTS", "")
QUICK = [
    ("cluster", "primary cut off", True),
    ("sentinel", "planned failover", True),
    ("standalone", "primary killed", False),
]
WAIT_MS = 500


def every_case():
    """Return engine, fault and whether it waits, of each run; without replicas there is nothing to wait for."""
    return [
        (engine, fault, waits)
        for engine, faults in FAULTS.items()
        for fault in faults
        for waits in ((False, True) if engine != "standalone" else (False,))
    ]


def _cases():
    if not IS_FULL:
        return QUICK
    names = {case: f"{case[0]}: {case[1]}: {'waits' if case[2] else 'does not wait'}" for case in every_case()}
    return [case for case, name in names.items() if CHOSEN in name]


@asynccontextmanager
async def served(engine_name, *, waits):
    """Run an engine, the simulator and a service with a worker."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="otp-fault-")))
        run, binary = ENGINES[engine_name]
        engine = stack.enter_context(run(folder, binary))
        engine.name = engine_name
        start = await stack.enter_async_context(starter(None))
        service = await start(
            redis_url=engine.url,
            otp_wait_replicas=engine.replicas if waits else 0,
            otp_wait_ms=WAIT_MS,
            otp_max_attempts=10,
        )
        # As many connections as clients; they close idle ones before the service does.
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=2)
        service.http = await stack.enter_async_context(aiohttp.ClientSession(service.url, connector=connector))
        yield service, engine


@pytest.mark.slow
@pytest.mark.timeout(330)
@pytest.mark.parametrize(("engine_name", "fault", "waits"), _cases())
async def test_a_fault_loses_nothing_that_was_waited_for(request, engine_name, fault, waits):
    """Clients see 503 with Retry-After only; nothing is lost, twice, forgotten, stuck, unasked or immortal."""
    if fault in OF_NETWORKS and not network.is_own():
        await asyncio.to_thread(network.run_test, request.node.nodeid)
        return
    async with served(engine_name, waits=waits) as (service, engine):
        row = await run_fault(service, engine, fault, FAULTS[engine_name][fault], waits=waits, rate=RATE)
    print(f"\n{table.line(row.values())}", flush=True)
    if IS_FULL:
        table.add(row.values())
    assert row.approved > 0
    if waits or engine_name == "standalone" or fault == "none":
        # A lease seems longer where the new primary's clock is behind: longer than a process knows of its failures.
        assert set(row.errors) <= ({"503", "409"} if engine.behind_seconds else {"503"}), row.errors
        assert row.found.broken() == {}
