"""A cluster of two fake nodes that speak RESP over TCP: they redirect as a test says, as real nodes do not for ever.

Without a fault each node runs the commands of its half of the slots, knows a script once it had its text, and answers
MOVED for other slots.
"""

import asyncio
import contextlib

import hiredis
from redis.crc import key_slot

SLOTS = 16384


class FakeNode:
    """One node, which counts its commands."""

    def __init__(self, cluster, place):
        self._cluster = cluster
        self.first, self.last = place * SLOTS // 2, (place + 1) * SLOTS // 2 - 1
        self.commands = 0
        self.serving = {}  # by connection: its task
        self._scripts = set()

    async def start(self):
        self._listener = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._listener.sockets[0].getsockname()[1]

    async def close(self):
        self._listener.close()
        for writer in self.serving:
            writer.transport.abort()
        if self.serving:
            await asyncio.wait(self.serving.values())

    async def _serve(self, reader, writer):
        self.serving[writer] = asyncio.current_task()
        parser = hiredis.Reader()
        with contextlib.suppress(OSError):
            while data := await reader.read(1 << 16):
                parser.feed(data)
                while words := parser.gets():
                    writer.write(self._reply(*words))
        del self.serving[writer]
        writer.transport.abort()

    def _reply(self, name, *words):
        if name == b"CLUSTER":
            return self._cluster.slot_map()
        if name in {b"CLIENT", b"ASKING", b"WAIT"}:
            return b":1\r\n"
        self.commands += 1
        is_script = name in {b"EVAL", b"EVALSHA"}
        slot = key_slot(words[2 if is_script else 0])
        if self._cluster.redirect is not None:
            return self._cluster.redirect(self, slot)
        if not self.first <= slot <= self.last:
            return redirection("MOVED", slot, self._cluster.other(self).port)
        if name == b"EVALSHA" and not self._scripts:
            return b"-NOSCRIPT No matching script.\r\n"
        if name == b"EVAL":
            self._scripts.add(words[0])
        return b"*1\r\n:1\r\n"


class FakeCluster:
    """Two nodes; a fault is a function `redirect(node, slot)` for all commands, or `slot_map()` for CLUSTER SLOTS."""

    def __init__(self):
        self.nodes = FakeNode(self, 0), FakeNode(self, 1)
        self.heal()

    async def __aenter__(self):
        for node in self.nodes:
            await node.start()
        return self

    async def __aexit__(self, *_):
        for node in self.nodes:
            await node.close()

    @property
    def url(self):
        return "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)

    @property
    def open_connections(self):
        return sum(len(node.serving) for node in self.nodes)

    @property
    def commands(self):
        """The number of commands and scripts that were answered, in any way."""
        return sum(node.commands for node in self.nodes)

    def heal(self):
        self.redirect, self.slot_map = None, self.ranges

    def other(self, node):
        return self.nodes[node is self.nodes[0]]

    def ranges(self, host=b"127.0.0.1", port=None):
        """Return the reply to CLUSTER SLOTS that names the nodes, or others in their place."""
        rows = [
            b"*3\r\n:%d\r\n:%d\r\n*2\r\n$%d\r\n%b\r\n:%d\r\n"
            % (node.first, node.last, len(host), host, port or node.port)
            for node in self.nodes
        ]
        return b"*2\r\n" + b"".join(rows)


def redirection(word, slot, port, host="127.0.0.1"):
    """Return a reply that redirects a command to another node."""
    return f"-{word} {slot} {host}:{port}\r\n".encode()
