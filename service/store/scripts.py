"""Loads the Lua scripts of `lua/` and runs them; every failure is a `StoreUnavailable`.

The content of a file replaces the line `--@include name.lua`, so that scripts can share code. Each script begins with
`#!lua`: without it, a cluster of one node would accept keys of several slots, and a script that runs out of memory
would fail half-way instead of being refused before it starts. Scripts that only delete allow it (`flags=allow-oom`).
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

from redis.exceptions import RedisError

from service.core.store_health import StoreFault, StoreUnavailable
from service.redis_client import Argument, PreparedScript, RedisClient, Script, Written
from service.store.faults import unavailable
from service.store.fields import FIELDS, Fields

CLIENT_NAME = "otp-service"  # in CLIENT LIST
LUA = resources.files("service.store") / "lua"
_INCLUDE = "--@include "
_INCLUDED = frozenset(
    {
        "clock.lua",
        "counted_as.lua",
        "enqueue.lua",
        "funnel.lua",
        "further.lua",
        "index.lua",
        "links.lua",
        "number_limits.lua",
        "shown.lua",
        "streak.lua",
        "windows.lua",
    }
)


class Scripts:
    """Runs scripts and commands on Redis; every failure is a `StoreUnavailable`."""

    def __init__(self, client: RedisClient, fields: Fields = FIELDS) -> None:
        self.fields = fields
        self._client = client
        self._scripts = load_scripts(fields=fields)
        self.on_fault: Callable[[StoreFault], None] | None = None  # called for each failure

    async def run(self, name: str, keys: Sequence[str], args: Sequence[Argument] = ()) -> Any:
        """Run `lua/<name>.lua` atomically, in one round trip."""
        try:
            return await self._client.run(self._scripts[name], keys, args)
        except RedisError as failure:
            raise self._failed(name, failure) from failure

    def prepared(self, name: str, keys: Sequence[str | None], args: Sequence[Argument | None]) -> PreparedScript:
        """Prepare a script that runs often; None stands for a word that each call gives."""
        return PreparedScript(self._scripts[name], keys, args)

    async def run_prepared(
        self, prepared: PreparedScript, key: str, given: Sequence[bytes], further: Sequence[Argument] = ()
    ) -> Any:
        """Run a prepared script atomically, in one round trip. `key` is the key of the record."""
        try:
            return await self._client.run_prepared(prepared, key, given, further)
        except RedisError as failure:
            raise self._failed(prepared.name, failure) from failure

    @property
    def has_shards(self) -> bool:
        """Tell whether Redis is a cluster, as far as the client knows."""
        return self._client.is_cluster

    @property
    def waits(self) -> bool:
        """Tell whether the client was opened to wait for replicas."""
        return self._client.is_waiting

    async def run_and_wait(self, name: str, keys: Sequence[str], args: Sequence[Argument]) -> Written:
        """Run a script that writes, and tell whether the replicas have it; the client must have been opened for it."""
        try:
            return await self._client.run_and_wait(self._scripts[name], keys, args)
        except RedisError as failure:
            raise self._failed(name, failure) from failure

    async def command_and_wait(self, *words: Argument, key: str, unless_within: float) -> Written:
        """Run a command that writes, and tell whether the replicas have it and all that its node held before.

        If the replicas of the node had everything within so many seconds, that is the answer, and nothing runs.
        """
        try:
            return await self._client.command_and_wait(*words, key=key, unless_within=unless_within)
        except RedisError as failure:
            raise self._failed(str(words[0]), failure) from failure

    async def run_each(self, name: str, keyed_args: Sequence[tuple[str, Sequence[Argument]]]) -> list[Any]:
        """Run a script for several keys, in one round trip; return the result of each key, or its failure."""
        answers = await self._client.run_each(self._scripts[name], keyed_args)
        # One error can be the result of all keys, and counts once.
        errors = {id(answer): answer for answer in answers if isinstance(answer, RedisError)}
        failures = {each: self._failed(name, error) for each, error in errors.items()}
        return [failures.get(id(answer), answer) for answer in answers]

    async def command_on_primaries(self, *words: Argument) -> list[Any]:
        """Run one command on every primary and return all replies."""
        try:
            return await self._client.command_on_primaries(*words)
        except RedisError as failure:
            raise self._failed(str(words[0]), failure) from failure

    async def command(self, *words: Argument, key: str | None = None) -> Any:
        """Run one command on the node of `key` and return the reply."""
        try:
            return await self._client.command(*words, key=key)
        except RedisError as failure:
            raise self._failed(str(words[0]), failure) from failure

    def _failed(self, step: str, error: RedisError) -> StoreUnavailable:
        failure = unavailable(step, error)
        self.note(failure.fault)
        return failure

    def note(self, fault: StoreFault) -> None:
        """Count a failure."""
        if self.on_fault is not None:
            self.on_fault(fault)


@cache
def load_scripts(fields: Fields = FIELDS) -> Mapping[str, Script]:
    """Return all scripts by name, with their includes and the names of the record's fields."""
    return read_scripts(LUA, fields)


def read_scripts(folder: Traversable, fields: Fields) -> dict[str, Script]:
    """Read the scripts of a folder."""
    texts = {file.name: file.read_text("utf-8") for file in folder.iterdir() if file.name.endswith(".lua")}
    return {
        name.removesuffix(".lua"): Script(name.removesuffix(".lua"), fields.lua(_with_includes(text, texts)))
        for name, text in texts.items()
        if name not in _INCLUDED
    }


def _with_includes(text: str, texts: dict[str, str]) -> str:
    return "\n".join(
        _with_includes(texts[bare.removeprefix(_INCLUDE)], texts) if bare.startswith(_INCLUDE) else line
        for line, bare in ((line, line.strip()) for line in text.splitlines())
    )
