"""What `http_server` leans on in uvicorn and httptools, so that a new release of either is noticed here first."""

import ast
import inspect
import tomllib
from importlib.metadata import version
from pathlib import Path

import httptools
import pytest
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

ROOT = Path(__file__).parents[2]
HEAD = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\n"

# Of each of uvicorn's methods that ours stand in for: the attributes of `self` that it uses.
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
}


@pytest.mark.parametrize("method", USED, ids=lambda method: method.__qualname__)
def test_uvicorns_methods_use_what_they_used(method):
    """A method of uvicorn that we call or replace uses the same parts of its object as when we read it."""
    body = ast.walk(ast.parse(inspect.cleandoc("\n" + inspect.getsource(method))))
    used = {node.attr for node in body if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == "self"}
    assert used == set(USED[method].split())


def test_an_exchange_is_made_of_what_we_give():
    """Uvicorn's cycle takes the arguments that the protocol gives it, and no others."""
    assert list(inspect.signature(RequestResponseCycle.__init__).parameters)[1:] == [
        "scope", "transport", "flow", "logger", "access_logger", "access_log", "default_headers", "message_event",
        "expect_100_continue", "keep_alive", "on_response",
    ]  # fmt: skip


def test_an_exchange_asks_its_transport_for_three_things():
    """The protocol stands in for the transport of a cycle: it has `write`, `is_closing` and `close`."""
    nodes = ast.walk(ast.parse(inspect.getsource(RequestResponseCycle)))
    asked = {
        node.attr
        for node in nodes
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute) and node.value.attr == "transport"
    }
    assert asked == {"write", "is_closing", "close"}


def test_httptools_ends_a_request_to_upgrade_with_its_head():
    """The parser says that such a request is complete, and stops behind its head: this is what we work around."""

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
def test_a_release_that_nobody_has_looked_at_is_not_installed(package):
    """pyproject.toml ends below the next minor release of what we lean on, and that is what runs here."""
    needs = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    [need] = [need for need in needs if need.startswith(package)]
    major, minor = version(package).split(".")[:2]
    assert need == f"{package}>={major}.{minor},<{major}.{int(minor) + 1}"
