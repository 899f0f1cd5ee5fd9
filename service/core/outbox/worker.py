"""The worker of one queue: claims what is due, as far as there are free slots, and has it delivered.

Each kind of entry has a worker of its own, with its own slots and its own halt.
"""

import asyncio
import random
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from service.core.event_log import EventLog
from service.core.outage_log import OutageLog
from service.core.outbox.claiming import Claiming
from service.core.outbox.delivering import Delivering
from service.core.outbox.entries import Claim, Handler, OutboxEntry, OutboxStore
from service.core.outbox.halting import Halt
from service.core.outbox.policy import OutboxPolicy
from service.core.retrying import Retries
from service.core.store_health import StoreUnavailable

_BEAT_SECONDS = 20.0
_BEAT_LASTS_SECONDS = 60
_FAULT_PAUSE_SECONDS = 1.0


class OutboxWorker:
    """Claims and delivers the entries of one kind; one instance in each process that runs the worker."""

    def __init__(
        self,
        store: OutboxStore,
        handler: Handler,
        *,
        policy: OutboxPolicy,
        settlements: Retries,
        event_log: EventLog,
        jitter: Callable[[float, float], float] = random.uniform,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settlements = settlements
        self._store = store
        self._policy = policy
        self._event_log = event_log
        self._outage_log = OutageLog(event_log, clock)
        self._clock = clock
        self._wake_up = asyncio.Event()
        self._stopping = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._next_beat = 0.0
        self._claiming = Claiming(store, policy.lease_ms, policy.poll_seconds, clock=clock, event_log=event_log)
        self._halt = Halt(policy, clock, kind=handler.kind)
        self._delivering = Delivering(
            store,
            handler,
            self._halt,
            policy=policy,
            settlements=settlements,
            event_log=event_log,
            jitter=jitter,
            resumed=self._wake_up.set,
        )

    def wake(self, partition: str) -> None:
        """Look at a partition now: this process has just written an entry there."""
        self._claiming.look_by(partition, self._clock())
        self._wake_up.set()

    def stop(self) -> None:
        """Claim no more; `run` returns when what was claimed is delivered and settled."""
        self._stopping = True
        self._wake_up.set()

    async def run(self) -> None:
        """Work until `stop`, also while Redis is away."""
        self._event_log("worker_started")
        while not self._stopping:
            self._wake_up.clear()  # first: a wake-up during the step must cut the pause short
            await self._pause(await self._guarded_step())
        try:
            await self.idle()
        finally:  # on cancellation: results that have come by now are settled in the background
            for task in self._tasks:
                task.cancel()
        self._event_log("worker_stopped")

    async def step(self) -> int:
        """Claim what is due, as far as there are free slots, and start delivering it; return how many."""
        await self._beat()
        free = self._policy.in_flight - len(self._tasks)
        partitions = [] if self._halt.seconds_left > 0 else self._claiming.due_partitions()
        if free <= 0 or not partitions:
            return 0
        if self._halt.reason is not None:
            return await self._probe(partitions)
        # Never more than there are free slots. A partition that gets none stays due, and comes first in the next step.
        each, rest = divmod(free, len(partitions))
        return await self._claim_all({name: each + (place < rest) for place, name in enumerate(partitions[:free])})

    async def idle(self) -> None:
        """Wait until everything claimed so far is delivered, and settled unless Redis is away."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def deliver(self, entry: OutboxEntry, *, now_ms: int) -> None:
        """Deliver one claimed entry, then settle, postpone or fail it."""
        await self._delivering.deliver(entry, now_ms=now_ms)

    async def _guarded_step(self) -> float:
        """Take a step; return how long to pause then."""
        try:
            await self.step()
        except StoreUnavailable as away:
            self._outage_log.failed(away)
            return _FAULT_PAUSE_SECONDS
        except Exception as fault:  # noqa: BLE001 - if the worker ended, every entry would stay undelivered unnoticed
            self._event_log("worker_fault", reason=type(fault).__name__)
            return _FAULT_PAUSE_SECONDS
        return self._pause_seconds()

    async def _beat(self) -> None:
        """Note that a worker is alive, so that its absence can be seen."""
        if self._clock() >= self._next_beat:
            self._next_beat = self._clock() + _BEAT_SECONDS
            with suppress(StoreUnavailable):  # the node of the note may be away while those of the entries work
                await self._store.beat(_BEAT_LASTS_SECONDS)

    async def _claim_all(self, most: Mapping[str, int], *, is_probe: bool = False) -> int:
        """Claim from several partitions in one round trip; a partition that fails stops none of the others."""
        claims = await asyncio.gather(*map(self._claiming.claim, most, most.values()), return_exceptions=True)
        entries = [(entry, claim.now_ms) for claim in claims if isinstance(claim, Claim) for entry in claim.entries]
        for entry, now_ms in entries:
            task = asyncio.create_task(self._delivering.deliver_claimed(entry, now_ms, is_probe=is_probe))
            self._tasks.add(task)
            task.add_done_callback(self._done)
        for claim in claims:
            if isinstance(claim, BaseException):
                raise claim  # only now: the entries of the other partitions are leased to us
        self._outage_log.worked()
        return len(entries)

    async def _probe(self, partitions: Sequence[str]) -> int:
        """Deliver a single entry, to learn whether the receiver takes it; look at all, which keeps them alive."""
        self._halt.begin_probe()
        partition = await self._claiming.earliest(partitions)
        if partition is None:
            return 0
        await self._delivering.note_halt()
        return await self._claim_all({partition: 1}, is_probe=True)

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        self._wake_up.set()

    def _pause_seconds(self) -> float:
        """Tell how long there is nothing to do; a slot that becomes free and `wake` cut it short."""
        if self._halt.seconds_left > 0:
            return min(max(0.05, self._halt.seconds_left), _BEAT_SECONDS)
        if len(self._tasks) >= self._policy.in_flight:
            return self._policy.poll_seconds
        return self._claiming.seconds_left

    async def _pause(self, seconds: float) -> None:
        if self._stopping or seconds <= 0:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake_up.wait()
