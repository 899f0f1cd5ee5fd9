"""Settling: have the store learn what became of a confirmation, though Redis may be away for a moment.

Twilio has answered by then, and a debt that stays as it is would be posted again when its lease runs out. So each step
is tried at once, then in the background for most of the lease (`retrying`). Repeating is safe: what Twilio has accepted
is removed whoever does it, and burying and postponing change nothing when the lease has passed to another worker.
"""

from functools import partial

from service.core.ports import ConfirmationStore, Debt, Journal
from service.core.retrying import Retries, Step

# Of the lease, after the post (5 s) and the tries in front (3 s): later it has run out, and the debt is posted again.
_TRIED_FOR = 0.6


class Settling:
    """Settles, buries and postpones what one worker has claimed."""

    def __init__(self, store: ConfirmationStore, retries: Retries, *, lease_ms: int, journal: Journal) -> None:
        self._store = store
        self._retries = retries
        self._tried_for_seconds = _TRIED_FOR * lease_ms / 1000
        self._journal = journal

    async def settle(self, debt: Debt, *, waited_ms: int) -> None:
        """Remove a debt that Twilio has accepted."""

        async def settle() -> None:
            if await self._store.settle(debt):
                self._journal(
                    "confirmation_settled",
                    verification_id=debt.verification_id,
                    send=debt.send_number,
                    sid=debt.sid,
                    tries=debt.tries + 1,
                    waited_ms=waited_ms,
                )

        await self._until_done(debt, settle)

    async def bury(self, debt: Debt, reason: str) -> None:
        """Move a debt that Twilio will never accept to the dead."""

        async def bury() -> None:
            if await self._store.bury(debt, reason):
                self._journal("confirmation_dead", verification_id=debt.verification_id, sid=debt.sid, reason=reason)

        await self._until_done(debt, bury)

    async def postpone(self, debt: Debt, *, delay_ms: int, was_tried: bool) -> None:
        """Give a debt back, due later."""
        await self._until_done(debt, partial(self._store.postpone, debt, delay_ms=delay_ms, was_tried=was_tried))

    async def _until_done(self, debt: Debt, step: Step) -> None:
        await self._retries.run(
            step,
            for_seconds=self._tried_for_seconds,
            given_up=lambda reason: self._journal("confirmation_left_to_its_lease", sid=debt.sid, reason=reason),
        )
