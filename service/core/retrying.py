"""Retrying: repeats a failed write to Redis in the background, so that the caller does not wait for it.

For writes that follow an external action which cannot be undone, and that must not be lost if Redis is down for some
seconds. Promises: a step is repeated with growing, jittered pauses of at most 5 s until it succeeds, its time is over
or the process ends. At a stop each step is tried at once, and then for as long as the stop allows. The number of
waiting steps is limited; one too many is given up at once. The caller is told exactly once if a step is given up, and
logs it.

A step must be safe to repeat, because a step whose response was lost has been done. It raises `StoreUnavailable` to be
tried again; any other exception ends it. Nothing survives the process.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from service.core.store_health import StoreUnavailable

_LONGEST_PAUSE_AT_STOP_SECONDS = 0.5
_PAUSES_IN_FRONT_SECONDS = (0.1, 0.2, 0.0)  # after each try for which the caller waits

Step = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How many steps may wait, and how long they pause."""

    most_waiting: int = 1000  # about 3 KiB each
    first_pause_seconds: float = 0.2
    longest_pause_seconds: float = 5.0


async def keep_trying(
    step: Step,
    *,
    for_seconds: float,
    first_pause_seconds: float,
    longest_pause_seconds: float,
    pause: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> None:
    """Try `step` again after growing pauses until it succeeds.

    Raises `StoreUnavailable` when the time is over, and whatever else the step raises at once.
    """
    deadline = time.monotonic() + for_seconds
    ceiling = first_pause_seconds
    while True:
        rest = deadline - time.monotonic()
        await pause(min(ceiling * random.uniform(0.5, 1.0), max(rest, 0)))  # noqa: S311 - jitter needs no secrecy
        try:
            await step()
        except StoreUnavailable:
            if time.monotonic() >= deadline:
                raise
        else:
            return
        ceiling = min(2 * ceiling, longest_pause_seconds)


class Retries:
    """The steps of one kind that are tried again in the background, each in a task of its own."""

    def __init__(self, policy: RetryPolicy | None = None) -> None:
        self._policy = policy or RetryPolicy()
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()
        self._ends_at = float("inf")

    @property
    def waiting(self) -> int:
        """How many steps of this process are not done yet, for the metrics."""
        return len(self._tasks)

    def add(self, step: Step, *, for_seconds: float, given_up: Callable[[str], None]) -> None:
        """Try a step for this long, after a short pause; `given_up` gets the reason if it does not succeed."""
        if len(self._tasks) >= self._policy.most_waiting:
            given_up(f"{self._policy.most_waiting} steps are waiting already")
            return
        task = asyncio.create_task(self._run(step, for_seconds, given_up))
        self._tasks.add(task)
        task.add_done_callback(partial(self._done, given_up))

    async def run(
        self,
        step: Step,
        *,
        for_seconds: float,
        given_up: Callable[[str], None],
        delayed: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Try a step at once and twice more while the caller waits; then `delayed` gets the reason, and it is added.

        It is also added if the caller is cancelled meanwhile.
        """
        reason = "its caller was cancelled"
        try:
            for pause_seconds in _PAUSES_IN_FRONT_SECONDS:
                try:
                    await step()
                except StoreUnavailable as away:
                    reason = str(away)
                else:
                    return
                await asyncio.sleep(pause_seconds)
        except asyncio.CancelledError:
            delayed(reason)
            self.add(step, for_seconds=for_seconds, given_up=given_up)
            raise
        delayed(reason)
        self.add(step, for_seconds=for_seconds, given_up=given_up)

    def stop(self, seconds: float) -> None:
        """Try each step at once, and then for at most so many seconds; `idle` waits for that."""
        self._ends_at = time.monotonic() + seconds
        self._stopping.set()

    async def idle(self) -> None:
        """Wait until no step is left; after `stop` those that are not done in time are given up."""
        while self._tasks:
            rest = self._ends_at - time.monotonic()
            if rest <= 0:
                for task in self._tasks:
                    task.cancel()
            await asyncio.wait(self._tasks, timeout=None if rest <= 0 or rest == float("inf") else rest)

    async def _run(self, step: Step, for_seconds: float, given_up: Callable[[str], None]) -> None:
        try:
            await keep_trying(
                step,
                for_seconds=for_seconds,
                first_pause_seconds=self._policy.first_pause_seconds,
                longest_pause_seconds=self._policy.longest_pause_seconds,
                pause=self._pause,
            )
        except StoreUnavailable as away:
            given_up(str(away))
        except Exception as fault:  # noqa: BLE001 - a bug in one step must reach the log, not the event loop
            given_up(type(fault).__name__)

    def _done(self, given_up: Callable[[str], None], task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if task.cancelled():  # here, because a task that is cancelled before it has run executes no code of its own
            given_up("the process ends")

    async def _pause(self, seconds: float) -> None:
        if self._stopping.is_set():
            await asyncio.sleep(min(seconds, _LONGEST_PAUSE_AT_STOP_SECONDS))
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
