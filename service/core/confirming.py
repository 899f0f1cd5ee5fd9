"""Confirming: the worker that tells Twilio, for each SID owed, that its code came back.

At least once, and with no fault exactly once: a debt is leased, posted, settled. Whoever dies in
between leaves a lease that runs out (30 s), and another worker takes over. A debt is never given up
while Twilio may still take it: busy, broken or silent answers are tried for 24 h. Refused
credentials stop all posting, cost no try and are shouted about. (Twilio: Message Feedback.)
"""

import asyncio
import random
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from service.core.ports import Claim, ConfirmationStore, Debt, Journal, StoreUnavailable
from service.core.sender import ConfirmForbidden, ConfirmPostponed, ConfirmRefused, Sender
from service.core.verification import is_sid

PARTITIONS = "0123456789abcdef"
_FORBIDDEN_ALONE = 3  # refused so often while others were accepted in between: it is the message, not our credentials
_BEAT_SECONDS = 20.0
_BEAT_LASTS_SECONDS = 60


@dataclass(frozen=True, slots=True)
class ConfirmPolicy:
    """How patient the worker is."""

    lease_ms: int = 30_000  # over twice the longest Feedback POST (5 s), under the 60 s a takeover may last
    in_flight: int = 32
    poll_seconds: float = 0.5  # other processes approve too, and cannot wake this worker
    probe_seconds: float = 30.0  # how often refused credentials are tried again
    shortest_delay_seconds: float = 1.0
    longest_delay_seconds: float = 300.0
    give_up_ms: int = 24 * 3_600_000
    least_tries: int = 20  # a debt may have grown old while nothing was posted at all


class Confirming:
    """Claims, posts, settles; one instance in each process that runs the worker."""

    def __init__(
        self,
        store: ConfirmationStore,
        sender: Sender,
        *,
        policy: ConfirmPolicy,
        journal: Journal,
        jitter: Callable[[float, float], float] = random.uniform,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._sender = sender
        self._policy = policy
        self._journal = journal
        self._jitter = jitter
        self._clock = clock
        self._wake_up = asyncio.Event()
        self._stopping = False
        self._posting: set[asyncio.Task[None]] = set()
        self._next_look = dict.fromkeys(PARTITIONS, 0.0)
        self._next_beat = 0.0
        self._halted_until: float | None = None
        self._forbidden: dict[str, tuple[int, int]] = {}  # SIDs that met 401 or 403: how often, and `_accepted` then
        self._accepted = 0

    def wake(self, partition: str) -> None:
        """Look at a partition now: this process has just written a debt there."""
        self._look_by(partition, self._clock())
        self._wake_up.set()

    def stop(self) -> None:
        """Claim no more; `run` returns when what was claimed is posted and settled."""
        self._stopping = True
        self._wake_up.set()

    async def run(self) -> None:
        """Work until `stop`; Redis away or a poisoned debt ends nothing."""
        self._journal("worker_started")
        while not self._stopping:
            self._wake_up.clear()  # first: whoever wakes us from here on cuts the pause
            try:
                await self.step()
                pause_seconds = self._pause_seconds()
            except StoreUnavailable as away:
                self._journal("worker_waits_for_store", reason=str(away))
                pause_seconds = 1.0
            except Exception as fault:  # noqa: BLE001 - a worker that died would leave every debt unpaid, in silence
                self._journal("worker_fault", reason=type(fault).__name__)
                pause_seconds = 1.0
            await self._pause(pause_seconds)
        await self.idle()
        self._journal("worker_stopped")

    async def step(self) -> int:
        """Claim what is due, as far as there are free hands, and start posting it; return how many."""
        await self._beat()
        free = self._policy.in_flight - len(self._posting)
        partitions = self._due_partitions()
        if free <= 0 or not partitions:
            return 0
        if self._halted_until is not None:
            return await self._probe(partitions)
        # Never more than there are hands: whoever gets none this time stays due, and comes first the next.
        each, rest = divmod(free, len(partitions))
        return await self._claim_all({name: each + (place < rest) for place, name in enumerate(partitions[:free])})

    async def idle(self) -> None:
        """Wait until everything claimed so far is posted and settled."""
        while self._posting:
            await asyncio.wait(self._posting)

    async def post(self, debt: Debt, *, now_ms: int) -> None:
        """Post one claimed confirmation and settle, postpone or bury the debt by Twilio's answer."""
        if not debt.legible or not is_sid(debt.sid):
            await self._bury(debt, "illegible")
            return
        try:
            await self._sender.confirm(debt.sid)
        except ConfirmForbidden as forbidden:
            await self._forbid(debt, forbidden)
        except ConfirmPostponed as postponed:
            await self._try_later(debt, postponed, now_ms)
        except ConfirmRefused as refused:
            await self._resume(debt)
            await self._bury(debt, str(refused))
        else:
            await self._resume(debt)
            await self._settle(debt, now_ms)

    async def _beat(self) -> None:
        """Say that a worker is alive, so that its absence can be seen."""
        if self._clock() >= self._next_beat:
            self._next_beat = self._clock() + _BEAT_SECONDS
            with suppress(StoreUnavailable):  # a note: the node that keeps it may be away, and the debts elsewhere
                await self._store.beat(_BEAT_LASTS_SECONDS)

    def _due_partitions(self) -> list[str]:
        """Name the partitions whose next look has come, the longest overdue first."""
        now = self._clock()
        if self._halted_until is not None and now < self._halted_until:
            return []
        return sorted((name for name in PARTITIONS if self._next_look[name] <= now), key=self._next_look.__getitem__)

    def _look_by(self, partition: str, at: float) -> None:
        self._next_look[partition] = min(self._next_look[partition], at)

    async def _claim_all(self, most: Mapping[str, int]) -> int:
        """Claim from several partitions in one round trip; what one of them fails to give stops none of the others."""
        claims = await asyncio.gather(*map(self._claim, most, most.values()), return_exceptions=True)
        debts = [(debt, claim.now_ms) for claim in claims if isinstance(claim, Claim) for debt in claim.debts]
        for debt, now_ms in debts:
            self._start(debt, now_ms=now_ms)
        for claim in claims:
            if isinstance(claim, BaseException):
                raise claim  # only now: what other partitions gave is leased to us, whichever node is away
        return len(debts)

    async def _claim(self, partition: str, most: int) -> Claim:
        # Before the claim, for whoever owes and wakes us while it is under way wants another look.
        self._next_look[partition] = self._clock() + self._policy.poll_seconds
        claim = await self._store.claim(partition, lease_ms=self._policy.lease_ms, most=most)
        if claim.next_due_ms is not None:
            self._look_by(partition, self._clock() + max(0, claim.next_due_ms - claim.now_ms) / 1000)
        return claim

    async def _probe(self, partitions: Sequence[str]) -> int:
        """Post a single debt, to learn whether the credentials are mended; look at all, which keeps them alive."""
        self._halted_until = self._clock() + self._policy.probe_seconds
        looks = await asyncio.gather(*(self._claim(name, 0) for name in partitions), return_exceptions=True)
        # The one due first of all: a message that is refused alone comes back last, and cannot be every probe.
        due = [
            (look.next_due_ms, name)
            for name, look in zip(partitions, looks, strict=True)
            if isinstance(look, Claim) and look.next_due_ms is not None and look.next_due_ms <= look.now_ms
        ]
        return await self._claim_all({min(due)[1]: 1}) if due else 0

    def _start(self, debt: Debt, *, now_ms: int) -> None:
        task = asyncio.create_task(self._post_guarded(debt, now_ms))
        self._posting.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._posting.discard(task)
        self._wake_up.set()

    async def _post_guarded(self, debt: Debt, now_ms: int) -> None:
        """Post a debt without letting its failure reach the others; its lease brings it back."""
        try:
            try:
                await self.post(debt, now_ms=now_ms)
            except StoreUnavailable:
                raise
            except Exception as fault:  # noqa: BLE001 - a fault of ours in one debt must hold up nobody
                self._journal("confirmation_fault", sid=debt.sid, reason=type(fault).__name__)
                await self._store.postpone(debt, delay_ms=self._delay_ms(debt, None), was_tried=True)
        except StoreUnavailable as away:
            self._journal("confirmation_left_to_its_lease", sid=debt.sid, reason=str(away))

    async def _settle(self, debt: Debt, now_ms: int) -> None:
        if await self._store.settle(debt):
            self._journal(
                "confirmation_settled",
                verification_id=debt.verification_id,
                send=debt.send_number,
                sid=debt.sid,
                tries=debt.tries + 1,
                waited_ms=now_ms - debt.since_ms,
            )

    async def _bury(self, debt: Debt, reason: str) -> None:
        if await self._store.bury(debt, reason):
            self._journal("confirmation_dead", verification_id=debt.verification_id, sid=debt.sid, reason=reason)

    async def _forbid(self, debt: Debt, forbidden: ConfirmForbidden) -> None:
        """Stop posting, unless Twilio accepted others between several refusals of this one message."""
        if not forbidden.is_of_credentials and self._is_forbidden_alone(debt):
            await self._bury(debt, f"{forbidden}, for this message alone")
            return
        self._halted_until = self._clock() + self._policy.probe_seconds
        with suppress(StoreUnavailable):
            await self._store.halt(str(forbidden), ttl_seconds=int(self._policy.probe_seconds * 4) + 1)
        await self._store.postpone(debt, delay_ms=int(self._policy.probe_seconds * 1000), was_tried=False)
        self._journal("confirming_halted", reason=str(forbidden))

    def _is_forbidden_alone(self, debt: Debt) -> bool:
        times, accepted = self._forbidden.pop(debt.sid, (0, -1))
        if accepted < self._accepted:
            times += 1
        if times >= _FORBIDDEN_ALONE:
            return True
        self._forbidden[debt.sid] = (times, self._accepted)
        return False

    async def _resume(self, debt: Debt) -> None:
        """Take up full speed again: Twilio has accepted our credentials."""
        self._accepted += 1
        self._forbidden.pop(debt.sid, None)
        if self._halted_until is not None:
            self._halted_until = None
            with suppress(StoreUnavailable):
                await self._store.resume()
            self._journal("confirming_resumed")

    async def _try_later(self, debt: Debt, postponed: ConfirmPostponed, now_ms: int) -> None:
        if now_ms - debt.since_ms >= self._policy.give_up_ms and debt.tries >= self._policy.least_tries:
            await self._bury(debt, f"given up after {self._policy.give_up_ms // 3_600_000} h: {postponed}")
            return
        delay_ms = self._delay_ms(debt, postponed.retry_after_seconds)
        await self._store.postpone(debt, delay_ms=delay_ms, was_tried=True)
        self._journal(
            "confirmation_postponed", sid=debt.sid, reason=str(postponed), tries=debt.tries + 1, delay_ms=delay_ms
        )

    def _delay_ms(self, debt: Debt, retry_after_seconds: float | None) -> int:
        """Full jitter under a doubling ceiling; Twilio's own Retry-After, when longer, is kept."""
        shortest, longest = self._policy.shortest_delay_seconds, self._policy.longest_delay_seconds
        ceiling = min(longest, shortest * 2 ** min(debt.tries + 1, 20))
        return int(1000 * max(self._jitter(shortest, ceiling), retry_after_seconds or 0))

    def _pause_seconds(self) -> float:
        """Say how long there is nothing to do; a hand that gets free, and whoever wakes us, cuts it short."""
        if self._halted_until is not None:
            return max(0.05, self._halted_until - self._clock())
        if len(self._posting) >= self._policy.in_flight:
            return self._policy.poll_seconds
        return min(self._next_look.values()) - self._clock()

    async def _pause(self, seconds: float) -> None:
        if self._stopping or seconds <= 0:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake_up.wait()
