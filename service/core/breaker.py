"""The breaker: while Twilio fails, no more messages are handed to it, and callers hear so at once.

Failing is no clear answer (5xx, time-out, garbage) and no connection, for five sends in a row within 10 s. A send
counts once, by how the last of its tries ends. A refusal is an answer, and shows that Twilio works; a 429 is neither:
Twilio works and asks for patience, which `sending` hands on. One clear answer in between starts the count anew, so
that a rare fault among many sends stops nothing.

Then sending halts: a send is refused before a limit or a record is written, and an Idempotency-Key that it has claimed
is given back. After each pause one real send is let through to see; an answer to it ends the halt. Verifying never asks
here, and confirmations have a halt of their own (`confirming`). Each process judges by its own sends and asks nobody.
(Nygard, "Release It!": circuit breaker.)
"""

import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from service.core.ports import Journal
from service.core.sender import AcceptedMessage, SendPostponed, SendRefused, SendUnknown


class SendingHalted(Exception):
    """Twilio has been failing, so nothing was begun; `retry_after_seconds` is when the next send is let through."""

    def __init__(self, retry_after_seconds: float) -> None:
        super().__init__("sending is halted")
        self.retry_after_seconds = retry_after_seconds


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """When to halt, and for how long."""

    failures: int = 5
    within_seconds: float = 10.0
    pause_seconds: float = 10.0  # longer than a failing send takes with its repeats, so that one probe is under way


class Breaker:
    """Watches what becomes of sends, and admits new ones."""

    def __init__(
        self,
        *,
        journal: Journal,
        policy: BreakerPolicy | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._journal = journal
        self._policy = policy or BreakerPolicy()
        self._clock = clock
        self._failed_at: deque[float] = deque(maxlen=self._policy.failures)
        self._next_probe_at: float | None = None  # None: not halted

    @property
    def halted(self) -> str | None:
        """Say why nothing is sent; None while sends pass."""
        return None if self._next_probe_at is None else f"Twilio failed {self._policy.failures} times in a row"

    def admit(self) -> float | None:
        """Let a send begin; give the name of the probe when it is one, to be given back at its end.

        Raises `SendingHalted`.
        """
        if self._next_probe_at is None:
            return None
        now = self._clock()
        if now < self._next_probe_at:
            raise SendingHalted(self._next_probe_at - now)
        self._next_probe_at = now + self._policy.pause_seconds
        return self._next_probe_at

    def give_back(self, probe: float) -> None:
        """Let another send be the probe if this one has ended without a word from Twilio."""
        if self._next_probe_at == probe:  # else something was heard, or others have taken its place
            self._next_probe_at = self._clock()

    async def watch(self, sending: Awaitable[AcceptedMessage]) -> AcceptedMessage:
        """Wait for one send with all its tries, and learn from what becomes of it; whatever it raises is passed on."""
        try:
            accepted = await sending
        except SendRefused:
            self._answered()
            raise
        except SendPostponed as postponed:
            if postponed.is_unreachable:
                self._failed()
            raise
        except SendUnknown:
            self._failed()
            raise
        self._answered()
        return accepted

    def _answered(self) -> None:
        self._failed_at.clear()
        if self._next_probe_at is not None:
            self._next_probe_at = None
            self._journal("sending_resumed")

    def _failed(self) -> None:
        now = self._clock()
        self._failed_at.append(now)
        is_halted = self._next_probe_at is not None
        is_failing = (
            len(self._failed_at) == self._policy.failures and now - self._failed_at[0] <= self._policy.within_seconds
        )
        if is_halted or is_failing:  # what began before a halt and fails in it prolongs it
            self._next_probe_at = now + self._policy.pause_seconds
        if is_failing and not is_halted:
            self._journal("sending_halted", reason=self.halted)
