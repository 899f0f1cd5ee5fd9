"""Listening: bind a port before anything starts, so that a taken one is a sentence and not a traceback.

`::` takes IPv4 as well, whatever the machine's default is: all commands and any number of workers answer alike.

A bound port that nobody listens on yet refuses connections; it listens from when a server is ready.
"""

import socket


def listen(host: str, port: int) -> socket.socket:
    """Bind a port. Raises `OSError` with a sentence when it is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named, asyncio sets TCP_NODELAY; without it every answer waits 40 ms for an acknowledgement.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    try:
        listener.bind((host, port))
    except OSError as failure:
        listener.close()
        raise OSError(f"{host}:{port} cannot be listened on ({failure.strerror}); choose another with --port") from None
    return listener


def base_url(host: str, port: int) -> str:
    """Write the address that a browser takes."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
