"""The parts of uvicorn on which `service.serving.server` depends: a release that changes them fails here."""

import inspect

import pytest
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.config.settings import isolated_settings
from service.serving.server import Server

OVERRIDDEN = ("capture_signals", "handle_exit", "startup", "on_tick", "shutdown")


@pytest.mark.parametrize("name", OVERRIDDEN)
def test_overridden_methods_match_uvicorn(name):
    """Each overridden method exists in uvicorn and has the same parameters."""
    theirs, ours = getattr(uvicorn.Server, name), getattr(Server, name)
    assert list(inspect.signature(theirs).parameters) == list(inspect.signature(ours).parameters)
    assert inspect.iscoroutinefunction(theirs) == inspect.iscoroutinefunction(ours)


def test_the_main_loop_ticks_ten_times_a_second():
    """`main_loop` calls `on_tick` every 0.1 s until it returns True; `_serve` starts, loops, shuts down."""
    assert "asyncio.sleep(0.1)" in inspect.getsource(uvicorn.Server.main_loop)
    assert "await self.on_tick(counter)" in inspect.getsource(uvicorn.Server.main_loop)
    steps = ("self.startup(sockets=sockets)", "self.main_loop()", "self.shutdown(sockets=sockets)")
    source = inspect.getsource(uvicorn.Server._serve)
    assert sorted(steps, key=source.index) == list(steps)


def test_idle_connections_outlast_those_of_load_balancers():
    """`OTP_KEEP_ALIVE` sets the keep-alive; its default exceeds the 60 s of common load balancers."""

    def kept(**settings):
        return Server(isolated_settings(**settings), lambda *_, **__: None, is_alone=True).config.timeout_keep_alive

    assert kept() > 60
    assert kept(otp_keep_alive=620) == 620


def test_a_protocol_is_created_as_uvicorn_does():
    """The server creates the protocol of a connection with the same arguments as uvicorn."""
    assert list(inspect.signature(HttpToolsProtocol).parameters) == ["config", "server_state", "app_state", "_loop"]
    source = inspect.getsource(uvicorn.Server.startup)
    for part in ("config=config", "server_state=self.server_state", "app_state=self.lifespan.state", "_loop=_loop"):
        assert part in source
