"""A sandbox served over real HTTP in its own thread, a Twilio client for it, and a receiver for its callbacks."""

import asyncio
import logging
import threading
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from twilio.http import AsyncHttpClient
from twilio.http.response import Response
from twilio.request_validator import RequestValidator
from twilio.rest import Client

from service.http_server import Server
from service.sandbox import DroppingProtocol, SandboxSettings, create_sandbox
from tests.conftest import free_listener

DELIVERY_SECONDS = 0.03


class _ReportingServer(Server):
    """Sets `accepts` when it accepts connections; `started` is set earlier, which other threads would see."""

    def __init__(self, app, **options):
        super().__init__(app, **options)
        self.accepts = threading.Event()

    async def startup(self, sockets=None):
        await super().startup(sockets)
        self.accepts.set()


class _RunningServer:
    """Serves one ASGI application on a free loopback port until it is stopped."""

    def __init__(self, app, *, protocol=DroppingProtocol):
        listener = free_listener()
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self._server = _ReportingServer(app, protocol=protocol)
        self._thread = threading.Thread(target=self._server.run, args=([listener],), daemon=True)
        self._thread.start()
        assert self._server.accepts.wait(10)

    def stop(self):
        self._server.should_exit = True
        self._thread.join(10)
        assert not self._thread.is_alive()


@pytest.fixture(scope="session")
def serve_application():
    """Serve ASGI applications: return a class whose instances have `.url` and `.stop()`."""
    return _RunningServer


@pytest.fixture(scope="session")
def sandbox():
    """Share one sandbox among most tests; `live` resets it."""
    return create_sandbox(SandboxSettings(delivery_seconds=DELIVERY_SECONDS))


@pytest.fixture(scope="session")
def sandbox_url(sandbox):
    server = _RunningServer(sandbox)
    yield server.url
    server.stop()


class _Transport(AsyncHttpClient):
    """Lets Twilio's library use a session that keeps its time-outs and follows no redirect."""

    def __init__(self, http):
        super().__init__(logging.getLogger("tests.twilio"), is_async=True)
        self._http = http

    async def request(self, method, url, *, headers, auth, params=None, data=None, **_):
        headers = headers | {"Authorization": aiohttp.encode_basic_auth(*auth)}
        body = "json" if headers.get("Content-Type") == "application/json" else "data"
        options = {"params": params, body: data, "headers": headers, "allow_redirects": False}
        async with self._http.request(method, url, **options) as response:
            return Response(response.status, await response.text(), response.headers)


@dataclass
class Live:
    """A running sandbox: `url`, `settings`, an HTTP session, and Twilio's own client for it."""

    url: str
    settings: SandboxSettings
    http: aiohttp.ClientSession
    number: str = "+15558675310"

    def twilio(self, username=None, password=None, account_sid=None) -> Client:
        account_sid = account_sid or self.settings.account_sid
        client = Client(
            username or self.settings.account_sid,
            password or self.settings.auth_token,
            account_sid,
            http_client=_Transport(self.http),
            environment={"_": ""},
        )
        client.api.base_url = client.messaging.base_url = client.content.base_url = self.url
        return client

    async def send(self, **changes):
        """Send one message through Twilio's client."""
        fields = {"to": self.number, "from_": "+15005550006", "body": "Your code is 123456", "provide_feedback": True}
        return await self.twilio().messages.create_async(**fields | changes)

    async def post(self, form: dict[str, str]) -> tuple[int, Any]:
        """Create a message from a raw form that Twilio's library would not send."""
        headers = {"Authorization": aiohttp.encode_basic_auth(self.settings.account_sid, self.settings.auth_token)}
        async with self.http.post(self.messages_url, data=form, headers=headers) as response:
            return response.status, await response.json()

    @property
    def messages_url(self) -> str:
        return f"{self.url}/2010-04-01/Accounts/{self.settings.account_sid}/Messages.json"

    async def read(self, page: str, **query) -> Any:
        async with self.http.get(f"{self.url}/_/{page}", params=query) as response:
            assert response.status == 200
            return await response.json()

    async def act(self, path: str, **body) -> tuple[int, Any]:
        """Act as a person by the test interface; return the status and the JSON of the response."""
        async with self.http.post(f"{self.url}/_/{path}", json=body) as response:
            return response.status, await response.json()

    async def say(self, body: str, **ends) -> dict[str, Any]:
        """Send a message from the person's number; return its row."""
        status, row = await self.act("messages", body=body, **{"from": self.number, "to": self.pool_number, **ends})
        assert status == 201, row
        return row

    @property
    def pool_number(self) -> str:
        return self.settings.pool_number

    async def plan(self, endpoint, kind, **more) -> None:
        async with self.http.post(
            f"{self.url}/_/faults", json={"endpoint": endpoint, "kind": kind, **more}
        ) as response:
            assert response.status == 201, await response.text()

    async def end_faults(self) -> None:
        async with self.http.delete(f"{self.url}/_/faults") as response:
            assert response.status == 204

    async def until(self, page: str, enough, **query) -> Any:
        """Read a page until `enough(rows)`; fail after 30 s and show the last rows."""
        deadline = time.monotonic() + 30
        while not enough(rows := await self.read(page, **query)):
            assert time.monotonic() < deadline, rows
            await asyncio.sleep(0.01)
        return rows


@pytest.fixture
def connect():
    """Return the class `Live`, to connect to any sandbox."""
    return Live


@asynccontextmanager
async def emptied(url, settings):
    """Connect to a sandbox that tests share, with nothing recorded and no fault planned."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as http:
        live = Live(url, settings, http)
        await live.end_faults()
        async with http.delete(f"{live.url}/_/messages") as response:
            assert response.status == 204
        yield live
        await live.end_faults()


@pytest.fixture
async def live(sandbox, sandbox_url):
    """Connect to the shared sandbox, with nothing recorded and no fault planned."""
    async with emptied(sandbox_url, sandbox.settings) as connected:
        yield connected


@dataclass
class Post:
    """One received callback."""

    path: str
    form: dict[str, str]
    headers: Any


@dataclass
class Receiver:
    """A receiver of webhooks: the posts, and its next responses (TwiML if there is any, else the status, else 204)."""

    url: str
    posts: list[Post] = field(default_factory=list)
    statuses_to_return: list[int] = field(default_factory=list)
    documents_to_return: list[str] = field(default_factory=list)
    content_type: str = "text/xml"  # of the documents
    delay_seconds: float = 0

    async def until(self, count: int) -> list[Post]:
        deadline = time.monotonic() + 30
        while len(self.posts) < count:
            assert time.monotonic() < deadline, self.posts
            await asyncio.sleep(0.005)
        return self.posts

    def signed(self, post: Post, token: str = "sandbox-auth-token") -> bool:
        """Return whether Twilio's own validator accepts the signature of a post."""
        return RequestValidator(token).validate(self.url + post.path, post.form, post.headers["X-Twilio-Signature"])

    def statuses(self) -> list[str]:
        return [post.form["MessageStatus"] for post in self.posts]


@pytest.fixture
async def receiver():
    """Serve HTTP on loopback and record the webhooks."""
    recorder = Receiver(url="")

    async def take(request):
        form = {name: str(value) for name, value in (await request.post()).items()}
        recorder.posts.append(Post(request.path_qs, form, request.headers))
        await asyncio.sleep(recorder.delay_seconds)
        if recorder.documents_to_return:
            return web.Response(text=recorder.documents_to_return.pop(0), content_type=recorder.content_type)
        return web.Response(status=recorder.statuses_to_return.pop(0) if recorder.statuses_to_return else 204)

    application = web.Application()
    application.router.add_post("/{tail:.*}", take)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    recorder.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield recorder
    await runner.cleanup()


@pytest.fixture
async def inbox(serve_application, connect, receiver):
    """Serve sandboxes whose inbound messages and calls go to the receiver; return a function that starts one."""
    servers = []
    async with aiohttp.ClientSession() as http:

        def start(**settings):
            urls = {"message_url": f"{receiver.url}/in", "voice_url": f"{receiver.url}/voice"}
            account = SandboxSettings(**{"delivery_seconds": 0.02, **urls, **settings})
            servers.append(serve_application(create_sandbox(account)))
            return connect(servers[-1].url, account, http)

        yield start
    for server in servers:
        server.stop()
