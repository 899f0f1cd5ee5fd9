"""A TCP proxy in front of a server: it delays, drops replies, cuts connections, adds TLS, and counts."""

import asyncio
import contextlib


class Proxy:
    """Forward TCP on loopback; `drops_replies` discards what the server sends, `cut` ends all connections."""

    def __init__(self, port, *, tls=None):
        self._server_port = port
        self._tls = tls
        self._writers = []
        self._tasks = set()
        self.delay_seconds = 0.0
        self.drops_replies = False
        self.connections = 0
        self.chunks = 0

    async def __aenter__(self):
        self._listener = await asyncio.start_server(self._join, "127.0.0.1", 0, ssl=self._tls)
        self.port = self._listener.sockets[0].getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}"
        return self

    async def __aexit__(self, *_):
        self._listener.close()
        self.cut()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def cut(self):
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _join(self, reader, writer):
        self.connections += 1
        self._tasks.add(asyncio.current_task())
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._server_port)
        self._writers += [writer, server_writer]
        await asyncio.gather(self._forward(reader, server_writer), self._forward(server_reader, writer, replies=True))

    async def _forward(self, reader, writer, *, replies=False):
        with contextlib.suppress(OSError):
            while data := await reader.read(1 << 20):
                self.chunks += not replies
                await asyncio.sleep(self.delay_seconds)
                if not (replies and self.drops_replies):
                    writer.write(data)
        writer.transport.abort()
