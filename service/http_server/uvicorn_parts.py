"""Every part of uvicorn that the service uses; no other module imports it.

Most of this is private: `protocol` and `exchange` extend the protocol and a request's cycle, `server` and `serving`
override methods of the server. So `pyproject.toml` has an upper bound for uvicorn, and `test_uvicorn.py` fails if these
methods change.
"""

from uvicorn import Config
from uvicorn import Server as UvicornServer
from uvicorn.config import STARTUP_FAILURE
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT, FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

__all__ = [
    "HIGH_WATER_LIMIT",
    "STARTUP_FAILURE",
    "STATUS_LINE",
    "Config",
    "FlowControl",
    "HttpToolsProtocol",
    "RequestResponseCycle",
    "UvicornServer",
]
