"""Unauthenticated and honest callers who share a proxy's connections to the service, and what each may receive.

A stranger has no credential of another caller. It hides requests in bodies, whole or partial, after headers that may
confuse a parser. An honest caller issues and checks codes; every response must be to its own request. Errors are
recorded as `complaints`.
"""

import asyncio
import json
import re
import secrets
import ssl
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus

import aiohttp

from tests.attacks.desync_messages import CHUNKED, chunks

WAITS = (0, 0, 0.002, 0.01, 0.05)  # seconds between two pieces
MOST_SECONDS = 10  # for one response to an honest caller
READ_SECONDS = 0.1  # a stranger waits no longer
ODD_LINES = (
    b"Connection: Upgrade\r\nUpgrade: h2c\r\n",
    b"Connection: Upgrade\r\nUpgrade: websocket\r\n",
    b"Connection: keep-alive, upgrade\r\nUpgrade: TLS/1.2, foo/2\r\n",
    b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n",
    b"Upgrade: h2c\r\n",
    b"Connection: Content-Type, X-Forwarded-For\r\n",
    b"Expect: 100-continue\r\n",
    b"TE: trailers\r\n",
)
_REQUEST_ID = re.compile(rb"x-request-id: *(\S+)\r\n", re.IGNORECASE)


def trusting():
    """Make a TLS context that asks for no certificate: the proxy's is the test's own."""
    trust = ssl.create_default_context()
    trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
    return trust


@dataclass
class Traffic:
    """All callers of one proxy, and their complaints."""

    service: object
    proxy: object
    complaints: list[str] = field(default_factory=list)
    honest_ids: set[bytes] = field(default_factory=set)
    honest_calls: int = 0
    strange_messages: int = 0

    def _has_seen(self, least):
        return min(self.honest_calls, self.strange_messages) >= least

    async def during(self, seconds, callers, *, least=100):
        """Run callers for some seconds, and for `least` calls of each kind; or until there is a complaint."""
        tasks = [asyncio.create_task(caller) for caller in callers]
        deadline = asyncio.get_running_loop().time() + seconds
        while not self.complaints and (asyncio.get_running_loop().time() < deadline or not self._has_seen(least)):
            done, _ = await asyncio.wait(tasks, timeout=0.1, return_when=asyncio.FIRST_COMPLETED)
            assert not done, [task.exception() for task in done]  # they run until they are stopped
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class HonestCaller:
    """Issues, checks a wrong code, then the right one, and reads, repeatedly, each with its own id."""

    def __init__(self, traffic, number):
        self._traffic, self._number = traffic, number

    async def call_on(self):
        """Run until stopped."""
        connector = aiohttp.TCPConnector(ssl=trusting())
        options = {"connector": connector, "timeout": aiohttp.ClientTimeout(total=MOST_SECONDS)}
        async with aiohttp.ClientSession(self._traffic.proxy.public, **options) as http:
            while True:
                await self._loop_once(http)

    async def _loop_once(self, http):
        issued = await self._ask(http, "POST", "/v1/verifications", {"to": self._number}, {"to": self._number})
        if issued is None:
            return
        one, own = f"/v1/verifications/{issued['id']}", {"id": issued["id"]}
        right = self._traffic.service.codes(self._number)[-1]
        wrong = str((int(right) + 1) % 10 ** len(right)).zfill(len(right))
        steps = (
            ("POST", f"{one}/verify", {"code": wrong}, own | {"valid": False}),
            ("POST", f"{one}/verify", {"code": right}, own | {"valid": True}),
            ("GET", one, None, own | {"status": "approved"}),
        )
        for step in steps:
            if await self._ask(http, *step) is None:
                return

    async def _ask(self, http, method, path, body, expected):
        """Make one call; return the response, None if it was not the expected one."""
        own_id = secrets.token_hex(16)
        self._traffic.honest_ids.add(own_id.encode())
        headers = {"Authorization": f"Bearer {self._traffic.service.key}", "X-Request-Id": own_id}
        try:
            async with http.request(method, path, json=body, headers=headers) as response:
                text = await response.text()
                answer = json.loads(text) if "json" in response.headers.get("Content-Type", "") else {}
        except (aiohttp.ClientError, TimeoutError) as error:
            self._traffic.complaints.append(f"{method} {path}: {error!r}")
            return None
        is_own = response.headers.get("X-Request-Id") == own_id
        if is_own and response.status == HTTPStatus.SERVICE_UNAVAILABLE:
            return None  # the machine is busy; that is not another caller's response
        if not is_own or {key: answer.get(key) for key in expected} != expected:
            self._traffic.complaints.append(f"{method} {path}, {own_id}: {response.status} {response.headers} {text}")
            return None
        self._traffic.honest_calls += 1
        return answer


class Stranger:
    """Sends random messages to the proxy on its own connections."""

    def __init__(self, traffic, draw, *, table, hidden):
        self._traffic, self._draw, self._table, self._hidden = traffic, draw, table, hidden

    async def call_on(self):
        """Run until stopped."""
        proxy = self._traffic.proxy
        while True:
            with suppress(OSError):
                reader, writer = await asyncio.open_connection(
                    "127.0.0.1", proxy.public_port, ssl=trusting() if proxy.name == "nginx" else None
                )
                try:
                    for _ in range(self._draw.randint(1, 3)):
                        await self._send_one(reader, writer)
                finally:
                    writer.transport.abort()

    async def _send_one(self, reader, writer):
        sent = self._draw.choice(self._table).sent if self._draw.random() < 0.3 else self._hiding()
        self._traffic.strange_messages += 1
        end_of_head = sent.find(b"\r\n\r\n") + 4
        cuts = sorted({end_of_head, self._draw.randrange(1, len(sent))})
        for start, end in zip([0, *cuts], [*cuts, len(sent)], strict=True):
            writer.write(sent[start:end])
            await writer.drain()
            await asyncio.sleep(self._draw.choice(WAITS))
        with suppress(TimeoutError):
            async with asyncio.timeout(READ_SECONDS):
                received = await reader.read(65536)
                if theirs := self._traffic.honest_ids.intersection(_REQUEST_ID.findall(received)):
                    self._traffic.complaints.append(f"a stranger received the response to {theirs.pop().decode()}")

    def _hiding(self):
        """Write a request with another in its body, whole or partial: the next caller's would continue it."""
        draw = self._draw
        body = b"".join(draw.choices(self._hidden, k=draw.randint(1, 2)))
        lines = b"".join(draw.sample(ODD_LINES, k=draw.randint(0, 2)))
        framing = CHUNKED if draw.random() < 0.5 else b"Content-Length: %d\r\n" % len(body)
        path = draw.choice([b"/v1/verifications", b"/v1/verifications/ve_%b/verify" % (b"0" * 32), b"/v1/x"])
        head = b"POST %b HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n" % path
        return head + lines + framing + b"\r\n" + (chunks(b" " + body) if framing is CHUNKED else body)
