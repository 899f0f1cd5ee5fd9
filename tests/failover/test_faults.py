"""Real engines, real failures: with OTP_WAIT_REPLICAS nothing is lost, approved twice, forgotten or stuck.

Each run ends with one audit. A few short ones are in every run of the tests; `make faults` runs all, with waiting and
without, and prints the table of docs/reliability.md (FAULTS selects by name, FAULT_RATE is pairs a second).
"""

import os
import tempfile
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from tests.conftest import starter
from tests.failover.engines import ENGINES
from tests.failover.faults import FAULTS
from tests.failover.rounds import run_fault

RATE = float(os.environ.get("FAULT_RATE", "10"))
IS_FULL = "FAULT_RATE" in os.environ
CHOSEN = os.environ.get("FAULTS", "")
QUICK = [("sentinel", "primary cut off", True)]
WAIT_MS = 500


def _cases():
    if not IS_FULL:
        return QUICK
    return [
        (engine, fault, waits)
        for engine, faults in FAULTS.items()
        for fault in faults
        for waits in ((False, True) if engine != "standalone" else (False,))
        if CHOSEN in f"{engine}: {fault}: {'waits' if waits else 'does not wait'}"
    ]


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
        yield service, engine


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize(("engine_name", "fault", "waits"), _cases())
async def test_a_fault_loses_nothing_that_was_waited_for(engine_name, fault, waits):
    """Clients see 503 with Retry-After only; nothing is lost, twice, forgotten, stuck, unasked or immortal."""
    async with served(engine_name, waits=waits) as (service, engine):
        row = await run_fault(service, engine, fault, FAULTS[engine_name][fault], waits=waits, rate=RATE)
    print(f"\n| {row.line()}\n{row.json()}", flush=True)
    assert row.approved > 0
    if waits or engine_name == "standalone" or fault == "none":
        assert set(row.errors) <= {"503", "409"}, row.errors
        assert row.found.broken() == {}
