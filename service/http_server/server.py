"""The server: uvicorn's, with an accept loop of its own (`acceptor`) and the options that all uses share.

`serve`, the demo, the simulator and the tests run this server, so all serve the same protocol.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from service.http_server.acceptor import Acceptor
from service.http_server.protocol import HttpProtocol
from service.http_server.uvicorn_parts import Config, UvicornServer

Application: TypeAlias = Callable[..., Awaitable[None]]  # in ASGI

# Without `log_config`, uvicorn's own lines go where the process has `logging` send them.
_OPTIONS: dict[str, Any] = {
    "lifespan": "on",
    "log_level": "warning",
    "log_config": None,
    "access_log": False,
    "server_header": False,
    "proxy_headers": False,
}


class Server(UvicornServer):
    """Serves an application on sockets that are bound already. `options` are those of `uvicorn.Config`."""

    servers: list[Acceptor]  # type: ignore[assignment] # uvicorn closes them, and waits until they are closed

    def __init__(self, app: Application, *, protocol: type[HttpProtocol] = HttpProtocol, **options: Any) -> None:
        super().__init__(Config(app, http=protocol, **{**_OPTIONS, **options}))

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the application, then accept connections."""
        await super().startup([])  # with sockets, uvicorn would have the event loop accept
        limits = getattr(self.config.loaded_app, "connections", None)
        self.servers = [
            Acceptor(one, self.config.backlog, self._new_protocol, self.server_state.connections, limits)
            for one in sockets or ()
        ]

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no more connections, then end as uvicorn does."""
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
