"""The HTTP/1.1 server of `serve`, of the demo and of the simulator: uvicorn's, with promises of its own.

    protocol        one connection: uvicorn's protocol, one request at a time.
                    The one module that leans on private parts of uvicorn
    connections     how many there may be, who gives way to a newcomer, and that all shall end
    clock           what a client may take its time for, and for how long
    request_parser  requests out of bytes: httptools, never fed past the end of a request
    application     what an application may offer beside ASGI: direct answers, and the server's refusals

It knows nothing of the service. Give `HttpProtocol` to uvicorn as `http=`.
"""

from service.http_server.application import Answer, DirectApplication, RequestView
from service.http_server.connections import Connections
from service.http_server.protocol import HttpProtocol

__all__ = ["Answer", "Connections", "DirectApplication", "HttpProtocol", "RequestView"]
