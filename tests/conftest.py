"""Fixtures that every suite shares: a real Valkey, the simulator and the service over real HTTP, in this event loop.

`start` starts a service with settings that the test chooses. At the end of a test every remaining Redis key must have
a TTL, except the API keys (promise 9).
"""

import asyncio
import os
import re
import secrets
import socket
import tempfile
import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import aiohttp
import pytest
import redis as redis_py
import redis.asyncio

from service import wiring
from service.app import create_app, open_redis
from service.config.settings import Settings, isolated_settings
from service.core.api_keys import Scope, new_api_key
from service.core.breaker import Breaker, BreakerPolicy
from service.embedded.server import embedded_valkey
from service.http_server import HttpProtocol, Server
from service.sandbox import DroppingProtocol, Sandbox, SandboxSettings, create_sandbox
from service.store.ledgers import RedisApiKeys

NUMBER = "+14155550123"
ENVIRONMENT = re.compile("^(TWILIO_|OTP_|REDIS_URL)")


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch):
    """Keep settings of the machine out of the tests."""
    for name in os.environ:
        if ENVIRONMENT.match(name):
            monkeypatch.delenv(name)


class _FastSleep:
    """The module `asyncio` with shorter sleeps."""

    def __getattr__(self, name):
        return getattr(asyncio, name)

    async def sleep(self, seconds):
        await asyncio.sleep(min(seconds, 0.005))


@pytest.fixture(scope="session", autouse=True)
def _fast_server_polling():
    """Save 300 ms per server: uvicorn polls every 100 ms for its end; here it polls more often."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("uvicorn.server.asyncio", _FastSleep())
        yield


@pytest.fixture(autouse=True)
def _short_drain(monkeypatch):
    """Shorten the 8 s for which a service without Redis would wait when it stops."""
    for module in ("app", "wiring"):
        monkeypatch.setattr(f"service.{module}.DRAIN_SECONDS", 0.3)


@pytest.fixture(scope="session")
def valkey():
    """Run one real Valkey for the whole session; yield its URL."""
    with tempfile.TemporaryDirectory(prefix="otp-test-") as folder, embedded_valkey(Path(folder)) as url:
        yield url


@pytest.fixture
def redis(valkey):
    """Yield a plain client for an empty Valkey; at the end every key must have a TTL."""
    with redis_py.Redis.from_url(valkey) as client:
        client.flushall()
        yield client
        without_ttl = [key for key in client.scan_iter() if client.ttl(key) == -1 and key != b"otp:keys"]
        assert without_ttl == [], "promise 9: every key has a TTL"


@dataclass
class Running:
    """A service under test, its simulator, and a client that holds an API key."""

    url: str
    settings: Settings
    key: str
    http: aiohttp.ClientSession
    sandbox: Sandbox
    sandbox_url: str
    connections: object = None  # of the service

    async def call(self, method, path, body=None, *, key=None, headers=None, **options):
        """Make one request; return (status, JSON or None, headers)."""
        sent = {"Authorization": f"Bearer {key or self.key}", **(headers or {})}
        async with self.http.request(method, path, json=body, headers=sent, **options) as response:
            text = await response.text()
            is_json = "json" in response.headers.get("Content-Type", "")
            read = await response.json(content_type=None) if is_json and text else None
            return response.status, read, response.headers

    async def issue(self, to=NUMBER, **fields):
        """Issue a verification; return the body of the response, which must be a 201."""
        status, body, _ = await self.call("POST", "/v1/verifications", {"to": to, **fields})
        assert status == 201, body
        return body

    async def verify(self, verification_id, code, **fields):
        """Check a code; return the body of the response, which must be a 200."""
        status, body, _ = await self.call(
            "POST", f"/v1/verifications/{verification_id}/verify", {"code": code, **fields}
        )
        assert status == 200, body
        return body

    async def read(self, verification_id):
        """Read a verification; return the body of the response, which must be a 200."""
        status, body, _ = await self.call("GET", f"/v1/verifications/{verification_id}")
        assert status == 200, body
        return body

    def messages(self, to=NUMBER):
        """Return the messages that the simulator recorded for a number, oldest first."""
        return self.sandbox.ledger.messages(to=to)

    def codes(self, to=NUMBER):
        """Return the codes in the messages to a number, oldest first."""
        return [re.search(r"\b[0-9]{4,8}\b", message.body)[0] for message in self.messages(to)]

    async def reply(self, body, *, sender=NUMBER, to=None):
        """Send a message as a person, by the simulator; return its row once the service has answered the webhook."""
        message = {"from": sender, "to": to or self.sandbox.settings.pool_number, "body": body}
        async with self.http.post(f"{self.sandbox_url}/_/messages", json=message) as response:
            row = await response.json()
            assert response.status == 201, row
            return row

    async def dial(self, *, caller=NUMBER, to=None, **more):
        """Call the service's number as a person, by the simulator; return the SID of the call."""
        asked = {"from": caller, "to": to or self.sandbox.settings.pool_number, **more}
        async with self.http.post(f"{self.sandbox_url}/_/calls", json=asked) as response:
            row = await response.json()
            assert response.status == 201, row
            return row["sid"]

    async def key_in(self, call_sid, keys):
        """Wait until the voice asks for digits, press keys, and wait until it has them; without keys, stay silent."""
        lines = (await self.until_call(call_sid, lambda call: call.is_gathering)).lines
        path, body = ("keys", {"keys": keys}) if keys else ("silence", {})
        async with self.http.post(f"{self.sandbox_url}/_/calls/{call_sid}/{path}", json=body) as response:
            assert response.status == 200, await response.text()
        await self.until_call(call_sid, lambda call: not call.is_gathering or call.lines != lines)

    async def until_call(self, call_sid, enough):
        """Wait until a call is in a state, at most 30 s; return it."""
        deadline = time.monotonic() + 30
        while not enough(call := self.sandbox.ledger.call(call_sid)):
            assert time.monotonic() < deadline, call
            await asyncio.sleep(0.01)
        return call

    def confirmed(self):
        """Return the SIDs that were confirmed to Twilio."""
        return {message.sid for message in self.sandbox.ledger.messages() if message.outcome == "confirmed"}


async def eventually(condition, *, seconds=5.0):
    """Poll a condition every 10 ms until it holds; return its value, or the last false one after a timeout."""
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        value = condition()
        if asyncio.iscoroutine(value):
            value = await value
        if value or asyncio.get_running_loop().time() > deadline:
            return value
        await asyncio.sleep(0.01)


@pytest.fixture(name="eventually")
def _eventually():
    """Return `eventually`."""
    return eventually


@asynccontextmanager
async def serving(app, *, listener=None, protocol=HttpProtocol, **options):
    """Serve an ASGI application on a loopback port in this event loop; yield its URL."""
    listener = listener or free_listener()
    server = Server(app, protocol=protocol, log_level="error", timeout_graceful_shutdown=2, **options)
    server.capture_signals = _no_signals  # the test runner keeps its own handlers
    task = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:
        await asyncio.sleep(0.005)
        if task.done():
            task.result()
            raise AssertionError("the server did not start")
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task


def _no_signals():
    from contextlib import nullcontext

    return nullcontext()


def free_listener():
    """Bind a free loopback port and keep the socket open."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # needed for TCP_NODELAY
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", 0))
    return listener


def settings_for(url, redis_url, sandbox_url, account, **overrides):
    """Build settings for a test: the simulator as Twilio, and every limit off unless the test sets it."""
    return isolated_settings(
        **{
            "redis_url": redis_url,
            "twilio_account_sid": account.account_sid,
            "twilio_auth_token": account.auth_token,
            "twilio_from": account.pool_number,
            "twilio_base_url": sandbox_url,
            "otp_public_url": url,
            "otp_secret_keys": secrets.token_urlsafe(32),
            "otp_index_key": secrets.token_urlsafe(32),
            "otp_limit_number": "",
            "otp_limit_failed_checks": "",
            "otp_limit_ip": "",
            "otp_limit_prefix": "",
            "otp_limit_country": "",
            "otp_limit_day": "",
            "otp_limit_key": "",
            "otp_limit_peer": "",
            "otp_limit_voice": "",
            **overrides,
        }
    )


async def create_key(settings, *scopes, name="test"):
    """Create an API key as `otp-service keys create` does; return the key."""
    key, kept = new_api_key(name, scopes or list(Scope))
    async with open_redis(settings) as scripts:
        await RedisApiKeys(scripts).add(kept.digest, kept.particulars)
    return key


@pytest.fixture
def no_pause_between_probes(monkeypatch):
    """Let every send be a probe while sending is halted, so that each meets the refused credentials itself."""
    monkeypatch.setattr(wiring, "Breaker", partial(Breaker, policy=BreakerPolicy(pause_seconds=0)))


@pytest.fixture
async def start(redis, valkey):
    """Yield a function that starts a service with settings that the test chooses; all services stop with the test."""
    async with starter(valkey) as start_one:
        yield start_one


@asynccontextmanager
async def starter(valkey):
    """Yield a function that starts a service; all services stop with the block.

    `start(sandbox={...}, event_log=..., protocol=..., **settings)`: the simulator sends callbacks after 20 ms.
    """
    async with AsyncExitStack() as stack:

        async def start_one(*, sandbox=None, event_log=None, protocol=HttpProtocol, **overrides):
            listener = free_listener()
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            inbound = {"message_url": f"{url}/twilio/message", "voice_url": f"{url}/twilio/voice"}
            account = SandboxSettings(**{"delivery_seconds": 0.02, **inbound, **(sandbox or {})})
            simulated_twilio = create_sandbox(account)
            # The client of the service closes idle connections first, or a message after a pause may meet a closed one.
            of_twilio = {"protocol": DroppingProtocol, "timeout_keep_alive": 60}
            sandbox_url = await stack.enter_async_context(serving(simulated_twilio, **of_twilio))
            settings = settings_for(url, overrides.pop("redis_url", valkey), sandbox_url, account, **overrides)
            key = await create_key(settings)
            service = create_app(settings, event_log=event_log or (lambda *_, **__: None))
            await stack.enter_async_context(serving(service, listener=listener, protocol=protocol))
            http = await stack.enter_async_context(aiohttp.ClientSession(url))
            return Running(url, settings, key, http, simulated_twilio, sandbox_url, service.connections)

        yield start_one


@pytest.fixture
async def running(start):
    """Start a service with the settings of `settings_for`."""
    return await start()
