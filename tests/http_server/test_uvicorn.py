"""What `http_server` uses of uvicorn and httptools: if a new version changes it, these tests fail first."""

import ast
import inspect
import re
import tomllib
from importlib.metadata import version
from pathlib import Path

import httptools
import pytest

from service.http_server.uvicorn_parts import (
    FlowControl,
    HttpToolsProtocol,
    RequestResponseCycle,
    UvicornServer,
)

ROOT = Path(__file__).parents[2]
HEAD = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\n"

# For each method of uvicorn that ours call or replace: the attributes of `self` that it uses.
USED = {
    HttpToolsProtocol.connection_made: "connections transport flow server client scheme logger",
    HttpToolsProtocol.connection_lost: "connections logger client cycle flow transport _unset_keepalive_if_required "
    "parser",
    HttpToolsProtocol.on_response_complete: "server_state transport _unset_keepalive_if_required flow pipeline "
    "_start_asgi_task timeout_keep_alive_task loop timeout_keep_alive timeout_keep_alive_handler",
    HttpToolsProtocol._start_asgi_task: "config loop tasks",
    HttpToolsProtocol.shutdown: "cycle transport",
    HttpToolsProtocol.pause_writing: "flow",
    HttpToolsProtocol.resume_writing: "flow",
    RequestResponseCycle.receive: "waiting_for_100_continue transport disconnected response_complete flow "
    "message_event body more_body",
    RequestResponseCycle.send: "flow disconnected response_started waiting_for_100_continue default_headers access_log "
    "access_logger scope keep_alive chunked_encoding transport response_complete expected_content_length "
    "message_event on_response",
    FlowControl.resume_reading: "read_paused _transport",
    FlowControl.pause_reading: "read_paused _transport",
    UvicornServer.startup: "_log_started_message config lifespan server_state servers started",
    UvicornServer.shutdown: "_wait_tasks_to_complete config force_exit lifespan server_state servers",
    UvicornServer._serve: "config lifespan main_loop should_exit shutdown started startup",
    UvicornServer.main_loop: "on_tick",
    UvicornServer.on_tick: "config last_notified limit_max_requests server_state should_exit",
    UvicornServer.capture_signals: "_captured_signals handle_exit",
    UvicornServer.handle_exit: "_captured_signals force_exit should_exit",
}


@pytest.mark.parametrize("method", USED, ids=lambda method: method.__qualname__)
def test_uvicorns_methods_use_the_known_attributes(method):
    """A uvicorn method that ours call or replace uses the same attributes as when ours was written."""
    body = ast.walk(ast.parse(inspect.cleandoc("\n" + inspect.getsource(method))))
    used = {node.attr for node in body if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == "self"}
    assert used == set(USED[method].split())


def test_uvicorns_cycle_takes_our_arguments():
    """Uvicorn's cycle has the parameters that the protocol passes, and no others."""
    assert list(inspect.signature(RequestResponseCycle.__init__).parameters)[1:] == [
        "scope", "transport", "flow", "logger", "access_logger", "access_log", "default_headers", "message_event",
        "expect_100_continue", "keep_alive", "on_response",
    ]  # fmt: skip


def test_a_cycle_uses_three_methods_of_its_transport():
    """A cycle uses `write`, `is_closing` and `close` of its transport, which the protocol replaces."""
    nodes = ast.walk(ast.parse(inspect.getsource(RequestResponseCycle)))
    asked = {
        node.attr
        for node in nodes
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute) and node.value.attr == "transport"
    }
    assert asked == {"write", "is_closing", "close"}


def test_httptools_ends_a_request_with_upgrade_after_its_head():
    """The parser reports such a request as complete after its head; `request_parser` works around this."""

    class Events:
        def __init__(self):
            self.all = []

        def on_body(self, body):
            self.all.append(body)

        def on_message_complete(self):
            self.all.append("complete")

    events = Events()
    parser = httptools.HttpRequestParser(events)
    with pytest.raises(httptools.HttpParserUpgrade) as stopped:
        parser.feed_data(HEAD)
    assert stopped.value.args == (len(HEAD),)
    assert events.all == ["complete"]
    one_by_one = httptools.HttpRequestParser(events)
    for byte in HEAD[:-1]:
        one_by_one.feed_data(bytes([byte]))
    with pytest.raises(httptools.HttpParserUpgrade):
        one_by_one.feed_data(HEAD[-1:])


@pytest.mark.parametrize("package", ["uvicorn", "httptools"])
def test_an_untried_minor_release_is_not_installed(package):
    """The upper bound in pyproject.toml is the next minor release, and the installed version is below it."""
    needs = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    [need] = [need for need in needs if need.startswith(package)]
    major, minor = version(package).split(".")[:2]
    assert need == f"{package}>={major}.{minor},<{major}.{int(minor) + 1}"


def test_uvicorn_is_imported_in_one_module():
    """Only `uvicorn_parts` imports uvicorn, so it shows all that the service uses of it."""
    importing = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "service").rglob("*.py")
        if re.search(r"^\s*(import|from) uvicorn\b", path.read_text(), re.MULTILINE)
    }
    assert importing == {"service/http_server/uvicorn_parts.py"}
