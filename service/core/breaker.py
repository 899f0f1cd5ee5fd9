"""The breaker: while Twilio fails or refuses us, no more messages are handed to it, and callers hear so at once.

Failing is no clear answer (5xx, time-out, garbage) and no connection, for five sends in a row within 10 s. A send
counts once, by how the last of its tries ends. A refusal is an answer, and shows that Twilio works; a 429 is neither:
Twilio works and asks for patience, which `sending` hands on. One clear answer in between starts the count anew, so
that a rare fault among many sends stops nothing.

A refusal of our credentials would meet every send. A 401 halts at once, as it halts confirmations; a 403, which may be
of one message, when it is the third in a row. What Twilio refuses for the sake of one sender or country halts nothing.

Then sending halts: a send is refused before a limit or a record is written, and an Idempotency-Key that it has claimed
is given back. After each pause one real send is let through to see; an answer to it ends the halt. Verifying never asks
here, and confirmations have a halt of their own (`confirming`). Each process decides by its own sends and asks nobody.
(Nygard, "Release It!": circuit breaker.)
"""

import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from service.core.event_log import EventLog
from service.core.sender import AcceptedMessage, Refusal, SendPostponed, SendRefused, SendUnknown

_REFUSED = "Twilio refuses the credentials"


class SendingHalted(Exception):
    """Twilio fails or refuses us, so nothing was begun; `retry_after_seconds` is when the next send is let through."""

    def __init__(self, retry_after_seconds: float) -> None:
        super().__init__("sending is halted")
        self.retry_after_seconds = retry_after_seconds


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """When to halt, and for how long."""

    failures: int = 5
    within_seconds: float = 10.0
    refusals: int = 3  # of our credentials by 403, in a row
    pause_seconds: float = 10.0  # longer than a failing send takes with its repeats, so that one probe is under way


class Breaker:
    """Watches what becomes of sends, and admits new ones."""

    def __init__(
        self,
        *,
        event_log: EventLog,
        policy: BreakerPolicy | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._event_log = event_log
        self._policy = policy or BreakerPolicy()
        self._clock = clock
        self._failed_at: deque[float] = deque(maxlen=self._policy.failures)
        self._refusals = 0  # of our credentials, since Twilio last gave another answer
        self._next_probe_at: float | None = None  # None: not halted
        self.halted: str | None = None  # why nothing is sent; None while sends pass

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
        except SendRefused as refused:
            if refused.refusal is Refusal.CREDENTIALS_REFUSED:
                self._refused(is_certain=refused.is_of_credentials)
            else:
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
        self._refusals = 0
        if self.halted is not None:
            self._next_probe_at = self.halted = None
            self._event_log("sending_resumed")

    def _refused(self, *, is_certain: bool) -> None:
        self._failed_at.clear()  # an answer all the same
        self._refusals += 1
        if is_certain or self._refusals >= self._policy.refusals:
            self._halt(_REFUSED)
        elif self.halted is not None:
            self._halt(self.halted)

    def _failed(self) -> None:
        now = self._clock()
        self._failed_at.append(now)
        most = self._policy.failures
        is_failing = len(self._failed_at) == most and now - self._failed_at[0] <= self._policy.within_seconds
        if self.halted is not None:  # what began before a halt and fails in it prolongs it
            self._halt(self.halted)
        elif is_failing:
            self._halt(f"Twilio failed {most} times in a row")

    def _halt(self, reason: str) -> None:
        """Begin a halt, or prolong one; a new reason is told."""
        is_news, self.halted = reason != self.halted, reason
        self._next_probe_at = self._clock() + self._policy.pause_seconds
        if is_news:
            self._event_log("sending_halted", reason=reason)
