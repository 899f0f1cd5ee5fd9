"""The HTTP/1.1 server of `serve`, the demo and the simulator: uvicorn with limits on requests and connections.

    protocol        one connection: uvicorn's protocol, one request at a time
    exchange        one request and its response
    server          uvicorn's server, accepting connections in our way
    acceptor        accepts the connections of one listening socket
    connections     how many may be open, which one is closed for a new one, and draining
    clock           time-outs of one connection
    request_parser  parses requests with httptools, never past the end of a request
    application     what an application may offer besides ASGI: direct responses, and error responses

It knows nothing of the service. Give `HttpProtocol` to uvicorn's `Config` as `http=`, and that to `Server`.
`protocol`, `exchange` and `server` use private parts of uvicorn, and nothing else does.
"""

from service.http_server.application import DirectApplication, DirectHandler, RawResponse, RequestView
from service.http_server.connections import Connections
from service.http_server.protocol import HttpProtocol
from service.http_server.server import Server

__all__ = [
    "Answer",
    "Connections",
    "DirectApplication",
    "DirectHandler",
    "HttpProtocol",
    "RawResponse",
    "RequestView",
    "Server",
]
