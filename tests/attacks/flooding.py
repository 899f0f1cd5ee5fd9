"""A flood of unauthenticated clients in its own process: `python -m tests.attacks.flooding PORT CONNECTIONS PATH`.

Each of its connections writes 4 KiB of pipelined requests without a credential, reads all responses, and is replaced by
a new connection. It prints `flooding` after as many connections have ended as it first opened, and goes on until it is
stopped.
"""

import asyncio
import contextlib
import sys

import uvloop

PIPELINE_BYTES = 4096


def pipeline(path):
    """Write as many requests as fit into 4 KiB; the last one closes the connection."""
    one = b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % path
    last = b"GET %b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % path
    return one * ((PIPELINE_BYTES - len(last)) // len(one)) + last


class _Stranger(asyncio.Protocol):
    """One connection that discards what it reads."""

    def __init__(self, sent):
        self._sent = sent
        self.ended = asyncio.get_running_loop().create_future()

    def connection_made(self, transport):
        transport.write(self._sent)

    def connection_lost(self, _):
        self.ended.set_result(None)


async def _strangers(port, sent, ended):
    loop = asyncio.get_running_loop()
    while True:
        with contextlib.suppress(OSError):
            _, one = await loop.create_connection(lambda: _Stranger(sent), "127.0.0.1", port)
            await one.ended
            ended.release()


async def _report(ended, count):
    for _ in range(count):
        await ended.acquire()
    print("flooding", flush=True)


async def _flood(port, connections, path):
    ended = asyncio.Semaphore(0)
    strangers = (_strangers(port, pipeline(path), ended) for _ in range(connections))
    await asyncio.gather(_report(ended, connections), *strangers)


if __name__ == "__main__":
    uvloop.run(_flood(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3].encode()))
