"""Delivering: hands one claimed entry to the handler, and decides by its answer what becomes of the entry.

Delivered: it is removed. Rejected: it is failed. Busy, broken or silent: it is postponed, or failed after a day.
Forbidden: delivery halts and the entry is postponed, unless the refusal is of this entry alone. What the answers say of
the receiver is kept by `halting`; this module also notes a halt for the other processes.
"""

from collections.abc import Callable
from contextlib import suppress

from service.core.event_log import EventLog, LogValue
from service.core.outbox.entries import (
    ILLEGIBLE,
    Delivered,
    Forbidden,
    Handler,
    OutboxEntry,
    OutboxStore,
    Outcome,
    Reject,
    Retry,
)
from service.core.outbox.halting import Halt
from service.core.outbox.policy import OutboxPolicy
from service.core.outbox.settling import Settling
from service.core.retrying import Retries
from service.core.store_health import StoreUnavailable

_NOTE_LASTS_SECONDS = 121  # of a halt: longer than two pauses between probes, which renew it


class Delivering:
    """Delivers entries one by one; many calls run at once."""

    def __init__(
        self,
        store: OutboxStore,
        handler: Handler,
        halt: Halt,
        *,
        policy: OutboxPolicy,
        settlements: Retries,
        event_log: EventLog,
        jitter: Callable[[float, float], float],
        resumed: Callable[[], None],
    ) -> None:
        self._store = store
        self._handler = handler
        self._halt = halt
        self._policy = policy
        self._settlements = settlements
        self._settling = Settling(store, settlements, lease_ms=policy.lease_ms, events=handler.events, log=self._log)
        self._event_log = event_log
        self._jitter = jitter
        self._resumed = resumed

    async def deliver_claimed(self, entry: OutboxEntry, now_ms: int, *, is_probe: bool) -> None:
        """Deliver an entry without letting its failure reach the others; give back what was leased as a halt began."""
        if self._halt.seconds_left > 0 and not is_probe:
            await self._settling.postpone(entry, delay_ms=0, was_tried=False)
            return
        try:
            await self.deliver(entry, now_ms=now_ms)
        except Exception as fault:  # noqa: BLE001 - a bug that one entry meets must not stop the others
            self._log(self._handler.events.fault, entry, reason=type(fault).__name__)
            await self._settling.postpone(entry, delay_ms=self._delay_ms(entry, None), was_tried=True)

    async def deliver(self, entry: OutboxEntry, *, now_ms: int) -> None:
        """Deliver a claimed entry, then settle, postpone or fail it."""
        outcome: Outcome = await self._handler.deliver(entry) if entry.is_legible else ILLEGIBLE
        match outcome:
            case Delivered():
                await self._resume(entry)
                await self._settling.settle(entry, waited_ms=now_ms - entry.since_ms)
            case Retry():
                await self._retry(entry, outcome, now_ms)
            case Forbidden():
                await self._forbid(entry, outcome)
            case Reject():
                if outcome.is_answer:
                    await self._resume(entry)
                await self._settling.fail(entry, outcome.reason)

    async def note_halt(self) -> None:
        """Note for the other processes that delivery is halted, if it still is: another task may have resumed it."""
        if self._halt.reason is not None:
            with suppress(StoreUnavailable):  # the next probe notes it again
                await self._store.halt(self._halt.reason, ttl_seconds=_NOTE_LASTS_SECONDS)

    async def _retry(self, entry: OutboxEntry, retry: Retry, now_ms: int) -> None:
        if self._halt.fail(entry.key, retry.reason, retry.after_seconds):
            await self._halted()
        if self._policy.is_given_up(age_ms=now_ms - entry.since_ms, tries=entry.tries):
            hours = self._policy.give_up_ms // 3_600_000
            await self._settling.fail(entry, f"given up after {hours} h: {retry.reason}")
            return
        delay_ms = self._delay_ms(entry, retry.after_seconds)
        await self._settling.postpone(entry, delay_ms=delay_ms, was_tried=True)
        self._log(self._handler.events.postponed, entry, reason=retry.reason, tries=entry.tries + 1, delay_ms=delay_ms)

    async def _forbid(self, entry: OutboxEntry, forbidden: Forbidden) -> None:
        """Halt, unless other entries were accepted between several refusals of this one."""
        if not forbidden.is_of_credentials and self._halt.is_forbidden_alone(entry.key):
            await self._settling.fail(entry, f"{forbidden.reason}, for this {self._handler.kind} alone")
            return
        if self._halt.forbid(forbidden.reason):
            await self._halted()
        await self._settling.postpone(entry, delay_ms=int(self._policy.probe_seconds * 1000), was_tried=False)

    async def _halted(self) -> None:
        self._event_log(self._handler.events.halted, reason=self._halt.reason)
        await self.note_halt()

    async def _resume(self, entry: OutboxEntry) -> None:
        """Return to full speed: the receiver has answered."""
        if not self._halt.answered(entry.key):
            return
        self._event_log(self._handler.events.resumed)
        self._resumed()
        try:
            await self._remove_note()
        except StoreUnavailable:
            self._settlements.add(self._remove_note, for_seconds=_NOTE_LASTS_SECONDS, given_up=lambda _: None)

    async def _remove_note(self) -> None:
        if self._halt.reason is None:
            await self._store.resume()

    def _delay_ms(self, entry: OutboxEntry, asked_seconds: float | None) -> int:
        """Draw the delay of the next try, with full jitter; a longer one that the receiver asks for is kept."""
        pause_seconds = None if self._halt.reason is None else self._halt.pause_seconds
        longest = self._policy.longest_delay(entry.tries, pause_seconds)
        return int(1000 * max(self._jitter(self._policy.shortest_delay_seconds, longest), asked_seconds or 0))

    def _log(self, event: str, entry: OutboxEntry, /, **fields: LogValue) -> None:
        self._event_log(event, **{**self._handler.log_fields(entry), **fields})
