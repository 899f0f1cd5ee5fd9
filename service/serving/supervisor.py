"""The parent of `serve --workers`: keeps several processes serving on the same listening sockets.

It promises: a process that dies or hangs is replaced, and none outlives the parent. SIGHUP replaces all processes one
by one; each new one serves before an old one stops accepting, so no request fails. Invalid new settings replace
nothing. At a stop the parent closes its own listening sockets first, so that they are closed as soon as the last
process has closed its own, and no client stays connected to a socket that nobody accepts from.
"""

import asyncio
import signal
import socket
from collections.abc import Coroutine, Sequence

from service.config.settings import Settings, SettingsRefused, load_settings, missing_to_serve
from service.core.event_log import EventLog
from service.serving.child_handle import Child
from service.serving.server import GRACE_SECONDS

_PAUSE_SECONDS = 1.0  # before a process that is lost is replaced, so that one which cannot live does not burn a core
_CLOSING_SECONDS = 12.0  # for a worker's confirmations and the connections, when requests have been answered
_KILLING_SECONDS = 5.0  # a killed process ends at once, but for one that waits in the kernel


class Supervisor:
    """Keeps `count` processes; `drain_seconds` is how long each goes on serving when it is told to end."""

    def __init__(
        self, listeners: Sequence[socket.socket], count: int, *, drain_seconds: float, event_log: EventLog
    ) -> None:
        self._listeners, self._count, self._event_log = listeners, count, event_log
        self._drain_seconds = drain_seconds
        self._serving: set[Child] = set()
        self._all: set[Child] = set()  # those too that start, or have been replaced
        self._tasks: set[asyncio.Task[None]] = set()
        self._stops = 0
        self._stopping = asyncio.Event()
        self._reloading: asyncio.Task[None] | None = None
        self._reload_again = False
        self._has_failed = False

    @property
    def has_started(self) -> bool:
        """Whether there are processes."""
        return bool(self._all)

    async def start(self) -> bool:
        """Start all; False when one cannot serve (it has said why)."""
        return all(await asyncio.gather(*(self._add() for _ in range(self._count))))

    async def run(self) -> bool:
        """Start all unless that was done, keep them until SIGTERM or SIGINT, let them end. False: they cannot start."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.stop)
        loop.add_signal_handler(signal.SIGHUP, self.reload)
        if not self.has_started:
            self._spawn(self._begin())
        await self._stopping.wait()
        await self._cancel_tasks()
        await self._end_all()
        return not self._has_failed

    def stop(self) -> None:
        """Let all end; asked again, at once."""
        self._stops += 1
        self._stopping.set()
        if self._stops > 1:
            self._kill_all()

    def reload(self) -> None:
        """Replace all by new ones; asked meanwhile, once more afterwards."""
        self._reload_again = True
        if self._reloading is None or self._reloading.done():
            self._reloading = self._spawn(self._reload())

    async def _begin(self) -> None:
        if not await self.start():
            self._has_failed = True
            self.stop()

    async def _reload(self) -> None:
        while self._reload_again:
            self._reload_again = False
            settings = new_settings(self._event_log)
            if settings is None:
                continue
            self._drain_seconds = max(self._drain_seconds, settings.otp_drain_seconds)  # some have the old one still
            for old in list(self._serving):
                if not await self._replace(old):
                    self._event_log("reload_failed", reason="a new process cannot serve; the old ones stay")
                    break
            else:
                self._event_log("reload_done")

    async def _replace(self, old: Child) -> bool:
        if old not in self._serving:  # lost meanwhile, and replaced
            return True
        if not await self._add():
            return False
        if old in self._serving:
            self._serving.discard(old)
            old.retire()
            await old.ended()
        else:
            self._serving.pop().retire()  # it was lost just now and is replaced already: one of them is too many
        return True

    async def _add(self) -> bool:
        child = await Child.start(self._listeners)
        self._all.add(child)
        is_ready = await child.is_ready()
        if is_ready:
            self._serving.add(child)
        else:
            child.kill()
        self._spawn(self._keep(child))
        return is_ready

    async def _keep(self, child: Child) -> None:
        """Wait for a process's end; replace it unless somebody wanted that."""
        if not await child.watch():
            self._event_log("process_hung", pid=child.pid)
            child.kill()
        status = await child.ended()
        self._all.discard(child)
        if child in self._serving:
            self._serving.discard(child)
            self._event_log("process_lost", pid=child.pid, status=status)
            await self._replace_lost()

    async def _replace_lost(self) -> None:
        while True:
            if await self._add():
                return
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _cancel_tasks(self) -> None:
        """Start nothing more; from here on `_all` has every process."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _end_all(self) -> None:
        for listener in self._listeners:
            listener.close()
        for child in self._all:
            child.stop()
        ends = [asyncio.create_task(child.ended()) for child in self._all]
        if ends:
            await asyncio.wait(ends, timeout=self._drain_seconds + GRACE_SECONDS + _CLOSING_SECONDS)
            self._kill_all()
            await asyncio.wait(ends, timeout=_KILLING_SECONDS)

    def _kill_all(self) -> None:
        for child in self._all:
            child.kill()

    def _spawn(self, work: Coroutine[None, None, None]) -> "asyncio.Task[None]":
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def new_settings(event_log: EventLog) -> Settings | None:
    """Read the settings anew; None, and a line in the log, when they cannot be used."""
    try:
        settings = load_settings()
        missing = missing_to_serve(settings)
    except SettingsRefused as refusal:
        missing = [str(refusal)]
    if missing:
        event_log("reload_failed", reason=" ".join(missing))
        return None
    return settings
