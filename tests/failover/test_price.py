"""What waiting costs without a fault: latency and throughput of checks, with and without, in alternating rounds.

Client, simulator and service share one process, so the ratio of the throughput is that of the whole, not of the service
alone. `make faults` runs it; in every run of the tests it is one short round without a bound.
"""

import asyncio
import os
import statistics
import tempfile
import time
from pathlib import Path

import pytest

from tests.conftest import starter
from tests.failover.engines import with_sentinel

IS_FULL = "FAULT_RATE" in os.environ
ROUNDS, PEOPLE, AT_ONCE = (5, 500, 32) if IS_FULL else (1, 20, 4)


async def _round(service, base):
    """Issue codes; check one after another, then the rest at once; return the median (ms) and the checks a second."""
    numbers = [f"+1415555{base + each:04d}" for each in range(PEOPLE)]
    ids = {number: (await service.issue(number))["id"] for number in numbers}
    codes = {number: service.codes(number)[-1] for number in numbers}
    alone, crowd = numbers[: PEOPLE // 5], numbers[PEOPLE // 5 :]
    times = []
    for number in alone:
        began = time.perf_counter()
        assert (await service.verify(ids[number], codes[number]))["verdict"] == "approved"
        times.append(time.perf_counter() - began)
    gate = asyncio.Semaphore(AT_ONCE)

    async def check(number):
        async with gate:
            assert (await service.verify(ids[number], codes[number]))["verdict"] == "approved"

    began = time.perf_counter()
    await asyncio.gather(*map(check, crowd))
    return statistics.median(times) * 1000, len(crowd) / (time.perf_counter() - began)


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_every_check_is_approved_with_and_without_waiting():
    """Without a fault nobody gets 503, and each code is approved; the figures are printed."""
    figures = {False: [], True: []}
    with tempfile.TemporaryDirectory(prefix="otp-price-") as folder, with_sentinel(Path(folder), "redis") as engine:
        async with starter(None) as start:
            services = {
                waits: await start(redis_url=engine.url, otp_wait_replicas=2 if waits else 0, otp_wait_ms=5000)
                for waits in (False, True)
            }
            for place in range(ROUNDS):
                for waits in (False, True):
                    figures[waits].append(await _round(services[waits], place * PEOPLE))
    for waits, readings in figures.items():
        medians, rates = zip(*readings, strict=True)
        print(
            f"\nwaits: {waits}; median of a check {statistics.median(medians):.2f} ms "
            f"({min(medians):.2f} to {max(medians):.2f}); {statistics.median(rates):.0f} checks a second "
            f"({min(rates):.0f} to {max(rates):.0f}) with {AT_ONCE} at once",
            end="",
        )
    ratios = [waiting[1] / plain[1] for plain, waiting in zip(figures[False], figures[True], strict=True)]
    print(f"\nthroughput with waiting over that without: {statistics.median(ratios):.2f}")
