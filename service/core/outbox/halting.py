"""Halting: whether entries are delivered now: all that are due, a single probe from time to time, or none.

Delivery halts when the receiver refuses our credentials, and when several different entries fail in a row (5xx,
time-out, no connection, 429), since the cause is then not one entry. During a halt one entry is delivered after each
pause. The first answer ends the halt, even if it rejects that entry. A Retry-After holds for all entries, for at most a
minute; then one is delivered as a test.

Each process decides by its own deliveries, as `breaker` does for sends.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

_FORBIDDEN_ALONE = 3  # refusals, with others accepted in between: the cause is the entry, not our credentials


@dataclass(frozen=True, slots=True)
class HaltPolicy:
    """When to halt, and how often a single entry is delivered then."""

    probe_seconds: float = 30.0  # while our credentials are refused
    most_failures: int = 8  # in a row, each of another entry
    failing_probe_seconds: float = 5.0
    longest_wait_seconds: float = 60.0


class Halt:
    """Tracks the result of each delivery, and decides when the next one may be made."""

    def __init__(self, policy: HaltPolicy, clock: Callable[[], float] = time.monotonic, *, kind: str) -> None:
        self._policy = policy
        self._kind = kind
        self._clock = clock
        self.reason: str | None = None  # why only probes are delivered; None: all that is due
        self.pause_seconds = 0.0  # between probes
        self._next_probe_at = 0.0
        self._wait_until = 0.0  # by a Retry-After
        self._failed: set[str] = set()  # keys of entries that have failed since the receiver last answered
        self._forbidden: dict[str, tuple[int, int]] = {}  # by key: how often it was refused, and `_answers` then
        self._answers = 0

    @property
    def seconds_left(self) -> float:
        """How long nothing may be delivered from now on."""
        return max(0.0, self._next_probe_at - self._clock(), self._wait_until - self._clock())

    def begin_probe(self) -> None:
        """Let one entry be delivered, and the next one only after another pause."""
        self._next_probe_at = self._clock() + self.pause_seconds

    def forbid(self, reason: str) -> bool:
        """Halt because our credentials were refused; tell whether that is news."""
        is_news = self.pause_seconds != self._policy.probe_seconds
        self._halt(reason, self._policy.probe_seconds)
        return is_news

    def fail(self, key: str, reason: str, retry_after_seconds: float | None) -> bool:
        """Note that the receiver did not accept an entry for now; tell whether that begins a halt."""
        self._failed.add(key)
        wait_seconds = min(retry_after_seconds or 0.0, self._policy.longest_wait_seconds)
        self._wait_until = max(self._wait_until, self._clock() + wait_seconds)
        if self.reason is not None or len(self._failed) < self._policy.most_failures:
            return False
        failed = f"{len(self._failed)} {self._kind}s in a row failed: {reason}"
        self._halt(failed, self._policy.failing_probe_seconds)
        return True

    def answered(self, key: str) -> bool:
        """Note that the receiver answered; tell whether that ends a halt."""
        self._answers += 1
        self._forbidden.pop(key, None)
        self._failed.clear()
        ends, self.reason = self.reason is not None, None
        self._next_probe_at = self.pause_seconds = 0.0
        return ends

    def is_forbidden_alone(self, key: str) -> bool:
        """Count a refusal of one entry; tell whether others were answered between several of its refusals."""
        times, answers = self._forbidden.pop(key, (0, -1))
        if answers < self._answers:
            times += 1
        if times >= _FORBIDDEN_ALONE:
            return True
        self._forbidden[key] = (times, self._answers)
        return False

    def _halt(self, reason: str, pause_seconds: float) -> None:
        self.reason, self.pause_seconds = reason, pause_seconds
        self._next_probe_at = self._clock() + pause_seconds
