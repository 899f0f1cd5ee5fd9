"""A relay before a service that ends connections early, answers nonsense or nothing, as a test plans."""

import asyncio
from contextlib import asynccontextmanager, suppress


class Relay:
    """Passes requests on to a service, or treats them as planned: one entry for each request, the first one next."""

    def __init__(self):
        self.plans = []
        self.keeps = True  # connections, after their first response
        self.requests = 0
        self._port = None
        self._tasks = set()

    def lead_to(self, url):
        """Choose the service."""
        self._port = int(url.rpartition(":")[2])

    async def _connected(self, reader, writer):
        self._tasks.add(asyncio.current_task())
        asyncio.current_task().add_done_callback(self._tasks.discard)
        answered = 0
        with suppress(ConnectionError, EOFError, asyncio.CancelledError):
            while request := await _message(reader):
                self.requests += 1
                if answered and not self.keeps:
                    break
                plan = self.plans.pop(0) if self.plans else "pass"
                if plan == "close":
                    break
                if plan == "hang":
                    await asyncio.Event().wait()
                if isinstance(plan, bytes):
                    writer.write(plan)
                    break
                answer = await self._asked(request)
                if plan == "lose":
                    break
                writer.write(answer)
                await writer.drain()
                answered += 1
        writer.close()

    async def _asked(self, request):
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        writer.write(request)
        answer = await _message(reader)
        writer.close()
        return answer

    @asynccontextmanager
    async def listening(self):
        """Listen until the block ends; yield the address."""
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        try:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()  # it hangs, or waits for a next request
            await asyncio.gather(*self._tasks, return_exceptions=True)


async def _message(reader):
    """Read one request or response with its body; nothing at the end of the connection."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return b""
    lines = dict(line.lower().split(b":", 1) for line in head.split(b"\r\n")[1:] if b":" in line)
    return head + await reader.readexactly(int(lines.get(b"content-length", b"0")))
