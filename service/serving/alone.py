"""Serves with one worker, in this process. On SIGHUP a child takes over, and this process becomes its parent."""

import asyncio
import signal
import socket
from collections.abc import Callable, Sequence

from service.config.settings import Settings
from service.core.event_log import EventLog
from service.serving.server import Server, run_server
from service.serving.supervisor import Supervisor, new_settings


async def serve_alone(
    settings: Settings, listeners: Sequence[socket.socket], event_log: EventLog, *, ready: Callable[[], None]
) -> bool:
    """Serve until SIGTERM or SIGINT; `ready` is called once it serves. Return False if a process could not start."""
    server = Server(settings, event_log, is_alone=True, ready=ready, held=listeners)
    supervisor = Supervisor(listeners, 1, drain_seconds=settings.otp_drain_seconds, event_log=event_log)
    asked = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, asked.set)
    serving = asyncio.create_task(run_server(server, [listener.dup() for listener in listeners]))
    handing_over = asyncio.create_task(_hand_over(server, supervisor, asked, event_log))
    await serving
    handing_over.cancel()
    await asyncio.wait([handing_over])  # it may be starting a process
    if not supervisor.has_started:
        return True
    if server.is_stopping:
        supervisor.stop()
    elif asked.is_set():  # a SIGHUP came while this process retired
        supervisor.reload()
    return await supervisor.run()


async def _hand_over(server: Server, supervisor: Supervisor, asked: asyncio.Event, event_log: EventLog) -> None:
    while True:
        await asked.wait()
        asked.clear()
        if new_settings(event_log) is None:
            continue
        if await supervisor.start():
            server.retire()
            event_log("reload_done")
            return
        event_log("reload_failed", reason="a new process cannot serve; this one stays")
