"""Binds a port before anything else starts, so that a port in use is reported in one sentence.

`::` accepts IPv4 too, whatever the default of the machine is. Until a server is ready, the port is bound but does not
listen, and refuses connections.
"""

import errno
import socket

_PORT_ERRORS = {errno.EADDRINUSE, errno.EACCES, errno.EPERM}  # any other error is about the address


def listen(host: str, port: int) -> socket.socket:
    """Bind a port. Raises `OSError` with a sentence if it is in use or the address is not one of this machine."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sets TCP_NODELAY only if the protocol is named. Without it, a response waits 40 ms for an acknowledgement.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    try:
        listener.bind((host, port))
    except (OSError, TypeError, UnicodeError) as failure:  # TypeError, UnicodeError: not even a host name
        listener.close()
        reason = failure.strerror if isinstance(failure, OSError) else "not a host name"
        option = "--port" if getattr(failure, "errno", None) in _PORT_ERRORS else "--host"
        raise OSError(f"cannot listen on {host}:{port} ({reason}); choose another with {option}") from None
    return listener


def base_url(host: str, port: int) -> str:
    """Build the URL for a browser."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
