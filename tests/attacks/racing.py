"""A race over raw sockets: all requests are sent except their last byte, then all last bytes at once.

Each uses a new connection: with reused connections even a naive verifier shows no race, because one pool sends the
requests one after the other.
"""

import asyncio
import json
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit


@dataclass(frozen=True)
class Racer:
    """One request, and its server."""

    url: str
    path: str
    body: dict
    headers: dict
    is_form: bool = False


async def race(racers):
    """Send all requests at once; return (status, JSON or None) of each, in order."""
    connections = await asyncio.gather(*(_line_up(racer) for racer in racers))
    await asyncio.sleep(0.1)  # the servers read what has arrived, and wait for one byte each
    for (_, writer), racer in zip(connections, racers, strict=True):
        writer.write(_written(racer)[-1:])
    return await asyncio.gather(*(_finish(reader, writer) for reader, writer in connections))


async def _line_up(racer):
    address = urlsplit(racer.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(_written(racer)[:-1])
    await writer.drain()
    return reader, writer


async def _finish(reader, writer):
    try:
        response = await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()
    head, _, body = response.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body) if body.startswith(b"{") else None


def _written(racer):
    body = (urlencode if racer.is_form else json.dumps)(racer.body).encode()
    media_type = "application/x-www-form-urlencoded" if racer.is_form else "application/json"
    headers = {"Host": "localhost", "Content-Type": media_type, "Content-Length": len(body)}
    lines = [f"{name}: {value}" for name, value in {**headers, "Connection": "close", **racer.headers}.items()]
    return "\r\n".join([f"POST {racer.path} HTTP/1.1", *lines, "", ""]).encode() + body
