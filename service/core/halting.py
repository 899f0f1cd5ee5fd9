"""Halting: whether confirmations are posted now: all that are due, a single probe from time to time, or none.

Posting halts when Twilio refuses our credentials, and when several different confirmations fail in a row (5xx,
time-out, no connection, 429), since the cause is then not one message. During a halt one confirmation is posted after
each pause. The first answer ends the halt, even if it refuses that message. A Retry-After holds for all confirmations,
for at most a minute; then one is posted as a test.

Each process decides by its own posts, as `breaker` does for sends.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

_FORBIDDEN_ALONE = 3  # refused so often while others were accepted in between: it is the message, not our credentials


@dataclass(frozen=True, slots=True)
class HaltPolicy:
    """When to halt, and how often a single confirmation is posted then."""

    probe_seconds: float = 30.0  # while our credentials are refused
    most_failures: int = 8  # in a row, each of another confirmation
    failing_probe_seconds: float = 5.0
    longest_wait_seconds: float = 60.0


class Halt:
    """Tracks the result of each post, and decides when the next one may be made."""

    def __init__(self, policy: HaltPolicy, clock: Callable[[], float] = time.monotonic) -> None:
        self._policy = policy
        self._clock = clock
        self.reason: str | None = None  # why nothing but probes is posted; None: all that is due
        self.pause_seconds = 0.0  # between probes
        self._next_probe_at = 0.0
        self._wait_until = 0.0  # by a Retry-After
        self._failed: set[str] = set()  # SIDs whose post has failed since Twilio last answered
        self._forbidden: dict[str, tuple[int, int]] = {}  # SIDs that met 401 or 403: how often, and `_answers` then
        self._answers = 0

    @property
    def seconds_left(self) -> float:
        """How long nothing may be posted from now on."""
        return max(0.0, self._next_probe_at - self._clock(), self._wait_until - self._clock())

    def begin_probe(self) -> None:
        """Let one confirmation be posted, and the next one after another pause only."""
        self._next_probe_at = self._clock() + self.pause_seconds

    def forbid(self, reason: str) -> bool:
        """Halt, for our credentials were refused; tell whether that is news."""
        is_news = self.pause_seconds != self._policy.probe_seconds
        self._halt(reason, self._policy.probe_seconds)
        return is_news

    def fail(self, sid: str, reason: str, retry_after_seconds: float | None) -> bool:
        """Note that Twilio did not accept a confirmation for now; tell whether that begins a halt."""
        self._failed.add(sid)
        wait_seconds = min(retry_after_seconds or 0.0, self._policy.longest_wait_seconds)
        self._wait_until = max(self._wait_until, self._clock() + wait_seconds)
        if self.reason is not None or len(self._failed) < self._policy.most_failures:
            return False
        self._halt(f"{len(self._failed)} confirmations in a row failed: {reason}", self._policy.failing_probe_seconds)
        return True

    def answered(self, sid: str) -> bool:
        """Note that Twilio answered a confirmation; tell whether that ends a halt."""
        self._answers += 1
        self._forbidden.pop(sid, None)
        self._failed.clear()
        ends, self.reason = self.reason is not None, None
        self._next_probe_at = self.pause_seconds = 0.0
        return ends

    def is_forbidden_alone(self, sid: str) -> bool:
        """Count a refusal of one confirmation; tell whether others were answered between several of its refusals."""
        times, answers = self._forbidden.pop(sid, (0, -1))
        if answers < self._answers:
            times += 1
        if times >= _FORBIDDEN_ALONE:
            return True
        self._forbidden[sid] = (times, self._answers)
        return False

    def _halt(self, reason: str, pause_seconds: float) -> None:
        self.reason, self.pause_seconds = reason, pause_seconds
        self._next_probe_at = self._clock() + pause_seconds
