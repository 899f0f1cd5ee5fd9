"""Stores messages, feedback posts, callback posts, simulated faults, and the subscribers to changes.

Entries are frozen snapshots; a change replaces the entry and is sent to the subscribers. Memory is bounded: the oldest
entries are deleted first. Nothing here does I/O, so a test in the same process may read at any time.
"""

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import count
from typing import Any, Literal

_BACKLOG = 1_000  # changes kept for a subscriber that does not read


@dataclass(frozen=True, kw_only=True)
class Message:
    """One accepted message in its current state. `sender` is `From`; None until a Messaging Service has picked it.

    `outcome` is None without ProvideFeedback until a feedback post was accepted; otherwise it starts as `unconfirmed`.
    """

    sid: str
    to: str
    sender: str | None
    body: str
    status: str
    provide_feedback: bool
    outcome: str | None
    created_at: datetime
    updated_at: datetime
    feedback_posts: int = 0
    feedback_at: datetime | None = None
    sent_at: datetime | None = None
    error_code: int | None = None
    messaging_service_sid: str | None = None
    status_callback: str | None = None
    validity_period_seconds: int = 36_000
    attempt: int | None = None
    risk_check: str | None = None
    message_intent: str | None = None
    content_retention: str | None = None
    address_retention: str | None = None
    content_sid: str | None = None
    content_variables: str | None = None
    scans: tuple[str, ...] = ()  # requests of a scanner that opened its links, such as `GET 200`


@dataclass(frozen=True, kw_only=True)
class FeedbackPost:
    """One feedback post as it arrived, accepted or not. `status` is None until a response is sent, if ever."""

    sid: str
    outcome: str | None
    status: int | None
    at: datetime


@dataclass(frozen=True, kw_only=True)
class CallbackPost:
    """One try to post to a StatusCallback. `result`: an HTTP status, or the failure (`ct`, `rt`, `not_loopback`)."""

    sid: str
    message_status: str
    url: str
    result: int | str
    at: datetime


@dataclass(frozen=True, kw_only=True)
class SimulatedFault:
    """One fault that was simulated. `to`, `sid` and `status_callback` are those of the message; None if it has none.

    `is_answered`: the response to the request has left, or its connection was closed. The client cannot know earlier.
    """

    endpoint: str
    kind: str
    seconds: float
    code: int | None
    to: str | None
    sid: str | None
    status_callback: str | None
    at: datetime
    is_answered: bool = False


Change = (
    tuple[Literal["message", "status", "outcome", "scan"], Message]
    | tuple[Literal["feedback"], FeedbackPost]
    | tuple[Literal["callback"], CallbackPost]
    | tuple[Literal["fault"], SimulatedFault]
)


class Ledger:
    """The records of one sandbox, at most the newest `keep` entries of each kind."""

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._messages: dict[str, Message] = {}
        self._feedback: dict[int, FeedbackPost] = {}
        self._callbacks: dict[int, CallbackPost] = {}
        self._faults: dict[int, SimulatedFault] = {}
        self._numbers = count(1)
        self._subscribers: set[asyncio.Queue[Change | None]] = set()

    def messages(self, to: str | None = None) -> list[Message]:
        """Return the messages, oldest first; with `to`, those to that number."""
        return [message for message in list(self._messages.values()) if to in (None, message.to)]

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

    def add(self, message: Message) -> None:
        """Record a new message."""
        _store(self._messages, message.sid, message, self._keep)
        self._publish(("message", message))

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
        """Record one try to post to a StatusCallback."""
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
