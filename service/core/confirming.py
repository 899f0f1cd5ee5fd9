"""Confirming: the worker that tells Twilio, for each SID pending, that its code came back.

At least once, and with no fault exactly once: an entry is leased, posted, settled. A worker that dies in between leaves
a lease that runs out (30 s), and another takes over; a settlement that Redis does not take is repeated for most of the
lease. An entry is never given up while Twilio may still take it: busy, broken or silent answers are tried for 24 h.
When many fail, or the credentials are refused, posting halts but for probes (`halting`). (Twilio: Message Feedback.)
"""

import asyncio
import random
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from service.core.claiming import Claiming
from service.core.event_log import EventLog
from service.core.halting import Halt, HaltPolicy
from service.core.outbox import Claim, ConfirmationStore, OutboxEntry
from service.core.retrying import Retries
from service.core.sender import ConfirmForbidden, ConfirmPostponed, ConfirmRefused, Sender
from service.core.settling import Settling
from service.core.store_health import StoreUnavailable

_BEAT_SECONDS = 20.0
_BEAT_LASTS_SECONDS = 60
_NOTE_LASTS_SECONDS = 121  # of a halt; over two pauses between probes, which renew it


@dataclass(frozen=True, slots=True)
class ConfirmPolicy(HaltPolicy):
    """How patient the worker is."""

    lease_ms: int = 30_000  # over twice the longest Feedback POST (5 s), under the 60 s a takeover may last
    in_flight: int = 32
    poll_seconds: float = 0.5  # other processes approve too, and cannot wake this worker
    shortest_delay_seconds: float = 1.0
    longest_delay_seconds: float = 300.0
    give_up_ms: int = 24 * 3_600_000
    least_tries: int = 20  # an entry may have grown old while nothing was posted at all


class Confirming:
    """Claims, posts, settles; one instance in each process that runs the worker."""

    def __init__(
        self,
        store: ConfirmationStore,
        sender: Sender,
        *,
        policy: ConfirmPolicy,
        settlements: Retries,
        event_log: EventLog,
        jitter: Callable[[float, float], float] = random.uniform,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._sender = sender
        self._policy = policy
        self.settlements = settlements
        self._settling = Settling(store, settlements, lease_ms=policy.lease_ms, event_log=event_log)
        self._event_log = event_log
        self._jitter = jitter
        self._clock = clock
        self._wake_up = asyncio.Event()
        self._stopping = False
        self._posting: set[asyncio.Task[None]] = set()
        self._claiming = Claiming(store, policy.lease_ms, policy.poll_seconds, clock=clock, event_log=event_log)
        self._next_beat = 0.0
        self._halt = Halt(policy, clock)

    def wake(self, partition: str) -> None:
        """Look at a partition now: this process has just written an entry there."""
        self._claiming.look_by(partition, self._clock())
        self._wake_up.set()

    def stop(self) -> None:
        """Claim no more; `run` returns when what was claimed is posted and settled."""
        self._stopping = True
        self._wake_up.set()

    async def run(self) -> None:
        """Work until `stop`; Redis away or a poisoned entry ends nothing."""
        self._event_log("worker_started")
        while not self._stopping:
            self._wake_up.clear()  # first: whoever wakes us from here on cuts the pause
            try:
                await self.step()
                pause_seconds = self._pause_seconds()
            except StoreUnavailable as away:
                self._event_log("worker_waits_for_store", reason=str(away))
                pause_seconds = 1.0
            except Exception as fault:  # noqa: BLE001 - a worker that died would leave every entry unpaid, in silence
                self._event_log("worker_fault", reason=type(fault).__name__)
                pause_seconds = 1.0
            await self._pause(pause_seconds)
        try:
            await self.idle()
        finally:  # when the time for that is over: what Twilio has answered by now is settled in the background
            for task in self._posting:
                task.cancel()
        self._event_log("worker_stopped")

    async def step(self) -> int:
        """Claim what is due, as far as there are free hands, and start posting it; return how many."""
        await self._beat()
        free = self._policy.in_flight - len(self._posting)
        partitions = [] if self._halt.seconds_left > 0 else self._claiming.due_partitions()
        if free <= 0 or not partitions:
            return 0
        if self._halt.reason is not None:
            return await self._probe(partitions)
        # Never more than there are hands: whoever gets none this time stays due, and comes first the next.
        each, rest = divmod(free, len(partitions))
        return await self._claim_all({name: each + (place < rest) for place, name in enumerate(partitions[:free])})

    async def idle(self) -> None:
        """Wait until everything claimed so far is posted, and settled unless Redis is away."""
        while self._posting:
            await asyncio.wait(self._posting)

    async def post(self, entry: OutboxEntry, *, now_ms: int) -> None:
        """Post one claimed confirmation and settle, postpone or fail the entry by Twilio's answer."""
        if not entry.legible or not self._sender.is_sid(entry.sid):
            await self._settling.fail(entry, "illegible")
            return
        try:
            await self._sender.confirm(entry.sid)
        except ConfirmForbidden as forbidden:
            await self._forbid(entry, forbidden)
        except ConfirmPostponed as postponed:
            await self._try_later(entry, postponed, now_ms)
        except ConfirmRefused as refused:
            await self._resume(entry)
            await self._settling.fail(entry, str(refused))
        else:
            await self._resume(entry)
            await self._settling.settle(entry, waited_ms=now_ms - entry.since_ms)

    async def _beat(self) -> None:
        """Say that a worker is alive, so that its absence can be seen."""
        if self._clock() >= self._next_beat:
            self._next_beat = self._clock() + _BEAT_SECONDS
            with suppress(StoreUnavailable):  # a note: the node that keeps it may be away, and the entries elsewhere
                await self._store.beat(_BEAT_LASTS_SECONDS)

    async def _claim_all(self, most: Mapping[str, int], *, is_probe: bool = False) -> int:
        """Claim from several partitions in one round trip; what one of them fails to give stops none of the others."""
        claims = await asyncio.gather(*map(self._claiming.claim, most, most.values()), return_exceptions=True)
        entries = [(entry, claim.now_ms) for claim in claims if isinstance(claim, Claim) for entry in claim.entries]
        for entry, now_ms in entries:
            task = asyncio.create_task(self._post_guarded(entry, now_ms, is_probe=is_probe))
            self._posting.add(task)
            task.add_done_callback(self._done)
        for claim in claims:
            if isinstance(claim, BaseException):
                raise claim  # only now: what other partitions gave is leased to us, whichever node is away
        return len(entries)

    async def _probe(self, partitions: Sequence[str]) -> int:
        """Post a single entry, to learn whether Twilio takes it; look at all, which keeps them alive."""
        self._halt.begin_probe()
        partition = await self._claiming.earliest(partitions)
        if partition is None:
            return 0
        await self._note_halt(is_new=False)
        return await self._claim_all({partition: 1}, is_probe=True)

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._posting.discard(task)
        self._wake_up.set()

    async def _post_guarded(self, entry: OutboxEntry, now_ms: int, *, is_probe: bool) -> None:
        """Post an entry without letting its failure reach the others; what was leased as a halt began is given back."""
        if self._halt.seconds_left > 0 and not is_probe:
            await self._settling.postpone(entry, delay_ms=0, was_tried=False)
            return
        try:
            await self.post(entry, now_ms=now_ms)
        except Exception as fault:  # noqa: BLE001 - a fault of ours in one entry must hold up nobody
            self._event_log("confirmation_fault", sid=entry.sid, reason=type(fault).__name__)
            await self._settling.postpone(entry, delay_ms=self._delay_ms(entry, None), was_tried=True)

    async def _forbid(self, entry: OutboxEntry, forbidden: ConfirmForbidden) -> None:
        """Stop posting, unless Twilio accepted others between several refusals of this one message."""
        if not forbidden.is_of_credentials and self._halt.is_forbidden_alone(entry.sid):
            await self._settling.fail(entry, f"{forbidden}, for this message alone")
            return
        if self._halt.forbid(str(forbidden)):
            await self._note_halt(is_new=True)
        await self._settling.postpone(entry, delay_ms=int(self._policy.probe_seconds * 1000), was_tried=False)

    async def _note_halt(self, *, is_new: bool) -> None:
        if is_new:
            self._event_log("confirming_halted", reason=self._halt.reason)
        with suppress(StoreUnavailable):  # the next probe notes it again
            await self._store.halt(self._halt.reason or "", ttl_seconds=_NOTE_LASTS_SECONDS)

    async def _resume(self, entry: OutboxEntry) -> None:
        """Take up full speed again: Twilio has answered."""
        if self._halt.answered(entry.sid):
            self._event_log("confirming_resumed")
            self._wake_up.set()
            try:
                await self._clear_note()
            except StoreUnavailable:
                self.settlements.add(self._clear_note, for_seconds=_NOTE_LASTS_SECONDS, given_up=lambda _: None)

    async def _clear_note(self) -> None:
        if self._halt.reason is None:
            await self._store.resume()

    async def _try_later(self, entry: OutboxEntry, postponed: ConfirmPostponed, now_ms: int) -> None:
        if self._halt.fail(entry.sid, str(postponed), postponed.retry_after_seconds):
            await self._note_halt(is_new=True)
        if now_ms - entry.since_ms >= self._policy.give_up_ms and entry.tries >= self._policy.least_tries:
            await self._settling.fail(entry, f"given up after {self._policy.give_up_ms // 3_600_000} h: {postponed}")
            return
        delay_ms = self._delay_ms(entry, postponed.retry_after_seconds)
        await self._settling.postpone(entry, delay_ms=delay_ms, was_tried=True)
        self._event_log(
            "confirmation_postponed", sid=entry.sid, reason=str(postponed), tries=entry.tries + 1, delay_ms=delay_ms
        )

    def _delay_ms(self, entry: OutboxEntry, retry_after_seconds: float | None) -> int:
        """Full jitter under a doubling ceiling; Twilio's own Retry-After, when longer, is kept.

        While posting is halted no entry waits longer than a probe, so that all leave when Twilio works again.
        """
        shortest, longest = self._policy.shortest_delay_seconds, self._policy.longest_delay_seconds
        if self._halt.reason is not None:
            longest = max(shortest, min(longest, self._halt.pause_seconds))
        ceiling = min(longest, shortest * 2 ** min(entry.tries + 1, 20))
        return int(1000 * max(self._jitter(shortest, ceiling), retry_after_seconds or 0))

    def _pause_seconds(self) -> float:
        """Say how long there is nothing to do; a hand that gets free, and whoever wakes us, cuts it short."""
        if self._halt.seconds_left > 0:
            return min(max(0.05, self._halt.seconds_left), _BEAT_SECONDS)
        if len(self._posting) >= self._policy.in_flight:
            return self._policy.poll_seconds
        return self._claiming.seconds_left

    async def _pause(self, seconds: float) -> None:
        if self._stopping or seconds <= 0:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake_up.wait()
