"""A process of `serve --workers`: `python -m service.serving.child CHANNEL LISTENER…`, the numbers of open sockets.

Over the channel it tells its parent that it is ready, and then once a second that its event loop turns. It reads there
that another process has taken its place (RETIRE), or that all are to end (STOP). The end of the channel is the end of
the parent, even by kill -9: then it ends too, else it would keep the port. It reads settings and secrets by itself.
"""

import asyncio
import signal
import socket
import sys

import uvloop

from service.config.settings import load_settings
from service.descriptors import raise_limit
from service.library_log import take_over_output
from service.log_writer import end_output
from service.serving.server import Server, run_server
from service.telemetry import open_journal

READY, ALIVE, RETIRE, STOP = b"ready\n", b"alive\n", b"retire\n", b"stop\n"


async def _serve(channel: socket.socket, listeners: list[socket.socket]) -> None:
    orders, parent = await asyncio.open_unix_connection(sock=channel)

    def report(line: bytes) -> None:
        if not parent.is_closing():
            parent.write(line)

    settings = load_settings()
    take_over_output(settings.otp_log_level)
    server = Server(
        settings,
        open_journal(settings.otp_log_level),
        is_alone=False,
        ready=lambda: report(READY),
        beat=lambda: report(ALIVE),
    )
    obeying = asyncio.create_task(_obey(orders, server))
    try:
        await run_server(server, listeners)
    finally:
        end_output()  # before the channel ends, at which a parent that waits for READY kills us
    obeying.cancel()


async def _obey(orders: asyncio.StreamReader, server: Server) -> None:
    while order := await orders.readline():
        if order == RETIRE:
            server.retire()
        else:
            server.stop(closes_port=True)
    server.stop_without_draining()


def main() -> None:
    """Serve until it is told to end."""
    for number in (signal.SIGINT, signal.SIGHUP):  # a terminal sends them to all; the parent says what they mean for us
        signal.signal(number, signal.SIG_IGN)
    raise_limit()
    channel, *listeners = (socket.socket(fileno=int(number)) for number in sys.argv[1:])
    uvloop.run(_serve(channel, listeners))


if __name__ == "__main__":
    main()
