"""Desync: a server that takes bytes of a body for a request, or answers more or less often than it was asked.

A trial sends the bytes of one message in the pieces of the test's choice, each in a read of its own where the server
runs in this event loop, then a probe. The probe's answer names the probe, so that all that came before it belongs to
the message: the outcome is the statuses in their order, then `open` (the probe was answered) or `closes`.
No trial waits for a time to pass, and a connection that stays open is used for the next trial.
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

RANDOM_TESTS = 7  # rows to four servers, and strangers behind three proxies; they share the time
SECONDS = int(os.environ.get("DESYNC_SECONDS", "14")) / RANDOM_TESTS
SEED = os.environ.get("DESYNC_SEED") or secrets.token_hex(4)
# A short run cuts in two at every fourth byte, from a random one on; `make desync` at every byte.
PLACES = slice(None) if "DESYNC_SECONDS" in os.environ else slice(random.Random(SEED).randrange(4), None, 4)
CONNECTIONS = 24
MOST_SECONDS = 10  # for one trial; a server that lets it pass is silent
MOST_PLACES, LONG = 50, 2048  # a message of over 2 KiB is cut at 50 places only
LOOPS_TO_BE_ACCEPTED = 32  # else the first pieces would be there before the server reads, and come in one read
LOOPS_FOR_A_READ = 3  # the server's turn to read comes with the second
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)\r\n", re.IGNORECASE)
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Message:
    """Bytes to send, and the outcomes that are right: a pattern, with the target's words for its statuses."""

    name: str
    sent: bytes
    right: str


@dataclass
class Target:
    """A server under test: how it is asked, what it answers, and how a canary that was executed is seen."""

    port: int
    get: bytes  # an address that answers 200
    post: bytes  # an address that takes a body
    lines: bytes  # the headers that every request has: Host, perhaps Origin
    credential: bytes
    media_type: bytes
    valid: bytes  # a body that is understood
    canary: bytes  # a whole request
    probe: bytes  # with {id}
    words: dict[str, str]
    executed: object  # gives the canaries that were executed since it was asked last

    def pattern(self, right):
        """Write a pattern of outcomes with this server's statuses."""
        return re.sub(r"[a-z]+", lambda word: self.words.get(word[0], word[0]), right)


class Connection:
    """One connection; what is sent after the server has closed is lost in silence, what came before is still read."""

    def __init__(self, port):
        self._port, self._loop, self._received = port, asyncio.get_running_loop(), b""
        self._socket = socket.socket()
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    async def open(self):
        """Connect; give the connection."""
        await self._loop.sock_connect(self._socket, ("127.0.0.1", self._port))
        for _ in range(LOOPS_TO_BE_ACCEPTED):
            await asyncio.sleep(0)
        return self

    def close(self):
        """Close."""
        self._socket.close()

    async def send(self, pieces):
        """Send each piece when the one before it was read."""
        for piece in pieces:
            with suppress(ConnectionError):
                await self._loop.sock_sendall(self._socket, piece)
            for _ in range(LOOPS_FOR_A_READ):
                await asyncio.sleep(0)

    async def response(self, *, to_head=False):
        """Read one response, an interim one too; give (status, its bytes), or None when the server has closed."""
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
    """Find the first response: (status, its size), None while it is not whole."""
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
    """Play one trial on a connection; give its outcome."""
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
    """Give the ways to send a message: whole, in two at every place of the run, byte by byte."""
    last = len(sent) - 1
    places = range(1, last + 1)[PLACES] if len(sent) <= LONG else range(1, last + 1, last // (MOST_PLACES - 1))
    ways = [("whole", [sent]), *((f"cut at {at}", [sent[:at], sent[at:]]) for at in places)]
    if len(sent) <= LONG:
        ways.append(("byte by byte", [sent[at : at + 1] for at in range(len(sent))]))
    return ways


async def faults_of(target, trials):
    """Play trials (name, way, pieces, right outcomes); give a sentence for each kind of wrong outcome of a name."""
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
                deque(waiting, maxlen=0)  # a server that is silent would be so each time, and cost too much of it
        if connection is not None:
            connection.close()

    await asyncio.gather(*(play() for _ in range(CONNECTIONS)))
    wrong = [f"{what} ({len(how)} ways, such as {how[0]})" for what, how in ways.items()]
    return [f"a canary was executed: {each}" for each in target.executed()] + wrong


async def faults_of_message(target, message):
    """Send a message in every way; give a sentence for each fault."""
    ways = ((message.name, way, pieces, message.right) for way, pieces in every_cut(message.sent))
    return sorted(
        {f"{message.name}: {fault}" if "canary" in fault else fault for fault in await faults_of(target, ways)}
    )
