"""Writes entries of the ledger as JSON of the test interface: times in ISO 8601 UTC, `from` for a sender."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

from service.sandbox.records import Call, CallbackPost, FeedbackPost, Message, SimulatedFault

_FIRST_KEYS = (
    "sid",
    "to",
    "from",
    "body",
    "status",
    "provide_feedback",
    "outcome",
    "feedback_posts",
    "created_at",
)


def row_of(entry: Message | Call | FeedbackPost | CallbackPost | SimulatedFault) -> dict[str, Any]:
    """Return an entry as the test interface writes it; of a message the agreed keys first, then the rest."""
    row = {
        "from" if key == "sender" else key: value.isoformat().replace("+00:00", "Z")
        if isinstance(value, datetime)
        else value
        for key, value in asdict(entry).items()
    }
    return {key: row.pop(key) for key in _FIRST_KEYS} | row if isinstance(entry, Message) else row
