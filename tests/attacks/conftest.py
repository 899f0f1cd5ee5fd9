"""Shared by the attack tests: service processes next to the service in this event loop."""

import pytest

from tests.attacks.processes import launcher


@pytest.fixture
async def launch(tmp_path):
    """Return a function that starts a service process; all end with the test."""
    async with launcher(tmp_path) as start_process:
        yield start_process
