"""Fixtures for the tests of `service.serving`: real processes, as operators start them."""

import pytest

from tests.attacks.processes import launcher


@pytest.fixture
async def launch(tmp_path, eventually):
    """Yield a function that starts one `serve` and waits until all its workers are ready; all stop with the test."""
    async with launcher(tmp_path) as start_process:

        async def launch_all(running, *, arguments=("--workers", "1"), **environment):
            process = await start_process(running, arguments=arguments, **environment)
            workers = int(arguments[1])
            has_started = await eventually(lambda: process.log.count("service_started") == workers, seconds=30)
            assert has_started, process.log
            return process

        yield launch_all
