"""The promises of `http_server.deferred`: each iteration of the event loop begins few requests of strangers."""

import asyncio
import contextlib

from service.http_server import Connections, DeferredRequests, HttpProtocol
from service.http_server.deferred import BUDGET_SECONDS
from tests.http_server.conftest import Direct, Seen, serving

REQUEST = b"GET /%d HTTP/1.1\r\nHost: localhost\r\n%b\r\n"
KEY = b"Authorization: Bearer key\r\n"


class Work:
    """Requests that take the given time, and the iteration of the event loop in which each ran."""

    def __init__(self):
        self.now = 0.0
        self.iteration = 0
        self.ran = []
        self.deferred = DeferredRequests(clock=lambda: self.now)

    def add(self, name, seconds):
        """Add a request that takes so long."""
        self.deferred.add(lambda: asyncio.get_running_loop().call_soon(self._run, name, seconds))

    def _run(self, name, seconds):
        self.now += seconds
        self.ran.append((self.iteration, name))

    async def until(self, count):
        """Count the iterations until so many requests have run; give how many ran in each."""
        while len(self.ran) < count:
            self.iteration += 1
            await asyncio.sleep(0)
        iterations = [iteration for iteration, _ in self.ran]
        return [iterations.count(one) for one in sorted(set(iterations))]


async def test_an_iteration_begins_what_fits_the_budget():
    """However many wait, those that begin in one iteration take the budget together, and half of it more at most."""
    work = Work()
    for number in range(200):
        work.add(number, BUDGET_SECONDS / 10)
    each = await work.until(200)
    assert max(each) <= 11
    assert len(each) < 30  # it uses the budget


async def test_a_long_request_leaves_fewer_to_the_next_iteration():
    """After requests that were cheap, dear ones exceed the budget once; then fewer begin, but always one."""
    work = Work()
    for number in range(100):
        work.add(number, BUDGET_SECONDS / 10)
    for number in range(100, 150):
        work.add(number, BUDGET_SECONDS * 2)
    each = await work.until(150)
    assert set(each[-30:]) == {1}


async def test_they_begin_in_the_order_in_which_they_came():
    """Nobody waits longer than for those who came before."""
    work = Work()
    for number in range(50):
        work.add(number, BUDGET_SECONDS / 3)
    await work.until(50)
    assert [name for _, name in work.ran] == list(range(50))


class Dear(Direct):
    """An application that knows requests with a credential; each of the others takes the whole budget."""

    def __init__(self, seen):
        super().__init__(seen)
        self.deferred = DeferredRequests(clock=lambda: len(seen.requests))

    def direct(self, request):
        """Let requests without a credential wait."""
        handler, deferred = super().direct(request)
        return handler, None if b"authorization" in request.head.headers else deferred


def end(writer):
    """End a connection."""
    writer.transport.abort()


async def asked(stack, port, sent):
    """Open a connection and write; give its two streams."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    stack.callback(end, writer)
    writer.write(sent)
    return reader, writer


async def test_a_credential_overtakes_the_requests_of_strangers():
    """A request with a valid credential is answered before those of strangers that arrived at the same time."""
    seen = Seen()
    async with contextlib.AsyncExitStack() as stack:
        port = await stack.enter_async_context(serving(HttpProtocol, Dear(seen)))
        known_reader, known = await asked(stack, port, REQUEST % (1, KEY))
        await known_reader.readuntil(b"]")
        readers = [(await asked(stack, port, REQUEST % (0, b"") * 20))[0] for _ in range(20)]
        known.write(REQUEST % (1, KEY))
        await known_reader.readuntil(b"]")
        answered_before = len(seen.requests)
        await asyncio.gather(*(reader.readuntil(b"]") for reader in readers))
        for reader in readers:
            for _ in range(19):
                await reader.readuntil(b"]")
    assert answered_before < 200
    assert len(seen.requests) == 2 + 20 * 20


class Kept(list):
    """Deferred requests that begin when the test calls them."""

    add = list.append


async def test_who_waits_for_a_turn_gives_place_to_a_new_connection(eventually):
    """Strangers whose requests wait cannot exclude new clients by filling all places."""
    seen = Seen()
    app = Dear(seen)
    app.deferred, app.connections = Kept(), Connections(4)
    async with serving(HttpProtocol, app) as port, contextlib.AsyncExitStack() as stack:
        for _ in range(4):
            await asked(stack, port, REQUEST % (0, b""))
        assert await eventually(lambda: len(app.deferred) == 4)
        for _ in range(3):
            reader, _ = await asked(stack, port, REQUEST % (1, KEY))
            assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
    assert [path for _, path, _ in seen.requests] == ["/1"] * 3


async def test_the_request_of_a_client_that_has_left_does_not_begin(eventually):
    """The request of a stranger who disconnects before its turn costs nothing more."""
    seen = Seen()
    app = Direct(seen, are_known=False)
    app.deferred = Kept()
    async with serving(HttpProtocol, app) as port, contextlib.AsyncExitStack() as stack:
        stays, _ = await asked(stack, port, REQUEST % (1, b""))
        assert await eventually(lambda: len(app.deferred) == 1)
        async with contextlib.AsyncExitStack() as left:
            await asked(left, port, REQUEST % (2, b""))
            assert await eventually(lambda: len(app.deferred) == 2)
        gone = app.deferred[1].func.__self__
        assert await eventually(lambda: gone.disconnected)
        for begin in app.deferred:
            begin()
        await stays.readuntil(b"]")
    assert [path for _, path, _ in seen.requests] == ["/1"]
