"""Lua scripts, and calls of a script that are packed in advance.

Packing costs as much for a word that is the same in every call as for any other. So for a script that runs often, a
`PreparedScript` packs such words once.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from service.redis_client.resp import Argument, pack, pack_words


@dataclass(frozen=True)
class Script:
    """A Lua script that begins with `#!lua`; without that line a cluster of one node accepts keys of several slots."""

    name: str
    text: str

    def __post_init__(self) -> None:
        if not self.text.startswith("#!lua"):
            raise ValueError(f"the script {self.name} does not begin with #!lua")

    @cached_property
    def sha(self) -> str:
        """The SHA-1 of the text in hex, which EVALSHA takes."""
        return hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()

    def call(self, keys: Sequence[str], args: Sequence[Argument]) -> bytes:
        """Pack a call of the script by its SHA."""
        return pack((b"EVALSHA", self.sha, len(keys), *keys, *args))

    def call_with_text(self, keys: Sequence[str], args: Sequence[Argument]) -> bytes:
        """Pack a call for a node that does not know the script."""
        return pack((b"EVAL", self.text, len(keys), *keys, *args))


class PreparedScript:
    """A script with most of the keys and arguments of its calls; None stands for a word that each call gives."""

    def __init__(self, script: Script, keys: Sequence[str | None], args: Sequence[Argument | None]) -> None:
        words = (len(keys), *keys, *args)
        self.name = script.name
        self._count = len(words) + 2
        self._by_sha = _format((b"EVALSHA", script.sha, *words))
        self._by_text = _format((b"EVAL", script.text, *words))

    def call(self, given: Sequence[bytes], further: Sequence[Argument] = ()) -> bytes:
        """Pack a call of the script by its SHA: `given` has a word for each None, `further` are more arguments."""
        return self._filled(self._by_sha, given, further)

    def call_with_text(self, given: Sequence[bytes], further: Sequence[Argument] = ()) -> bytes:
        """Pack a call for a node that does not know the script."""
        return self._filled(self._by_text, given, further)

    def _filled(self, packed_format: bytes, given: Sequence[bytes], further: Sequence[Argument]) -> bytes:
        places: list[int | bytes] = [self._count + len(further)]
        for word in given:
            places += (len(word), word)
        packed = packed_format % tuple(places)
        return packed + pack_words(further) if further else packed


def _format(words: Sequence[Argument | None]) -> bytes:
    """Pack the words; in place of None and of the number of words, put what the operator % fills in."""
    packed = [b"$%d\r\n%b\r\n" if word is None else pack_words((word,)).replace(b"%", b"%%") for word in words]
    return b"*%d\r\n" + b"".join(packed)
