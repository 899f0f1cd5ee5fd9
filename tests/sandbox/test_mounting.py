"""The sandbox under a prefix of a parent application, its settings, and its independence of the service."""

import logging
import re
import subprocess
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from fastapi import FastAPI
from twilio.request_validator import RequestValidator

import service.sandbox
from service.sandbox import SandboxSettings, create_sandbox
from service.sandbox.opt_outs import _WORDS
from service.sandbox.segments import count_segments


@pytest.fixture
async def mounted(serve_application, connect):
    """Serve a sandbox under /sandbox of a FastAPI application that closes it."""
    settings = SandboxSettings(delivery_seconds=0.02)
    sandbox = create_sandbox(settings)

    @asynccontextmanager
    async def lifespan(_):
        yield
        await sandbox.aclose()

    parent = FastAPI(lifespan=lifespan)
    parent.mount("/sandbox", sandbox)
    server = serve_application(parent)
    async with aiohttp.ClientSession() as http:
        yield connect(f"{server.url}/sandbox", settings, http)
    server.stop()


async def test_the_whole_loop_works_under_a_prefix(mounted, receiver):
    """Sending, callbacks, paged lists, feedback and the test interface work under a parent's prefix."""
    sids = [(await mounted.send(status_callback=receiver.url)).sid for _ in range(3)]
    posts = await receiver.until(6)
    validator = RequestValidator(mounted.settings.auth_token)
    assert all(validator.validate(receiver.url, post.form, post.headers["X-Twilio-Signature"]) for post in posts)
    listed = await mounted.twilio().messages.list_async(page_size=2)
    assert [message.sid for message in listed] == sids[::-1]
    await mounted.twilio().messages(sids[0]).feedback.create_async(outcome="confirmed")
    rows = await mounted.read("messages")
    assert [row["outcome"] for row in rows] == ["confirmed", "unconfirmed", "unconfirmed"]


async def test_connections_can_be_dropped_through_a_parent(mounted, caplog):
    """Under a parent, a lost response is still no byte at all, and no error is logged."""
    await mounted.plan("messages", "lost_response", count=1)
    await mounted.plan("messages", "reset", count=1)
    with caplog.at_level(logging.WARNING):
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await mounted.send()
        with pytest.raises(aiohttp.ClientOSError, match="reset by peer"):
            await mounted.send()
    assert len(await mounted.read("messages")) == 1
    assert caplog.text == ""


async def test_an_unknown_path_under_a_prefix_gets_twilios_envelope(mounted):
    """Under a parent, the sandbox still responds to unknown paths."""
    async with mounted.http.get(f"{mounted.url}/nowhere") as response:
        assert (response.status, (await response.json())["code"]) == (404, 20404)


def test_the_sandbox_imports_only_the_http_server():
    """Importing the sandbox loads no other part of the service but its HTTP server, and not Twilio's library either."""
    program = "import sys, service.sandbox; print(*sorted(sys.modules))"
    root = Path(service.sandbox.__file__).parents[2]
    loaded = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, cwd=root, timeout=30
    ).stdout.split()
    strangers = [
        name
        for name in loaded
        if (name.startswith("service.") and not name.startswith(("service.sandbox", "service.http_server")))
        or name.split(".")[0] == "twilio"
    ]
    assert "service.sandbox.app" in loaded
    assert strangers == []


def test_settings_hide_secrets_and_refuse_invalid_values():
    """The representation shows no secrets; a negative delay and a ledger without capacity are refused."""
    settings = SandboxSettings()
    assert settings.auth_token not in repr(settings)
    assert settings.api_secret not in repr(settings)
    with pytest.raises(ValueError, match="delivery_seconds"):
        SandboxSettings(delivery_seconds=-1)
    with pytest.raises(ValueError, match="keep_messages"):
        SandboxSettings(keep_messages=0)


@pytest.mark.parametrize(
    ("body", "segments"),
    [
        ("", 1),
        ("x" * 160, 1),
        ("x" * 161, 2),
        ("x" * 306, 2),
        ("x" * 307, 3),
        ("€" * 80, 1),
        ("€" * 81, 2),
        ("ж" * 70, 1),
        ("ж" * 71, 2),
        ("🔑" * 35, 1),
        ("🔑" * 36, 2),
    ],
)
def test_segments_are_counted_as_carriers_do(body, segments):
    """160 septets or 70 UCS-2 units fit one segment, 153 or 67 each part of several; an emoji takes two units."""
    assert count_segments(body) == segments


def test_the_page_about_the_simulator_lists_its_test_interface():
    """The table names each route under `/_/` with its method, and no other."""
    page = (Path(__file__).parents[2] / "docs" / "simulator.md").read_text("utf-8")
    routes = {
        f"{method} {route.path}"
        for route in create_sandbox()._app.routes
        if route.path.startswith("/_/")
        for method in route.methods - {"HEAD"}
    }
    assert set(re.findall(r"`((?:GET|POST|DELETE) /_/[^`]+)`", page)) == routes


def test_the_page_about_the_simulator_lists_the_keywords():
    """The row about keywords names each keyword that Twilio knows by default."""
    page = (Path(__file__).parents[2] / "docs" / "simulator.md").read_text("utf-8")
    [row] = re.findall(r"^\| keywords \|(.*?)\.", page, re.MULTILINE)
    assert set(re.findall(r"\b[A-Z]{3,}\b", row)) == {word for words in _WORDS.values() for word in words}
