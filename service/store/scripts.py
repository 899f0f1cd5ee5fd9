"""The scripts: read from `lua/` once, run through the multiplexer, failures told in the core's words.

A line `--@include name.lua` is replaced by that file, so that what two scripts share stands once.
The first line of every script is `#!lua`: without it a single-node cluster hides cross-slot faults,
and a script that runs out of memory half-way would not be refused before it starts.
"""

from collections.abc import Callable, Sequence
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

from redis.exceptions import RedisError

from service.core.store_health import StoreFault, StoreUnavailable
from service.redis_client.client import Multiplexer, Script
from service.store.faults import unavailable

LUA = resources.files("service.store") / "lua"
_INCLUDE = "--@include "
_INCLUDED = frozenset({"clock.lua", "enqueue.lua", "shown.lua", "streak.lua", "windows.lua"})


class Scripts:
    """Runs scripts and plain commands on Redis; every failure is a `StoreUnavailable`."""

    def __init__(self, multiplexer: Multiplexer) -> None:
        self._multiplexer = multiplexer
        self._scripts = load_scripts()
        self.on_fault: Callable[[StoreFault], None] | None = None  # hears of each call that fails

    async def run(self, name: str, keys: Sequence[str], args: Sequence[bytes | str | int] = ()) -> Any:
        """Run `lua/<name>.lua` atomically, in one round trip."""
        try:
            return await self._multiplexer.run(self._scripts[name], keys, args)
        except RedisError as failure:
            raise self._failed(name, failure) from failure

    async def run_each(self, name: str, calls: Sequence[tuple[str, Sequence[bytes | str | int]]]) -> list[Any]:
        """Run a script on several keys, in one round trip; a failure stands in the place of each key that it hit."""
        answers = await self._multiplexer.run_each(self._scripts[name], calls)
        errors = {id(answer): answer for answer in answers if isinstance(answer, RedisError)}  # one may stand for all
        failures = {each: self._failed(name, error) for each, error in errors.items()}
        return [failures.get(id(answer), answer) for answer in answers]

    async def everywhere(self, *words: bytes | str | int) -> list[Any]:
        """Run one plain command on every primary."""
        try:
            return await self._multiplexer.everywhere(*words)
        except RedisError as failure:
            raise self._failed(str(words[0]), failure) from failure

    async def command(self, *words: bytes | str | int, key: str | None = None) -> Any:
        """Run one plain command on the node that holds `key`."""
        try:
            return await self._multiplexer.command(*words, key=key)
        except RedisError as failure:
            raise self._failed(str(words[0]), failure) from failure

    def _failed(self, step: str, error: RedisError) -> StoreUnavailable:
        failure = unavailable(step, error)
        if self.on_fault is not None:
            self.on_fault(failure.fault)
        return failure


def load_scripts(folder: Traversable = LUA) -> dict[str, Script]:
    """Read all scripts with their includes filled in."""
    texts = {file.name: file.read_text("utf-8") for file in folder.iterdir() if file.name.endswith(".lua")}
    return {
        name.removesuffix(".lua"): Script(name.removesuffix(".lua"), _with_includes(text, texts))
        for name, text in texts.items()
        if name not in _INCLUDED
    }


def _with_includes(text: str, texts: dict[str, str]) -> str:
    lines = [(line, line.strip()) for line in text.splitlines()]
    return "\n".join(texts[bare.removeprefix(_INCLUDE)] if bare.startswith(_INCLUDE) else line for line, bare in lines)
