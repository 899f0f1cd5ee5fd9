"""Desync: a server that takes body bytes for a request, or sends more or fewer responses than requests.

A trial sends the bytes of one message in pieces that the test chooses, each in a separate read if the server runs in
this event loop, then a probe. The probe's response identifies the probe, so all earlier responses belong to the
message: the outcome is their statuses in order, then `open` (the probe got a response) or `closes`. No trial waits for
time to pass, and a connection that stays open is used for the next trial.
"""

import asyncio
import itertools
import os
import random
import re
import secrets
import socket
from collections import deque
from contextlib import suppress
from dataclasses import dataclass

RANDOM_TESTS = 7  # rows to four servers, and strangers behind three proxies share this time
SECONDS = int(os.environ.get("DESYNC_SECONDS", "14")) / RANDOM_TESTS
SEED = os.environ.get("DESYNC_SEED") or secrets.token_hex(4)
# A short run cuts in two at every fourth byte from a random one; `make desync` at every byte.
PLACES = slice(None) if "DESYNC_SECONDS" in os.environ else slice(random.Random(SEED).randrange(4), None, 4)
CONNECTIONS = 24
MOST_SECONDS = 10  # for one trial; a server with this fault sends nothing
MOST_PLACES, LONG = 50, 2048  # a message of over 2 KiB is cut at 50 places only
LOOPS_TO_BE_ACCEPTED = 32  # otherwise the first pieces would arrive before the server reads, and be read at once
LOOPS_FOR_A_READ = 3  # the server reads in the second turn
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)\r\n", re.IGNORECASE)
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Message:
    """Bytes to send, and the expected outcomes: a pattern, with the target's names for its statuses."""

    name: str
    sent: bytes
    right: str


@dataclass
class Target:
    """A server under test: its requests, its responses, and how an executed canary is detected."""

    port: int
    get: bytes  # a path that returns 200
    post: bytes  # a path that accepts a body
    lines: bytes  # the headers of every request: Host, perhaps Origin
    credential: bytes
    media_type: bytes
    valid: bytes  # a valid body
    canary: bytes  # a whole request
    probe: bytes  # with {id}
    words: dict[str, str]
    executed: object  # returns the canaries executed since the last call

    def pattern(self, right):
        """Write a pattern of outcomes with this server's statuses."""
        return re.sub(r"[a-z]+", lambda word: self.words.get(word[0], word[0]), right)


class Connection:
    """One connection; bytes sent after the server has closed are lost, earlier responses are still read."""

    def __init__(self, port):
        self._port, self._loop, self._received = port, asyncio.get_running_loop(), b""
        self._socket = socket.socket()
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    async def open(self):
        """Connect; return the connection."""
        await self._loop.sock_connect(self._socket, ("127.0.0.1", self._port))
        for _ in range(LOOPS_TO_BE_ACCEPTED):
            await asyncio.sleep(0)
        return self

    def close(self):
        """Close."""
        self._socket.close()

    async def send(self, pieces):
        """Send each piece when the previous one was read."""
        for piece in pieces:
            with suppress(ConnectionError):
                await self._loop.sock_sendall(self._socket, piece)
            for _ in range(LOOPS_FOR_A_READ):
                await asyncio.sleep(0)

    async def response(self, *, to_head=False):
        """Read one response, `100 Continue` included; return (status, bytes), or None if the server has closed."""
        while (taken := _taken(self._received, to_head=to_head)) is None:
            try:
                piece = await self._loop.sock_recv(self._socket, 65536)
            except ConnectionError:
                piece = b""
            if not piece:
                return (b"cut", self._received) if self._received else None
            self._received += piece
        status, size = taken
        whole, self._received = self._received[:size], self._received[size:]
        return status, whole


def _taken(received, *, to_head):
    """Find the first response: (status, size), None while it is incomplete."""
    head, end, _ = received.partition(b"\r\n\r\n")
    if not end:
        return None
    status = head[9:12]
    if not re.fullmatch(rb"HTTP/1\.[01] [1-5][0-9][0-9] ", head[:13]):
        return b"garbled", len(received)
    length = _LENGTH.search(head + b"\r\n")
    size = len(head) + 4 + (int(length[1]) if length and not to_head else 0)
    return None if len(received) < size else (status, size)


async def outcome(connection, target, pieces):
    """Run one trial on a connection; return its outcome."""
    statuses, name = [], b"%016x" % next(_numbers)
    is_head = b"".join(pieces[:2]).startswith(b"HEAD ")
    await connection.send(pieces)
    await connection.send([target.probe.replace(b"{id}", name)])
    try:
        async with asyncio.timeout(MOST_SECONDS):
            while True:
                response = await connection.response(to_head=is_head and not statuses)
                if response is None:
                    return " ".join([*statuses, "closes"])
                status, whole = response
                if name in whole:
                    return " ".join([*statuses, "open"])
                if not status.startswith(b"1"):
                    statuses.append(status.decode())
                if status in {b"cut", b"garbled"}:
                    return " ".join(statuses)
    except TimeoutError:
        return " ".join([*statuses, "silence"])


def every_cut(sent):
    """Return the ways to send a message: whole, in two at every place of the run, byte by byte."""
    last = len(sent) - 1
    places = range(1, last + 1)[PLACES] if len(sent) <= LONG else range(1, last + 1, last // (MOST_PLACES - 1))
    ways = [("whole", [sent]), *((f"cut at {at}", [sent[:at], sent[at:]]) for at in places)]
    if len(sent) <= LONG:
        ways.append(("byte by byte", [sent[at : at + 1] for at in range(len(sent))]))
    return ways


async def faults_of(target, trials):
    """Run trials (name, way, pieces, expected outcomes); return a sentence for each kind of wrong outcome."""
    waiting, ways = iter(trials), {}

    async def play():
        connection = None
        for name, way, pieces, right in waiting:
            connection = connection or await Connection(target.port).open()
            came = await outcome(connection, target, pieces)
            is_right = re.fullmatch(target.pattern(right), came)
            if not is_right:
                ways.setdefault(f"{name}: {came}; right is: {right}", []).append(way)
            if not is_right or not came.endswith("open"):
                connection.close()
                connection = None
            if came.endswith("silence"):
                deque(waiting, maxlen=0)  # a server that does not respond would fail each time, and take too long
        if connection is not None:
            connection.close()

    await asyncio.gather(*(play() for _ in range(CONNECTIONS)))
    wrong = [f"{what} ({len(how)} ways, such as {how[0]})" for what, how in ways.items()]
    return [f"a canary was executed: {each}" for each in target.executed()] + wrong


async def faults_of_message(target, message):
    """Send a message in every way; return a sentence for each fault."""
    ways = ((message.name, way, pieces, message.right) for way, pieces in every_cut(message.sent))
    return sorted(
        {f"{message.name}: {fault}" if "canary" in fault else fault for fault in await faults_of(target, ways)}
    )
