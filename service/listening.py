"""Listening: bind a port before anything starts, so that a taken one is a sentence and not a traceback.

`::` takes IPv4 as well, whatever the machine's default is: all commands and any number of workers answer alike.

A bound port that nobody listens on yet refuses connections; it listens from when a server is ready.
"""

import errno
import socket

_PORT_ERRORS = {errno.EADDRINUSE, errno.EACCES, errno.EPERM}  # what else goes wrong is the address


def listen(host: str, port: int) -> socket.socket:
    """Bind a port. Raises `OSError` with a sentence when it is taken, or when the address is none of this machine."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named, asyncio sets TCP_NODELAY; without it every answer waits 40 ms for an acknowledgement.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    try:
        listener.bind((host, port))
    except (OSError, TypeError, UnicodeError) as failure:  # the last two: the host cannot even be looked up
        listener.close()
        reason = failure.strerror if isinstance(failure, OSError) else "no name of a host"
        option = "--port" if getattr(failure, "errno", None) in _PORT_ERRORS else "--host"
        raise OSError(f"{host}:{port} cannot be listened on ({reason}); choose another with {option}") from None
    return listener


def base_url(host: str, port: int) -> str:
    """Write the address that a browser takes."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
