"""The README and docs/api.md are true: their curl commands work, and the responses have the fields shown."""

import asyncio
import uuid

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from service.http.problem_catalogue import CATALOGUE
from tests.documents import README, ROOT, blocks, curl_calls, read_curl

API = ROOT / "docs" / "api.md"
NUMBER = "+14155550123"
MOST_LINES = 150


def test_the_readme_is_short():
    """The README has at most 150 lines."""
    assert len(README.read_text("utf-8").splitlines()) <= MOST_LINES


def names(value):
    """Return the names of all fields, in order, without their values."""
    if isinstance(value, dict):
        return [(name, names(part)) for name, part in value.items()]
    return [names(part) for part in value] if isinstance(value, list) else None


async def test_every_curl_command_of_the_api_page_returns_what_is_shown(start):
    """The commands, copied in order, return what the page shows, field by field."""
    running = await start()
    values = {"OTP_KEY": running.key}
    seen = set()
    for command, shown in curl_calls(API):
        method, path, headers, body = read_curl(command, values)
        async with running.http.request(method, path, headers=headers, json=body) as response:
            content = await response.json() if "json" in response.content_type else await response.text()
        # By the time the page shows resend, its verification has been approved.
        assert response.status in ((409,) if path.endswith("/resend") else (200, 201)), (command, content)
        if shown is not None:
            assert names(content) == names(shown)
        if response.status == 201:
            values |= {"ID": content["id"], "CLIENT_TOKEN": content["client_token"], "CODE": running.codes()[0]}
        seen.add(path.rsplit("/", 1)[-1])
    assert {"verifications", "verify", "resend", "cancel", "search", "livez", "readyz", "metrics"} <= seen


async def test_the_curl_commands_of_the_readme_send_a_code_and_show_it(start):
    """Without a browser, one command sends a code, with a new Idempotency-Key each time; the next one shows it."""
    running = await start()
    [(issue, _), (show, _)] = curl_calls(README)
    method, path, headers, body = read_curl(issue, {"OTP_KEY": running.key})
    async with running.http.request(method, path, headers=headers, json=body) as response:
        assert response.status == 201
    again = read_curl(issue, {"OTP_KEY": running.key})[2]
    keys = {uuid.UUID(found["Idempotency-Key"]) for found in (headers, again)}
    assert len(keys) == 2
    method, path, _, _ = read_curl(show, {})
    # The demo serves the simulator under /sandbox; here it has an address of its own.
    async with running.http.request(method, running.sandbox_url + path.removeprefix("/sandbox")) as response:
        [message] = await response.json()
    assert running.codes()[0] in message["body"]
    assert "outcome" in message


async def test_the_back_end_example_proves_an_approved_login_only(start, monkeypatch):
    """The README's Python works unchanged: only an approved verification is proven, and a refusal raises its code."""
    running = await start(otp_limit_number="1/1h")
    monkeypatch.setenv("OTP_URL", running.url)
    monkeypatch.setenv("OTP_KEY", running.key)
    [example] = blocks(README, "python")
    names = {}
    exec(compile(example, "README.md", "exec"), names)  # noqa: S102 - the README is ours
    login = await asyncio.to_thread(names["begin"], NUMBER, "192.0.2.7", "one-key")
    again = await asyncio.to_thread(names["begin"], NUMBER, "192.0.2.7", "one-key")
    assert (again["id"], len(running.codes())) == (login["id"], 1)
    assert not await asyncio.to_thread(names["is_proven"], login["id"], NUMBER)
    await running.verify(login["id"], running.codes()[0])
    assert await asyncio.to_thread(names["is_proven"], login["id"], NUMBER)
    assert not await asyncio.to_thread(names["is_proven"], login["id"], "+14155550124")
    assert not await asyncio.to_thread(names["is_proven"], "ve_" + 32 * "0", NUMBER)
    with pytest.raises(names["NotSent"], match="invalid_number") as refused:
        await asyncio.to_thread(names["begin"], "+1415", "192.0.2.7", "another")
    assert refused.value.detail.startswith("This number is too short")
    assert refused.value.retry_after is None
    with pytest.raises(names["NotSent"], match="rate_limited") as refused:
        await asyncio.to_thread(names["begin"], NUMBER, "192.0.2.7", "a-third")
    assert refused.value.detail == CATALOGUE["rate_limited"].detail
    assert refused.value.retry_after > 0


async def test_the_back_end_example_handles_the_error_page_of_a_proxy(monkeypatch):
    """When a proxy responds with HTML because the service is unreachable, no code was sent and no login is proven."""

    async def unreachable(_request):
        return web.Response(status=502, text="<h1>502 Bad Gateway</h1>", content_type="text/html")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", unreachable)
    async with TestServer(app) as proxy:
        monkeypatch.setenv("OTP_URL", str(proxy.make_url("")).rstrip("/"))
        monkeypatch.setenv("OTP_KEY", "otp_sk_x")
        names = {}
        exec(compile(blocks(README, "python")[0], "README.md", "exec"), names)  # noqa: S102 - the README is ours
        with pytest.raises(names["NotSent"]) as refused:
            await asyncio.to_thread(names["begin"], NUMBER, "192.0.2.7", "one-key")
        assert "Try again" in refused.value.detail
        assert not await asyncio.to_thread(names["is_proven"], "ve_" + 32 * "0", NUMBER)
