"""Shared by the attack tests: service processes next to the service in this event loop."""

import asyncio

import pytest

from tests.attacks.processes import launcher


@pytest.fixture
async def launch(tmp_path):
    """Return a function that starts a service process; all end with the test."""
    async with launcher(tmp_path) as start_process:
        yield start_process


@pytest.fixture
async def pair(start, launch):
    """Run two serving processes on one Redis, both without a worker; return them."""
    running = await start(otp_worker=False)
    return await asyncio.gather(*(launch(running, OTP_WORKER="false") for _ in range(2)))
