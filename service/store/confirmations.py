"""Confirmations in Redis: the queue of the outbox whose entries change the feedback of a send."""

from service.core.confirming import Confirmation, read_confirmation
from service.core.outbox import OutboxEntry
from service.core.verification import Feedback
from service.store import keys as redis_keys
from service.store.fields import FIELDS
from service.store.outbox import Effect, EntryState, RedisOutbox
from service.store.scripts import Scripts

_FEEDBACK = {
    EntryState.PENDING: Feedback.PENDING,
    EntryState.DELIVERED: Feedback.CONFIRMED,
    EntryState.FAILED: Feedback.FAILED,
}
_ILLEGIBLE = Confirmation("", 0, "", "")  # there is no such record, and so none is changed
_COUNTERS = {EntryState.DELIVERED: "confirmed", EntryState.FAILED: "confirmation_failed"}


def open_confirmations(scripts: Scripts) -> RedisOutbox:
    """Return the queue of confirmations: each entry that changes its state changes the feedback with it."""
    return RedisOutbox(scripts, "", _effect)


def _effect(entry: OutboxEntry, state: EntryState) -> Effect:
    confirmation = read_confirmation(entry.particulars) or _ILLEGIBLE
    return Effect(
        record=redis_keys.verification_prefix(entry.partition) + confirmation.verification_id,
        field=FIELDS.send_key("feedback", confirmation.send_number),
        value=_FEEDBACK[state],
        counter=f"{_COUNTERS[state]}:{confirmation.country}:{confirmation.channel}" if state in _COUNTERS else "",
    )
