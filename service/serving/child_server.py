"""The server of a process of `serve --workers`, and its protocol with the parent.

Over the channel it reports READY, and then ALIVE once a second while its event loop runs. The parent sends RETIRE when
another process has replaced this one, and STOP when all processes stop. The channel closes when the parent dies; then
this process ends too. It reads the settings and secrets itself.
"""

import asyncio
import socket
from collections.abc import Sequence
from contextlib import suppress

import uvloop

from service.config.settings import load_settings
from service.descriptors import raise_limit
from service.logs.event_log import open_event_log
from service.logs.library_log import take_over_output
from service.logs.writer import end_output
from service.serving.messages import ALIVE, READY, RETIRE
from service.serving.server import Server, run_server


def run_child(numbers: Sequence[int]) -> None:
    """Serve until the parent stops it. `numbers` are the descriptors of the channel and the listening sockets."""
    raise_limit()
    channel, *listeners = (socket.socket(fileno=number) for number in numbers)
    uvloop.run(_serve(channel, listeners))


async def _serve(channel: socket.socket, listeners: list[socket.socket]) -> None:
    orders, parent = await asyncio.open_unix_connection(sock=channel)

    def report(line: bytes) -> None:
        if not parent.is_closing():
            parent.write(line)

    settings = load_settings()
    take_over_output(settings.otp_log_level)
    server = Server(
        settings,
        open_event_log(settings.otp_log_level),
        is_alone=False,
        ready=lambda: report(READY),
        beat=lambda: report(ALIVE),
    )
    obeying = asyncio.create_task(_obey(orders, server))
    try:
        await run_server(server, listeners)
    finally:
        end_output()  # before the channel closes: a parent that waits for READY kills us then
    obeying.cancel()


async def _obey(orders: asyncio.StreamReader, server: Server) -> None:
    with suppress(OSError):  # the channel is reset if the parent died with unread reports
        while order := await orders.readline():
            if order == RETIRE:
                server.retire()
            else:
                server.stop(closes_port=True)
    server.stop_without_draining()
