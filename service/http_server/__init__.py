"""The HTTP/1.1 server of `serve`, the demo and the simulator: uvicorn with limits on requests and connections.

    server          the server, for whatever serves HTTP here
    protocol        one connection, one request at a time
    exchange        one request and its response
    request_parser  parses requests with httptools, never past the end of a request
    clock           the time-outs of one connection
    connections     how many may be open, which one is closed for a new one, and draining
    deferred        requests without a valid credential, some in each iteration of the event loop
    acceptor        accepts the connections of one listening socket
    application     what an application may offer besides ASGI: direct responses, and error responses
    uvicorn_parts   all that is used of uvicorn, most of it private

It knows nothing of the service:

    await Server(app).serve(sockets=[listener])
"""

from service.http_server.application import DirectApplication, DirectHandler, RawResponse, RequestView
from service.http_server.connections import Connections
from service.http_server.deferred import DeferredRequests
from service.http_server.protocol import HttpProtocol
from service.http_server.request_parser import Head
from service.http_server.server import Server
from service.http_server.uvicorn_parts import STARTUP_FAILURE

__all__ = [
    "STARTUP_FAILURE",
    "Connections",
    "DeferredRequests",
    "DirectApplication",
    "DirectHandler",
    "Head",
    "HttpProtocol",
    "RawResponse",
    "RequestView",
    "Server",
]
