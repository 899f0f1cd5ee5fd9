"""Instants: how a time in milliseconds since the epoch is written for people and for other programs."""

from datetime import UTC, datetime
from functools import lru_cache


@lru_cache(maxsize=4096)  # each answer has a few, and the next answers have the same
def instant(at_ms: int) -> str:
    """Write an instant as RFC 3339, to the millisecond."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
