"""A flood of strangers in its own process: `python -m tests.attacks.flooding PORT CONNECTIONS PATH [ADDRESSES]`.

Each of its connections writes 4 KiB of pipelined requests, reads all responses, and is replaced by a new connection.
They come from ADDRESSES loopback addresses. PATH may be several, divided by commas. One that begins with `POST:` is
posted to, with an empty object; one that begins with a client token and a colon is read with it. It prints `flooding`
when it has as many responses as connections, and goes on until it is stopped.
"""

import asyncio
import contextlib
import itertools
import sys

import uvloop

PIPELINE_BYTES = 4096
JSON = "Content-Type: application/json\r\nContent-Length: 2\r\n"


def request(path, lines=""):
    """Write one request."""
    if path.startswith("POST:"):
        return f"POST {path[5:]} HTTP/1.1\r\nHost: x\r\n{JSON}{lines}\r\n{{}}".encode()
    token, _, path = path.rpartition(":")
    credential = f"Authorization: Bearer {token}\r\n" if token else ""
    return f"GET {path} HTTP/1.1\r\nHost: x\r\n{credential}{lines}\r\n".encode()


def pipeline(path):
    """Write as many requests as fit into 4 KiB; the last one closes the connection."""
    one, last = request(path), request(path, "Connection: close\r\n")
    return one * ((PIPELINE_BYTES - len(last)) // len(one)) + last


class _Stranger(asyncio.Protocol):
    """One connection that discards what it reads."""

    def __init__(self, sent, answered):
        self._sent, self._answered = sent, answered
        self.ended = asyncio.get_running_loop().create_future()

    def connection_made(self, transport):
        transport.write(self._sent)

    def data_received(self, _):
        if self._answered is not None:
            self._answered.release()
            self._answered = None

    def connection_lost(self, _):
        self.ended.set_result(None)


async def _strangers(port, sent, answered, address):
    loop, local = asyncio.get_running_loop(), (address, 0)
    while True:
        with contextlib.suppress(OSError):
            _, one = await loop.create_connection(
                lambda: _Stranger(sent, answered), "127.0.0.1", port, local_addr=local
            )
            await one.ended


async def _report(answered, count):
    for _ in range(count):
        await answered.acquire()
    print("flooding", flush=True)


async def _flood(port, connections, paths, addresses):
    answered = asyncio.Semaphore(0)
    kinds, hosts = itertools.cycle(pipeline(path) for path in paths), itertools.cycle(range(1, addresses + 1))
    strangers = (
        _strangers(port, next(kinds), answered, f"127.0.0.{next(hosts)}" if addresses > 1 else "127.0.0.1")
        for _ in range(connections)
    )
    await asyncio.gather(_report(answered, connections), *strangers)


if __name__ == "__main__":
    ADDRESSES = int(sys.argv[4]) if len(sys.argv) > 4 else 1
    uvloop.run(_flood(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3].split(","), ADDRESSES))
