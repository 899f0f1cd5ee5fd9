"""What the tests of `service.serving` share: real processes, as operators start them."""

import pytest

from tests.attacks.processes import launcher


@pytest.fixture
async def launch(tmp_path, eventually):
    """Give a function that starts one `serve`, and waits until all its workers serve; all end with the test."""
    async with launcher(tmp_path) as start_process:

        async def launch_all(running, *, arguments=("--workers", "1"), **environment):
            process = await start_process(running, arguments=arguments, **environment)
            assert await eventually(lambda: process.log.count("service_started") == int(arguments[1]), seconds=30)
            return process

        yield launch_all
