"""Confirming: the worker that tells Twilio, for each SID owed, that its code came back.

At least once, and with no fault exactly once: a debt is leased, posted, settled. Whoever dies in
between leaves a lease that runs out (30 s), and another worker takes over. A debt is never given up
while Twilio may still take it: busy, broken or silent answers are tried for 24 h. Refused
credentials stop all posting, cost no try and are shouted about. (Twilio: Message Feedback.)
"""

import asyncio
import random
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from service.core.ports import (
    Claim,
    ConfirmationStore,
    ConfirmForbidden,
    ConfirmPostponed,
    ConfirmRefused,
    Debt,
    Journal,
    Sender,
    StoreUnavailable,
)

PARTITIONS = "0123456789abcdef"
_SID = re.compile(r"(?:SM|MM)[0-9a-fA-F]{32}")


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
        self._woken: set[str] = set()
        self._wake_up = asyncio.Event()
        self._stopping = False
        self._posting: set[asyncio.Task[None]] = set()
        self._next_look = dict.fromkeys(PARTITIONS, 0.0)
        self._halted_until: float | None = None

    def wake(self, partition: str) -> None:
        """Look at a partition now: this process has just written a debt there."""
        self._woken.add(partition)
        self._wake_up.set()

    def stop(self) -> None:
        """Claim no more; `run` returns when what was claimed is posted and settled."""
        self._stopping = True
        self._wake_up.set()

    async def run(self) -> None:
        """Work until `stop`; Redis away or a poisoned debt ends nothing."""
        self._journal("worker_started")
        while not self._stopping:
            try:
                await self.step()
                await self._rest()
            except StoreUnavailable as away:
                self._journal("worker_waits_for_store", reason=str(away))
                await self._sleep(1.0)
            except Exception as fault:  # noqa: BLE001 - a worker that died would leave every debt unpaid, in silence
                self._journal("worker_fault", reason=type(fault).__name__)
                await self._sleep(1.0)
        if self._posting:
            await asyncio.wait(self._posting)
        self._journal("worker_stopped")

    async def step(self) -> int:
        """Claim what is due, as far as there are free hands, and start posting it; return how many."""
        free = self._policy.in_flight - len(self._posting)
        partitions = self._due_partitions()
        if free <= 0 or not partitions:
            return 0
        if self._halted_until is not None:
            return await self._probe(partitions)
        most = max(1, free // len(partitions))
        claims = await asyncio.gather(*(self._claim(name, most) for name in partitions), return_exceptions=True)
        debts = [(debt, claim.now_ms) for claim in claims if isinstance(claim, Claim) for debt in claim.debts]
        for debt, now_ms in debts:
            self._start(debt, now_ms=now_ms)
        for claim in claims:
            if isinstance(claim, BaseException):
                raise claim  # only now: what other partitions gave is leased to us, whichever node is away
        return len(debts)

    async def idle(self) -> None:
        """Wait until everything claimed so far is posted and settled."""
        while self._posting:
            await asyncio.wait(self._posting)

    async def post(self, debt: Debt, *, now_ms: int) -> None:
        """Post one claimed confirmation and settle, postpone or bury the debt by Twilio's answer."""
        if not debt.legible or _SID.fullmatch(debt.sid) is None:
            await self._bury(debt, "illegible")
            return
        try:
            await self._sender.confirm(debt.sid)
        except ConfirmRefused as refused:
            await self._resume()
            await self._bury(debt, str(refused))
        except ConfirmForbidden as forbidden:
            await self._halt(debt, str(forbidden))
        except ConfirmPostponed as postponed:
            await self._try_later(debt, postponed, now_ms)
        else:
            await self._resume()
            await self._settle(debt, now_ms)

    def _due_partitions(self) -> list[str]:
        """Name the partitions to look at: the woken ones, and those whose next look has come."""
        if self._halted_until is not None and self._clock() < self._halted_until:
            return []
        woken, self._woken = self._woken, set()
        return [name for name in PARTITIONS if name in woken or self._next_look[name] <= self._clock()]

    async def _claim(self, partition: str, most: int) -> Claim:
        claim = await self._store.claim(partition, lease_ms=self._policy.lease_ms, most=most)
        pause = self._policy.poll_seconds
        if claim.next_due_ms is not None:
            pause = min(pause, max(0.0, (claim.next_due_ms - claim.now_ms) / 1000))
        self._next_look[partition] = self._clock() + pause
        return claim

    async def _probe(self, partitions: Iterable[str]) -> int:
        """Post a single debt, to learn whether the credentials have been mended."""
        self._halted_until = self._clock() + self._policy.probe_seconds
        for partition in partitions:
            claim = await self._claim(partition, 1)
            if claim.debts:
                self._start(claim.debts[0], now_ms=claim.now_ms)
                return 1
        return 0

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
            await self.post(debt, now_ms=now_ms)
        except StoreUnavailable as away:
            self._journal("confirmation_left_to_its_lease", sid=debt.sid, reason=str(away))
        except Exception as fault:  # noqa: BLE001 - a fault of ours in one debt must hold up nobody
            self._journal("confirmation_fault", sid=debt.sid, reason=type(fault).__name__)
            await self._store.postpone(debt, delay_ms=self._delay_ms(debt, None), was_tried=True)

    async def _settle(self, debt: Debt, now_ms: int) -> None:
        await self._store.settle(debt)
        self._journal(
            "confirmation_settled",
            verification_id=debt.verification_id,
            send=debt.send_number,
            sid=debt.sid,
            tries=debt.tries + 1,
            waited_ms=now_ms - debt.since_ms,
        )

    async def _bury(self, debt: Debt, reason: str) -> None:
        await self._store.bury(debt, reason)
        self._journal("confirmation_dead", verification_id=debt.verification_id, sid=debt.sid, reason=reason)

    async def _halt(self, debt: Debt, reason: str) -> None:
        self._halted_until = self._clock() + self._policy.probe_seconds
        await self._store.halt(reason, ttl_seconds=int(self._policy.probe_seconds * 4) + 1)
        await self._store.postpone(debt, delay_ms=int(self._policy.probe_seconds * 1000), was_tried=False)
        self._journal("confirming_halted", reason=reason)

    async def _resume(self) -> None:
        """Take up full speed again: Twilio has accepted our credentials."""
        if self._halted_until is not None:
            self._halted_until = None
            await self._store.resume()
            self._journal("confirming_resumed")

    async def _try_later(self, debt: Debt, postponed: ConfirmPostponed, now_ms: int) -> None:
        if now_ms - debt.since_ms >= self._policy.give_up_ms:
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

    async def _rest(self) -> None:
        """Sleep until the next look is due, a hand is free, or somebody wakes us."""
        if self._halted_until is not None:
            await self._sleep(max(0.05, self._halted_until - self._clock()))
        elif len(self._posting) >= self._policy.in_flight:
            await self._sleep(self._policy.poll_seconds)
        elif not self._woken:
            await self._sleep(max(0.0, min(self._next_look.values()) - self._clock()))

    async def _sleep(self, seconds: float) -> None:
        self._wake_up.clear()
        if self._stopping or (
            self._woken and self._halted_until is None and len(self._posting) < self._policy.in_flight
        ):
            return
        try:
            async with asyncio.timeout(seconds):
                await self._wake_up.wait()
        except TimeoutError:
            return
