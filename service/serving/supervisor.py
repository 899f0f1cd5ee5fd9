"""The parent of `serve --workers`: keeps several processes serving on the same listening sockets.

It promises: a process that dies or hangs, ready or not, is logged and replaced, and none outlives the parent. It is
replaced at once, and if its replacements die too, after pauses that grow to 30 s; SIGHUP ends a pause. If one cannot
serve at the first start, the log says so and the service ends. SIGHUP replaces all processes one by one; each new one
serves before an old one stops accepting, so no request fails. If the new settings are invalid, the old processes stay.
At a stop the parent closes its own listening sockets first. They are then closed as soon as the last process closes its
own, so no client stays connected to a socket that no process accepts from.
"""

import asyncio
import signal
import socket
import time
from collections.abc import Callable, Coroutine, Sequence

from service.config.settings import Settings, SettingsRefused, load_settings, missing_to_serve
from service.core.event_log import EventLog
from service.serving.child_handle import Child
from service.serving.server import GRACE_SECONDS

# Before another try, if a replacement does not start or soon dies: without a pause, processes that die at every start
# would use whole cores and fill the log.
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 1.0, 30.0
_STEADY_SECONDS = 60.0  # a process that served for so long is replaced at once
_CLOSING_SECONDS = 12.0  # for confirmations and connections, after the open requests
_NOT_READY = "it was not ready yet"
_KILLING_SECONDS = 5.0  # a killed process ends at once, unless it waits in the kernel


class Supervisor:
    """Keeps `count` processes. `drain_seconds` is how long each still serves after it was told to stop.

    `ready` is called once all serve for the first time.
    """

    def __init__(
        self,
        listeners: Sequence[socket.socket],
        count: int,
        *,
        drain_seconds: float,
        event_log: EventLog,
        ready: Callable[[], None] = lambda: None,
    ) -> None:
        self._listeners, self._count, self._event_log, self._ready = listeners, count, event_log, ready
        self._drain_seconds = drain_seconds
        self._serving: set[Child] = set()
        self._all: set[Child] = set()  # including those that start or retire
        self._tasks: set[asyncio.Task[None]] = set()
        self._pauses: set[asyncio.Task[None]] = set()  # before the next try to start a process
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
        """Start all processes. Return False if one cannot serve; the log says why."""
        return all(await asyncio.gather(*(self._add() for _ in range(self._count))))

    async def run(self) -> bool:
        """Start the processes if needed, and keep them until SIGTERM or SIGINT. Return False if they cannot start."""
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
        """Stop all processes; on a second call, kill them."""
        self._stops += 1
        self._stopping.set()
        if self._stops > 1:
            self._kill_all()

    def reload(self) -> None:
        """Replace all processes; if called while that happens, do it once more afterwards."""
        self._reload_again = True
        if self._reloading is None or self._reloading.done():
            self._reloading = self._spawn(self._reload())

    async def _begin(self) -> None:
        if await self.start():
            self._ready()
        else:
            self._event_log("start_failed", reason="a process ended or hung before it was ready")
            self._has_failed = True
            self.stop()

    async def _reload(self) -> None:
        while self._reload_again:
            self._reload_again = False
            settings = new_settings(self._event_log)
            if settings is None:
                continue
            for pause in self._pauses:
                pause.cancel()  # the new settings may be the cure
            self._drain_seconds = max(
                self._drain_seconds, settings.otp_drain_seconds
            )  # some processes still have the old setting
            for old in list(self._serving):
                if not await self._replace(old):
                    self._event_log("reload_failed", reason="a new process cannot serve; the old ones stay")
                    break
            else:
                self._event_log("reload_done")

    async def _replace(self, old: Child) -> bool:
        if old not in self._serving:  # it died meanwhile and was replaced
            return True
        if not await self._add():
            return False
        if old in self._serving:
            self._serving.discard(old)
            old.retire()
            await old.ended()
        else:
            self._serving.pop().retire()  # it died just now and was replaced: retire the surplus one
        return True

    async def _add(self, *, pause_seconds: float = 0.0) -> bool:
        """Start a process. Return False if it ends or hangs before it is ready; the log names it.

        `pause_seconds` is the pause before its own replacement, should it die soon.
        """
        try:
            child = await Child.start(self._listeners)
        except OSError as failure:  # too many processes or descriptors, or no memory
            self._event_log("process_lost", reason=f"it cannot be started ({failure.strerror})")
            return False
        self._all.add(child)
        try:
            is_ready = await child.is_ready()
        except TimeoutError:
            self._event_log("process_hung", pid=child.pid, reason=_NOT_READY)
            is_ready = False
        if is_ready:
            self._serving.add(child)
            self._spawn(self._keep(child, pause_seconds))
        else:
            child.kill()
            status = await child.ended()
            self._all.discard(child)
            self._event_log("process_lost", pid=child.pid, status=status, reason=_NOT_READY)
        return is_ready

    async def _keep(self, child: Child, pause_seconds: float) -> None:
        """Wait until a process ends; replace it if it was serving."""
        ready_at = time.monotonic()
        if not await child.watch():
            self._event_log("process_hung", pid=child.pid)
            child.kill()
        status = await child.ended()
        self._all.discard(child)
        if child in self._serving:
            self._serving.discard(child)
            self._event_log("process_lost", pid=child.pid, status=status)
            is_steady = time.monotonic() - ready_at >= _STEADY_SECONDS
            await self._replace_lost(pause_seconds=0.0 if is_steady else pause_seconds)

    async def _replace_lost(self, *, pause_seconds: float) -> None:
        """Start a process, after a pause, until one is ready."""
        is_ready = False
        while not is_ready:
            if pause_seconds and not await self._pause(pause_seconds):
                pause_seconds = 0.0
            pause_seconds = min(max(2 * pause_seconds, _FIRST_PAUSE_SECONDS), _LONGEST_PAUSE_SECONDS)
            is_ready = await self._add(pause_seconds=pause_seconds)

    async def _pause(self, seconds: float) -> bool:
        """Wait for so long. Return False if a reload ends the pause."""
        pause = asyncio.create_task(asyncio.sleep(seconds))
        self._pauses.add(pause)
        try:
            await asyncio.wait([pause])
        finally:
            self._pauses.discard(pause)
            pause.cancel()  # if this task is cancelled
        return not pause.cancelled()

    async def _cancel_tasks(self) -> None:
        """Stop starting processes: from here on, `_all` has every process."""
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
    """Read the settings again. If they are invalid, log `reload_failed` and return None."""
    try:
        settings = load_settings()
        missing = missing_to_serve(settings)
    except SettingsRefused as refusal:
        missing = [str(refusal)]
    if missing:
        event_log("reload_failed", reason=" ".join(missing))
        return None
    return settings
