"""A closed-loop load generator: raw HTTP/1.1 over keep-alive connections, bounded by its list of requests.

wrk.py costs the target less, but plays by the clock: it needs more verifications than may be pending in some benches.
"""

import asyncio
import time

_PATIENCE_SECONDS = 60


class _Connection(asyncio.Protocol):
    """Sends its requests one after the other and notes how long each answer took (seconds)."""

    def __init__(self, requests, latencies, statuses):
        self._requests = iter(requests)
        self._latencies = latencies
        self._statuses = statuses
        self._received = b""
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport):
        self._transport = transport

    def begin(self):
        """Send the first request; each answer sends the next."""
        self._next()

    def data_received(self, data):
        self._received += data
        status = status_of(self._received)
        if status is None:
            return
        self._latencies.append(time.perf_counter() - self._sent_at)
        self._statuses[status] = self._statuses.get(status, 0) + 1
        self._received = b""
        self._next()

    def connection_lost(self, failure):
        if not self.done.done():
            self.done.set_exception(failure or ConnectionError("the server closed"))

    def _next(self):
        request = next(self._requests, None)
        if request is None:
            if not self.done.done():
                self.done.set_result(None)
            self._transport.close()
            return
        self._sent_at = time.perf_counter()
        self._transport.write(request)


async def run_load(port, requests, *, connections):
    """Send all requests over so many connections; give (seconds that it took, sorted latencies, statuses)."""
    latencies, statuses = [], {}
    loop = asyncio.get_running_loop()
    clients = [
        (
            await loop.create_connection(
                lambda i=i: _Connection(requests[i::connections], latencies, statuses), "127.0.0.1", port
            )
        )[1]
        for i in range(connections)
    ]
    started = time.perf_counter()
    for client in clients:
        client.begin()
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            await asyncio.gather(*(client.done for client in clients))
    except TimeoutError:
        stuck = sum(not client.done.done() for client in clients)
        raise SystemExit(f"{stuck} connections got no answer; {len(latencies)} answers came: {statuses}") from None
    return time.perf_counter() - started, sorted(latencies), statuses


def status_of(received):
    """Give the status of a whole answer; None while it is unfinished."""
    head_end = received.find(b"\r\n\r\n")
    if head_end < 0:
        return None
    head = received[:head_end].lower()
    length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
    return int(head[9:12]) if len(received) >= head_end + 4 + length else None


def post(path, body, *, token=None):
    """Write one JSON POST."""
    authorization = f"Authorization: Bearer {token}\r\n" if token else ""
    head = f"POST {path} HTTP/1.1\r\nHost: bench\r\n{authorization}Content-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode()
