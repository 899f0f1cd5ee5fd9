"""The wire language of Redis, version 2 (RESP2), by hiredis: commands to bytes, bytes to replies.

`Parser` takes bytes as they come off the socket, cut anywhere, and gives back whole replies in order;
it never waits. Texts stay bytes; an error reply becomes the exception redis-py has for it, as a value:
raising it is the caller's. (https://redis.io/docs/latest/develop/reference/protocol-spec/)
"""

from collections.abc import Sequence
from typing import Any, TypeAlias

import hiredis
from redis._parsers import BaseParser
from redis.exceptions import RedisError

Word: TypeAlias = bytes | str | int
Reply: TypeAlias = Any  # bytes, int, None, a list of replies, or a RedisError


class ProtocolError(Exception):
    """Say that the bytes are not RESP: nothing after this point can be matched to a call."""


def pack(words: Sequence[Word]) -> bytes:
    """Return one command as bytes; raise TypeError for a word that cannot be one."""
    packed: bytes = hiredis.pack_command(tuple(words))  # type: ignore[arg-type]  # its stub names a 1-tuple
    return packed


class Parser:
    """Keeps what is left of an unfinished reply between two reads."""

    def __init__(self) -> None:
        self._reader = hiredis.Reader(protocolError=ProtocolError, replyError=_error, notEnoughData=_UNFINISHED)

    def feed(self, data: bytes) -> list[Reply]:
        """Take the next bytes and return the replies they complete, oldest first; raise ProtocolError on nonsense."""
        self._reader.feed(data)
        replies = []
        while (reply := self._reader.gets()) is not _UNFINISHED:
            replies.append(reply)
        return replies


_UNFINISHED = object()


def _error(line: str) -> RedisError:
    error: RedisError = BaseParser.parse_error(line)  # type: ignore[no-untyped-call]
    return error
