"""The Redis protocol, version 2 (RESP2), on top of hiredis: commands to bytes, bytes to replies.

`Parser` accepts bytes as they arrive, split anywhere, and returns complete replies in order. Strings stay bytes. An
error reply becomes the exception that redis-py has for it, as a value: the caller raises it.

Source: https://redis.io/docs/latest/develop/reference/protocol-spec/
"""

from collections.abc import Sequence
from typing import Any, TypeAlias

import hiredis

from service.redis_client.redis_py import error_of_reply

Argument: TypeAlias = bytes | str | int
Reply: TypeAlias = Any  # bytes, int, None, a list of replies, or a RedisError


class ProtocolError(Exception):
    """The bytes are not RESP, so no later reply can be matched to its command."""


def pack(words: Sequence[Argument]) -> bytes:
    """Return one command (its name and arguments) as bytes; raise TypeError for an argument of another type."""
    packed: bytes = hiredis.pack_command(tuple(words))  # type: ignore[arg-type]  # its stub names a 1-tuple
    return packed


def pack_words(words: Sequence[Argument]) -> bytes:
    """Return a part of a command as bytes: some of its arguments."""
    packed = pack(words)
    return packed[packed.index(b"\n") + 1 :]  # without the first line, which tells their number


class Parser:
    """Parses replies; keeps an incomplete one until its next bytes arrive."""

    def __init__(self) -> None:
        self._reader = hiredis.Reader(protocolError=ProtocolError, replyError=error_of_reply, notEnoughData=_INCOMPLETE)

    def feed(self, data: bytes) -> list[Reply]:
        """Return the replies that these bytes complete, oldest first; raise ProtocolError if they are not RESP."""
        self._reader.feed(data)
        replies = []
        while (reply := self._reader.gets()) is not _INCOMPLETE:
            replies.append(reply)
        return replies


_INCOMPLETE = object()
