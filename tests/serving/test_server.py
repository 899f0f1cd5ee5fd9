"""What `service.serving.server` leans on in uvicorn: a release that changes it must be looked at before it is used."""

import inspect

import pytest
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.config.settings import isolated_settings
from service.serving.server import Server

OVERRIDDEN = ("capture_signals", "handle_exit", "startup", "on_tick", "shutdown")


@pytest.mark.parametrize("name", OVERRIDDEN)
def test_what_is_overridden_is_there_and_takes_the_same(name):
    """Each method has uvicorn's parameters, in its order."""
    theirs, ours = getattr(uvicorn.Server, name), getattr(Server, name)
    assert list(inspect.signature(theirs).parameters) == list(inspect.signature(ours).parameters)
    assert inspect.iscoroutinefunction(theirs) == inspect.iscoroutinefunction(ours)


def test_the_server_looks_ten_times_a_second_and_ends_by_its_flag():
    """`main_loop` calls `on_tick` every 0.1 s until it says True; `_serve` starts, loops, shuts down."""
    assert "asyncio.sleep(0.1)" in inspect.getsource(uvicorn.Server.main_loop)
    assert "await self.on_tick(counter)" in inspect.getsource(uvicorn.Server.main_loop)
    steps = ("self.startup(sockets=sockets)", "self.main_loop()", "self.shutdown(sockets=sockets)")
    source = inspect.getsource(uvicorn.Server._serve)
    assert sorted(steps, key=source.index) == list(steps)


def test_idle_connections_are_kept_longer_than_a_balancer_keeps_them():
    """`OTP_KEEP_ALIVE` is the server's; by default it is over the 60 s of the usual balancers."""

    def kept(**settings):
        return Server(isolated_settings(**settings), lambda *_, **__: None, is_alone=True).config.timeout_keep_alive

    assert kept() > 60
    assert kept(otp_keep_alive=620) == 620


def test_a_protocol_is_made_of_the_same_parts():
    """What the server gives a connection that it accepts itself is what uvicorn gives the others."""
    assert list(inspect.signature(HttpToolsProtocol).parameters) == ["config", "server_state", "app_state", "_loop"]
    source = inspect.getsource(uvicorn.Server.startup)
    for part in ("config=config", "server_state=self.server_state", "app_state=self.lifespan.state", "_loop=_loop"):
        assert part in source
