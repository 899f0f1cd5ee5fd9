"""Settling: have the store learn what became of a confirmation, though Redis may be away for a moment.

Twilio has answered by then, and an entry that stays as it is would be posted again when its lease runs out. Each step
is tried at once, then in the background for most of the lease (`retrying`). Repeating is safe: what Twilio has accepted
is removed whoever does it, and failing and postponing change nothing when the lease has passed to another worker.
"""

from functools import partial

from service.core.event_log import EventLog
from service.core.outbox import ConfirmationStore, OutboxEntry
from service.core.retrying import Retries, Step

# Of the lease, after the post (5 s) and the tries in front (3 s): later it has run out, and the entry is posted again.
_TRIED_FOR = 0.6


class Settling:
    """Settles, fails and postpones what one worker has claimed."""

    def __init__(self, store: ConfirmationStore, retries: Retries, *, lease_ms: int, event_log: EventLog) -> None:
        self._store = store
        self._retries = retries
        self._tried_for_seconds = _TRIED_FOR * lease_ms / 1000
        self._event_log = event_log

    async def settle(self, entry: OutboxEntry, *, waited_ms: int) -> None:
        """Remove an entry that Twilio has accepted."""

        async def settle() -> None:
            if await self._store.settle(entry):
                self._event_log(
                    "confirmation_settled",
                    verification_id=entry.verification_id,
                    send=entry.send_number,
                    sid=entry.sid,
                    tries=entry.tries + 1,
                    waited_ms=waited_ms,
                )

        await self._until_done(entry, settle)

    async def fail(self, entry: OutboxEntry, reason: str) -> None:
        """Move an entry that Twilio will never accept to the dead."""

        async def fail() -> None:
            if await self._store.fail(entry, reason):
                self._event_log(
                    "confirmation_failed", verification_id=entry.verification_id, sid=entry.sid, reason=reason
                )

        await self._until_done(entry, fail)

    async def postpone(self, entry: OutboxEntry, *, delay_ms: int, was_tried: bool) -> None:
        """Give an entry back, due later."""
        await self._until_done(entry, partial(self._store.postpone, entry, delay_ms=delay_ms, was_tried=was_tried))

    async def _until_done(self, entry: OutboxEntry, step: Step) -> None:
        await self._retries.run(
            step,
            for_seconds=self._tried_for_seconds,
            given_up=lambda reason: self._event_log("confirmation_left_to_its_lease", sid=entry.sid, reason=reason),
        )
