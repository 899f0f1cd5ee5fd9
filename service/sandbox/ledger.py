"""Stores messages, calls, posts and simulated faults, and the subscribers to changes.

Entries are frozen snapshots (see `records`); a change replaces the entry and is sent to the subscribers. Memory is
bounded: the oldest entries are deleted first. Nothing here does I/O, so a test in the same process may read any time.
"""

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from typing import Any

from service.sandbox.addresses import number_of
from service.sandbox.records import Call, CallbackPost, Change, FeedbackPost, Message, SimulatedFault

_BACKLOG = 1_000  # changes kept for a subscriber that does not read


class Ledger:
    """The records of one sandbox, at most the newest `keep` entries of each kind."""

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._messages: dict[str, Message] = {}
        self._feedback: dict[int, FeedbackPost] = {}
        self._callbacks: dict[int, CallbackPost] = {}
        self._faults: dict[int, SimulatedFault] = {}
        self._calls: dict[str, Call] = {}
        self._numbers = count(1)
        self._subscribers: set[asyncio.Queue[Change | None]] = set()

    def messages(self, to: str | None = None) -> list[Message]:
        """Return the messages in both directions, oldest first; with `to`, those to that number by any channel."""
        return [message for message in list(self._messages.values()) if to in (None, number_of(message.to))]

    def message(self, sid: str) -> Message | None:
        """Return one message, or None if it is unknown or was deleted."""
        return self._messages.get(sid)

    def feedback(self, sid: str | None = None) -> list[FeedbackPost]:
        """Return every feedback post, oldest first; with `sid`, those for that message."""
        return [post for post in list(self._feedback.values()) if sid in (None, post.sid)]

    def callbacks(self, sid: str | None = None) -> list[CallbackPost]:
        """Return every callback post, oldest first; with `sid`, those about that message."""
        return [post for post in list(self._callbacks.values()) if sid in (None, post.sid)]

    def faults(self) -> list[SimulatedFault]:
        """Return every fault that was simulated, oldest first."""
        return list(self._faults.values())

    def calls(self) -> list[Call]:
        """Return the calls, oldest first."""
        return list(self._calls.values())

    def call(self, sid: str) -> Call | None:
        """Return one call, or None if it is unknown or was deleted."""
        return self._calls.get(sid)

    def add(self, message: Message) -> None:
        """Record a new message."""
        _store(self._messages, message.sid, message, self._keep)
        self._publish(("inbound" if message.direction == "inbound" else "message", message))

    def set_call(self, call: Call) -> None:
        """Record a call in its new state."""
        _store(self._calls, call.sid, call, self._keep)
        self._publish(("call", call))

    def move(
        self, sid: str, *, status: str, sender: str | None = None, error_code: int | None = None
    ) -> Message | None:
        """Record a new status and return the message; None if it was deleted meanwhile."""
        now = datetime.now(UTC)
        message = self._messages.get(sid)
        if message is None:
            return None
        sent_at = message.sent_at or (None if status == "queued" else now)
        message = replace(message, status=status, error_code=error_code, sent_at=sent_at, updated_at=now)
        self._messages[sid] = message = replace(message, sender=message.sender or sender)
        self._publish(("status", message))
        return message

    def set_outcome(self, sid: str, outcome: str) -> Message | None:
        """Record an accepted outcome and return the message; None if it is unknown."""
        message = self._messages.get(sid)
        if message is None:
            return None
        posts = message.feedback_posts + 1
        self._messages[sid] = message = replace(
            message, outcome=outcome, feedback_posts=posts, feedback_at=datetime.now(UTC)
        )
        self._publish(("outcome", message))
        return message

    def add_scan(self, sid: str, requests: Iterable[str]) -> None:
        """Record that a scanner has opened the links of a message."""
        if (message := self._messages.get(sid)) is not None:
            self._messages[sid] = message = replace(message, scans=(*message.scans, *requests))
            self._publish(("scan", message))

    def open_feedback(self, sid: str, outcome: str | None) -> int:
        """Record a feedback post on arrival, before anything can go wrong with it; return its number."""
        number = next(self._numbers)
        post = FeedbackPost(sid=sid, outcome=outcome, status=None, at=datetime.now(UTC))
        _store(self._feedback, number, post, self._keep)
        return number

    def close_feedback(self, number: int, status: int) -> None:
        """Record the status of the response to a feedback post."""
        if number in self._feedback:
            self._feedback[number] = post = replace(self._feedback[number], status=status)
            self._publish(("feedback", post))

    def add_callback(self, post: CallbackPost) -> None:
        """Record one try to post to a webhook."""
        _store(self._callbacks, next(self._numbers), post, self._keep)
        self._publish(("callback", post))

    def open_fault(self, fault: SimulatedFault) -> int:
        """Record that a fault is being simulated; return its number."""
        number = next(self._numbers)
        _store(self._faults, number, fault, self._keep)
        self._publish(("fault", fault))
        return number

    def close_fault(self, number: int) -> None:
        """Record that the request that met this fault is answered."""
        if number in self._faults:
            self._faults[number] = fault = replace(self._faults[number], is_answered=True)
            self._publish(("fault", fault))

    def forget(self) -> None:
        """Delete every entry; subscribers stay."""
        self._messages.clear()
        self._feedback.clear()
        self._callbacks.clear()
        self._faults.clear()
        self._calls.clear()

    @contextmanager
    def subscribe(self) -> Iterator[asyncio.Queue[Change | None]]:
        """Receive every change from now on; None marks the end. A subscriber that reads too slowly loses changes."""
        queue: asyncio.Queue[Change | None] = asyncio.Queue(_BACKLOG)
        self._subscribers.add(queue)
        try:
            yield queue
        finally:
            self._subscribers.discard(queue)

    def close(self) -> None:
        """Send the subscribers the end of the stream."""
        self._publish(None)

    def _publish(self, change: Change | None) -> None:
        for queue in self._subscribers:
            if queue.full() and change is None:
                queue.get_nowait()
            with suppress(asyncio.QueueFull):
                queue.put_nowait(change)


def _store(entries: dict[Any, Any], key: Any, entry: Any, keep: int) -> None:
    entries[key] = entry
    if len(entries) > keep:
        del entries[next(iter(entries))]  # dicts keep the order of insertion: the oldest
