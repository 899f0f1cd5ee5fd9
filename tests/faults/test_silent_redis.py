"""A Redis that falls silent at any point: each request ends in time, with 503 and Retry-After, and the next ones too.

The service waits for a replica, and finds the primary by Sentinel; a proxy before the primary falls silent.
"""

import asyncio
import contextlib
import re
from contextlib import AsyncExitStack
from uuid import uuid4

import aiohttp
import pytest

from tests.conftest import starter
from tests.redis_client.proxy import Proxy
from tests.redis_client.servers import replicated_server

WAIT_MS = 500
# A check takes at most a command, a wait for the replicas, one for who is told, and a command that takes it back: 6 s,
# as a command takes up to 1 s, and a wait 2 s. The rest is for a slow machine.
LONGEST_SECONDS = 10
COMMAND = re.compile(rb"(?:^|\r\n)\*\d+\r\n")
LOADING = b"-LOADING Redis is loading the dataset in memory\r\n"


class Failing(Proxy):
    """Passes everything on, until a command has a word: from then on it answers nothing, or the same to everything."""

    def __init__(self, port):
        super().__init__(port)
        self.heal()

    def heal(self):
        """Pass everything on again, on new connections."""
        self.word, self.has_failed, self.answer = None, False, b""
        self.cut()

    def fail(self, answer=b""):
        """Fail from now on."""
        self.has_failed, self.answer = True, answer

    async def _forward(self, reader, writer, *, replies=False):
        if writer not in self._writers:  # cut meanwhile
            writer.transport.abort()
            return
        client = writer if replies else self._writers[self._writers.index(writer) - 1]
        with contextlib.suppress(OSError):
            while data := await reader.read(1 << 20):
                if not replies and self.word and self.word in data:
                    self.has_failed = True
                if not self.has_failed:
                    writer.write(data)
                elif not replies and self.answer:
                    client.write(self.answer * len(COMMAND.findall(data)))
        writer.transport.abort()


class Sentinel:
    """Names the proxy as the primary, as a real Sentinel in front of it would; silent, it answers nothing."""

    def __init__(self, port):
        self.is_silent = False
        self._answer = b"*2\r\n$9\r\n127.0.0.1\r\n$%d\r\n%d\r\n" % (len(str(port)), port)

    async def __aenter__(self):
        self._listener = await asyncio.start_server(self._join, "127.0.0.1", 0)
        self.port = self._listener.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self._listener.close()

    async def _join(self, reader, writer):
        with contextlib.suppress(OSError):
            while await reader.read(1 << 20):
                if not self.is_silent:
                    writer.write(self._answer)
        writer.transport.abort()


@pytest.fixture
async def deployed(tmp_path):
    """Run a primary with a replica, and a service that finds it by Sentinel and reaches it through a proxy."""
    async with AsyncExitStack() as stack:
        primary, _ = stack.enter_context(replicated_server(tmp_path))
        redis = await stack.enter_async_context(Failing(primary.port))
        sentinel = await stack.enter_async_context(Sentinel(redis.port))
        start = await stack.enter_async_context(starter(None))
        service = await start(
            redis_url=f"redis+sentinel://127.0.0.1:{sentinel.port}/main", otp_wait_replicas=1, otp_wait_ms=WAIT_MS
        )
        yield service, redis, sentinel


async def ask(service, method, path, body=None):
    """Make a request that must end in time; return its status, and whether it names a time to repeat it."""
    keyed = {"Idempotency-Key": uuid4().hex} if method == "POST" else {}
    limit = aiohttp.ClientTimeout(LONGEST_SECONDS)
    status, _, headers = await service.call(method, path, body, headers=keyed, timeout=limit)
    return status, "Retry-After" in headers


def requests(verification_id, code):
    """Return a request of each kind."""
    one = f"/v1/verifications/{verification_id}"
    return {
        "issue": ("POST", "/v1/verifications", {"to": "+12125550177"}),
        "check": ("POST", f"{one}/verify", {"code": code}),
        "resend": ("POST", f"{one}/resend"),
        "read": ("GET", one),
        "cancel": ("POST", f"{one}/cancel"),
    }


async def pending(service, number):
    """Issue a verification; return its id and its code."""
    issued = await again(service, "POST", "/v1/verifications", {"to": number})
    message = next(each for each in reversed(service.sandbox.ledger.messages()) if each.to == number)
    return issued["id"], re.search(r"\b[0-9]{4,8}\b", message.body)[0]


async def all_refused(service, asked):
    """Make each request at once; all must be refused for now, in time."""
    answers = await asyncio.gather(*(ask(service, *each) for each in asked.values()))
    assert dict(zip(asked, answers, strict=True)) == dict.fromkeys(asked, (503, True))


async def again(service, *request):
    """Repeat a request, with one key, until it succeeds; return its body."""
    headers = {"Idempotency-Key": uuid4().hex}
    async with asyncio.timeout(30):
        while True:
            status, body, _ = await service.call(*request, headers=headers)
            if status < 300:
                return body
            assert status in {409, 503}, body
            await asyncio.sleep(0.1)


def fail_silently(redis, _):
    redis.fail()


def accept_and_never_answer(redis, _):
    redis.cut()
    redis.fail()


def load(redis, _):
    redis.fail(LOADING)


def connect_while_loading(redis, _):
    redis.cut()
    redis.fail(LOADING)


def silence_both(redis, sentinel):
    accept_and_never_answer(redis, sentinel)
    sentinel.is_silent = True


async def test_each_request_ends_in_time_while_redis_answers_nothing(deployed):
    """An open connection falls silent, a new one is never answered, Redis loads, Sentinel is silent too: always 503."""
    service, redis, sentinel = deployed
    for break_it in (fail_silently, accept_and_never_answer, load, connect_while_loading, silence_both):
        verification_id, code = await pending(service, "+12125550123")
        asked = requests(verification_id, code)
        break_it(redis, sentinel)
        await all_refused(service, asked)
        redis.heal()
        sentinel.is_silent = False
        assert (await again(service, *asked["check"]))["verdict"] == "approved", break_it.__name__


@pytest.mark.parametrize(
    ("kind", "word"), [("issue", b"look"), ("issue", b"WAIT"), ("check", b"SET"), ("check", b"tell")]
)
async def test_a_request_ends_in_time_when_redis_falls_silent_within_it(deployed, kind, word):
    """Redis falls silent at one of the two waits of a check, or that of an issue: 503, and the code is valid still."""
    service, redis, _ = deployed
    verification_id, code = await pending(service, "+12125550123")
    asked = requests(verification_id, code)
    await asyncio.sleep(0.05)  # just after the wait of the issue, a check leaves out its first one
    redis.word = b"\r\n%s\r\n" % word
    assert await ask(service, *asked[kind]) == (503, True)
    assert redis.has_failed
    await all_refused(service, asked)
    redis.heal()
    assert (await again(service, *asked["check"]))["verdict"] == "approved"
