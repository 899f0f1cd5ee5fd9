"""The wire language of Redis, version 2 (RESP2): commands to bytes, bytes to replies.

`pack` writes one command. `Parser` takes bytes as they come off the socket, cut anywhere, and gives back whole
replies in order. It never waits, and a long text is joined once, so one reader can serve thousands of calls.
Texts stay bytes; an error reply becomes the exception redis-py has for it, as a value: raising it is the caller's.

Source: https://redis.io/docs/latest/develop/reference/protocol-spec/ (the RESP2 parts).
"""

from collections.abc import Sequence
from typing import Any, TypeAlias

from redis._parsers import BaseParser
from redis.exceptions import RedisError

Word: TypeAlias = bytes | str | int
Reply: TypeAlias = Any  # bytes, int, None, a list of replies, or a RedisError

_CRLF = b"\r\n"
_BULK, _INTEGER, _STATUS, _LIST, _ERROR = b"$:+*-"
_LONGEST_LINE_BYTES = 64 * 1024
_LONGEST_BULK_BYTES = 512 * 1024 * 1024  # proto-max-bulk-len, the server's own limit


class ProtocolError(Exception):
    """Say that the bytes are not RESP2: nothing after this point can be matched to a call."""


def pack(words: Sequence[Word]) -> bytes:
    """Return one command as bytes; raise TypeError for a word that is not bytes, str or int."""
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        raw = word if type(word) is bytes else _encoded(word)
        parts.append(b"$%d\r\n%b\r\n" % (len(raw), raw))
    return b"".join(parts)


class Parser:
    """Keep what is left of an unfinished reply between two reads."""

    def __init__(self) -> None:
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._wanted_bytes = 0
        self._open_lists: list[tuple[list[Reply], int]] = []  # items so far, and how many there will be

    def feed(self, data: bytes) -> list[Reply]:
        """Take the next bytes and return the replies they complete, oldest first; raise ProtocolError on nonsense."""
        if self._held:
            # A long text arrives in many pieces: joining them only when all are there keeps the work linear.
            self._held.append(data)
            self._held_bytes += len(data)
            if self._held_bytes < self._wanted_bytes:
                return []
            data = b"".join(self._held)
            self._held = []
        try:
            return self._parse(data)
        except ValueError as error:
            raise ProtocolError("the server sent something that is not RESP2") from error

    def _parse(self, data: bytes) -> list[Reply]:
        replies: list[Reply] = []
        at = 0
        while at < len(data):
            end = data.find(_CRLF, at)
            if end < 0:
                if len(data) - at > _LONGEST_LINE_BYTES:
                    raise ValueError("a line without an end")
                self._hold(data, at, wanted_bytes=len(data) - at + 1)
                break
            item, after = self._item(data, at, end)
            if after > len(data):
                self._hold(data, at, wanted_bytes=after - at)
                break
            at = after
            if item is not _OPENED:
                self._place(item, replies)
        return replies

    def _item(self, data: bytes, at: int, end: int) -> tuple[Reply, int]:
        """Read the item whose first line is data[at:end], and where the next one starts (maybe beyond the data)."""
        kind, line, after = data[at], data[at + 1 : end], end + 2
        if kind == _BULK:
            return _bulk(data, after, size=int(line))
        if kind == _INTEGER:
            return int(line), after
        if kind == _STATUS:
            return line, after
        if kind == _ERROR:
            return _error(line), after
        if kind != _LIST:
            raise ValueError("an unknown kind of reply")
        return self._open_list(int(line)), after

    def _open_list(self, count: int) -> Reply:
        if count > 0:
            self._open_lists.append(([], count))
            return _OPENED
        return None if count < 0 else []

    def _place(self, item: Reply, replies: list[Reply]) -> None:
        """Put a finished item into the innermost open list, and that list, when full, into the one around it."""
        while self._open_lists:
            items, count = self._open_lists[-1]
            items.append(item)
            if len(items) < count:
                return
            self._open_lists.pop()
            item = items
        replies.append(item)

    def _hold(self, data: bytes, at: int, *, wanted_bytes: int) -> None:
        self._held = [data[at:]]
        self._held_bytes = len(data) - at
        self._wanted_bytes = wanted_bytes


_OPENED = object()  # a list has begun: no item yet


def _encoded(word: Word) -> bytes:
    if isinstance(word, str):
        return word.encode()
    if isinstance(word, int) and not isinstance(word, bool):
        return b"%d" % word
    if isinstance(word, bytes):
        return word
    raise TypeError(f"a Redis word is bytes, str or int, not {type(word).__name__}")


def _bulk(data: bytes, start: int, *, size: int) -> tuple[bytes | None, int]:
    if size < 0:
        return None, start
    if size > _LONGEST_BULK_BYTES:
        raise ValueError("a text over the server's own limit")
    stop = start + size
    if stop + 2 <= len(data) and data[stop : stop + 2] != _CRLF:
        raise ValueError("a text longer than announced")
    return data[start:stop], stop + 2


def _error(line: bytes) -> RedisError:
    error: RedisError = BaseParser.parse_error(line.decode(errors="replace"))  # type: ignore[no-untyped-call]
    return error
