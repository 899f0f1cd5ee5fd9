"""The scanner that opens a link first: what it sends, what it records, and where it never goes."""

import asyncio
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from tests.sandbox.test_inspection import events_until


@dataclass
class Site:
    """A web site that records what is requested of it."""

    url: str = ""
    seen: list[tuple[str, str]] = field(default_factory=list)
    cookies: list[str] = field(default_factory=list)


@pytest.fixture
async def site():
    """Serve a site on loopback that answers every path with a redirect and a cookie."""
    served = Site()

    async def take(request):
        served.seen.append((request.method, request.path))
        served.cookies += request.headers.getall("Cookie", [])
        return web.Response(status=302, headers={"Location": "/elsewhere", "Set-Cookie": "a=b"})

    application = web.Application()
    application.router.add_route("*", "/{tail:.*}", take)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    served.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield served
    await runner.cleanup()


async def scan(live, sid):
    """Let the scanner open the links of a message; return status and body."""
    async with live.http.post(f"{live.url}/_/messages/{sid}/scan") as response:
        return response.status, await response.json()


async def test_a_scanner_sends_head_then_get(live, site):
    """It requests the link twice, without cookies, follows no redirect, and the message keeps a record of it."""
    sid = (await live.send(body=f"Open {site.url}/l/4abc.")).sid
    assert await scan(live, sid) == (200, ["HEAD 302", "GET 302"])
    assert site.seen == [("HEAD", "/l/4abc"), ("GET", "/l/4abc")]
    assert site.cookies == []
    [row] = await live.read("messages")
    assert row["scans"] == ["HEAD 302", "GET 302"]


async def test_a_scan_is_streamed(live, site):
    """Who listens to the events learns of the scan, and the status of the message stays what it was."""
    sid = (await live.send(body=f"{site.url}/l/4")).sid
    await live.until("messages", lambda rows: rows[0]["status"] == "delivered")
    async with live.http.get(f"{live.url}/_/events") as stream:
        scanning = asyncio.create_task(scan(live, sid))
        [(name, row)] = await events_until(stream, "scan")
        assert (name, row["sid"], row["status"], row["scans"]) == ("scan", sid, "delivered", ["HEAD 302", "GET 302"])
        await scanning


@pytest.mark.parametrize("body", [
    "Your code is 123456", "https://example.com/l/4abc", "http://127.0.0.1.example.com/", "http://localhost@example.com/",
    "http://[::1", "http://", "http://2130706433/", "ftp://127.0.0.1/", "javascript://127.0.0.1/%0aalert(1)",
])  # fmt: skip
async def test_no_other_host_is_opened(live, body):
    """Without a link to a loopback host nothing is requested: 422, and the message has no scan."""
    sid = (await live.send(body=body)).sid
    status, answer = await scan(live, sid)
    assert (status, answer) == (422, {"error": "This message has no link that the simulator may open."})
    [row] = await live.read("messages")
    assert row["scans"] == []


async def test_an_unknown_message_has_no_link(live):
    """A message that is not recorded gets the same refusal."""
    assert (await scan(live, "SM" + "0" * 32))[0] == 422


async def test_a_link_that_cannot_be_opened_is_recorded(live):
    """If nobody listens there, the requests are recorded as failed."""
    sid = (await live.send(body="http://127.0.0.1:1/l/4")).sid
    assert await scan(live, sid) == (200, ["HEAD failed", "GET failed"])
