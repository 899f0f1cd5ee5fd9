"""The parent's view of a process of `serve --workers`: starts it, watches it, retires it or stops it."""

import asyncio
import os
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress

from service.serving.messages import READY, RETIRE, STOP

_START_SECONDS = 60.0
_END_SECONDS = 5.0
_SILENCES, _SILENCE_SECONDS = 15, 2.0  # counted, not measured: if this process was suspended, that counts as one


class Child:
    """One serving process."""

    def __init__(
        self, process: asyncio.subprocess.Process, reports: asyncio.StreamReader, orders: asyncio.StreamWriter
    ) -> None:
        self._process, self._reports, self._orders = process, reports, orders
        self.pid = process.pid

    @classmethod
    async def start(cls, listeners: Sequence[socket.socket]) -> "Child":
        """Start a process, without waiting until it is ready. If cancelled, leave no process behind."""
        ours, theirs = socket.socketpair()
        with theirs:
            reports, orders = await asyncio.open_unix_connection(sock=ours)
            numbers = [theirs.fileno(), *(listener.fileno() for listener in listeners)]
            command = [sys.executable, "-m", "service.serving.child", *map(str, (os.getpid(), *numbers))]
            starting = asyncio.create_task(asyncio.create_subprocess_exec(*command, pass_fds=numbers))
            try:
                process = await asyncio.shield(starting)
            except BaseException:
                orders.close()
                with suppress(OSError):  # it could not be started
                    process = await starting
                    process.kill()
                    await process.wait()
                raise
        return cls(process, reports, orders)

    async def is_ready(self) -> bool:
        """Wait until it serves. Return False if it has ended. Raises `TimeoutError` if it hangs."""
        async with asyncio.timeout(_START_SECONDS):
            with suppress(OSError, EOFError):
                return await self._reports.readuntil() == READY
        async with asyncio.timeout(_END_SECONDS):
            await self._process.wait()  # it has closed its channel: what it exits with says why
        return False

    async def watch(self) -> bool:
        """Wait until it ends. Return False if it hangs: it has sent no report for too long."""
        silences = 0
        while silences < _SILENCES:
            try:
                async with asyncio.timeout(_SILENCE_SECONDS):
                    report = await self._reports.readline()
            except TimeoutError:
                silences += 1
            except OSError:
                report = b""
            else:
                silences = 0
                if not report:
                    await self._process.wait()
                    return True
        return False

    def retire(self) -> None:
        """Tell it that another process has replaced it."""
        self._orders.write(RETIRE)

    def stop(self) -> None:
        """Tell it to stop, as all others do."""
        self._orders.write(STOP)

    def kill(self) -> None:
        """Kill it."""
        with suppress(ProcessLookupError):
            self._process.kill()

    async def ended(self) -> int:
        """Wait until it has ended; return its exit status."""
        status = await self._process.wait()
        self._orders.close()
        return status
