"""uvicorn's server with an accept loop of our own (`acceptor`): the server of `serve`, the demo and the simulator.

Of uvicorn's `Server` it overrides `startup` and `shutdown`, and uses `servers`, `server_state`, `lifespan` and the
arguments of a protocol class. That is no documented interface, so `pyproject.toml` has an upper bound.
"""

import asyncio
import socket

import uvicorn

from service.http_server.acceptor import Acceptor


class Server(uvicorn.Server):
    """Serves on sockets that are bound already."""

    servers: list[Acceptor]  # type: ignore[assignment] # uvicorn closes them, and waits until they are closed

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the application, then accept connections."""
        await super().startup([])  # with sockets, uvicorn would have the event loop accept
        bound = getattr(self.config.loaded_app, "connections", None)
        self.servers = [
            Acceptor(one, self.config.backlog, self._new_protocol, self.server_state.connections, bound)
            for one in sockets or ()
        ]

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no more; then end as uvicorn does, which ends the connections that it knows."""
        for server in self.servers:
            server.close()
            await server.wait_closed()
        await super().shutdown(sockets)

    def _new_protocol(self) -> asyncio.Protocol:
        return self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
            _loop=asyncio.get_running_loop(),
        )
