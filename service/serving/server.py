"""The HTTP server of one process, on sockets that are bound already.

It promises that a stop fails no request. While it drains, it serves requests, and each response is the last of its
connection. Before it closes its listening sockets, it accepts all waiting connections. Then it answers open requests,
for at most GRACE_SECONDS. A second signal ends the process at once; what is in Redis by then is kept.

It overrides `capture_signals`, `handle_exit` and `on_tick` of uvicorn's `Server`, which are not a documented interface.
"""

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from service.app import create_app
from service.config.settings import Settings
from service.core.event_log import EventLog
from service.http_server import STARTUP_FAILURE, HttpProtocol
from service.http_server import Server as HttpServer
from service.serving.closing import accept_the_last

GRACE_SECONDS = 10
_BACKLOG = 2048
_TICKS = 10  # of uvicorn per second
_RETIRING_SECONDS = 5.0  # a client that calls more often learns from a response that its connection closes


class Server(HttpServer):
    """Our HTTP server, which drains before it stops.

    `is_alone`: no other process serves on the same sockets, and this one handles the signals. `ready` is called when
    it serves, `beat` once a second. `held` are sockets that it closes when it stops, but not when it retires.
    """

    def __init__(
        self,
        settings: Settings,
        event_log: EventLog,
        *,
        is_alone: bool,
        ready: Callable[[], None] = lambda: None,
        beat: Callable[[], None] = lambda: None,
        held: Sequence[socket.socket] = (),
    ) -> None:
        app = create_app(settings, event_log=event_log)
        super().__init__(
            app,
            backlog=_BACKLOG,
            timeout_keep_alive=settings.otp_keep_alive,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
        self._connections = app.connections
        self._drain_seconds = settings.otp_drain_seconds
        self._event_log = event_log
        self._is_alone = self._closes_port = is_alone
        self._ready, self._beat, self._held = ready, beat, held
        self.is_stopping = False
        self._stop_at: float | None = None

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle the signals that end the process. Unlike uvicorn, do not raise them again afterwards."""
        signals = (signal.SIGINT, signal.SIGTERM) if self._is_alone else (signal.SIGTERM,)
        before = {number: signal.signal(number, self.handle_exit) for number in signals}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's signature
        """Begin to drain; on a second signal, end at once, even if the event loop is blocked.

        With a parent, only the parent counts signals: one to the process group reaches this process twice.
        """
        if self._is_alone and self.is_stopping:
            signal.signal(sig, signal.SIG_DFL)
            os.kill(os.getpid(), sig)
        self.stop()

    def stop(self, *, closes_port: bool = False) -> None:
        """Begin to drain. `closes_port`: all other processes on the same sockets stop too."""
        self._closes_port |= closes_port
        if not self.is_stopping:
            self.is_stopping = True
            self._stop_at = time.monotonic() + self._drain_seconds
        if not self.started or self._drain_seconds == 0:
            self.should_exit = True

    def stop_without_draining(self) -> None:
        """Close the listening sockets now, answer open requests, and end."""
        self.is_stopping = self.should_exit = True

    def retire(self) -> None:
        """Accept no more connections, since another process listens on the same sockets; end when all have closed.

        Each response is the last of its connection. Connections that stay idle for some seconds are closed.
        """
        self._connections.is_ending = True
        for server in self.servers:
            server.close()
        self._take_leave()
        self._stop_at = time.monotonic() + max(self._drain_seconds, _RETIRING_SECONDS)
        self._drain_seconds = 0  # a stop after this needs no drain: the next process answers /readyz

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start serving, and report it."""
        await super().startup(sockets)
        if self.started:
            self._ready()

    async def on_tick(self, counter: int) -> bool:
        """Report once a second, begin to drain, and end when it is time."""
        if counter % _TICKS == 0:
            self._beat()
        if self.is_stopping and not self._connections.is_draining:
            self._connections.drain()
            self._take_leave()
            self._event_log("draining", pid=os.getpid())
        is_alone = self._connections.is_ending and not self._connections.is_draining and not len(self._connections)
        if self._stop_at is not None and (is_alone or time.monotonic() >= self._stop_at):
            self.should_exit = True
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept the connections that wait, since closing the sockets would reset them; then answer and end."""
        self._connections.is_ending = True
        waiting = await accept_the_last(sockets or []) if self.is_stopping and self._closes_port else []
        if self.is_stopping:
            for listener in self._held:
                listener.close()
        for server in self.servers:
            server.close()
        for connection in waiting:
            self.servers[0].connect(connection)
        await super().shutdown(sockets)

    def _take_leave(self) -> None:
        for connection in list(self.server_state.connections):
            if isinstance(connection, HttpProtocol):
                connection.take_leave()


async def run_server(server: Server, listeners: Sequence[socket.socket]) -> None:
    """Serve until it is stopped, and close the listeners. Exit with 3 if it cannot start."""
    await server.serve(sockets=list(listeners))
    if not server.started:
        raise SystemExit(STARTUP_FAILURE)
