"""The breaker: stops sends while the provider of a channel fails or refuses us, and tells callers at once.

Each channel has a breaker of its own. A failure is no clear answer (5xx, time-out, garbage) or no connection. Sending
halts after five failed sends in a row within 10 s. A send counts once, by the result of its last try. A refusal is an
answer, which shows that the provider works. A 429 counts as neither: the provider works and asks us to wait, which
`sending` passes on. One clear answer resets the count, so that rare faults among many sends halt nothing.

A refusal of our credentials applies to every send. A 401 halts at once, as it halts confirmations; a 403 may concern
one message, so only the third in a row halts. Refusals that concern one sender or country halt nothing.

While sending is halted, a send is refused before a limit or a record is written, and its Idempotency-Key is given back.
After each pause one real send is let through as a probe; an answer to it ends the halt. Checks do not depend on the
breaker, and confirmations have a halt of their own (`outbox`). Each process decides by its own sends.
(Nygard, "Release It!": circuit breaker.)
"""

import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from service.core.event_log import EventLog
from service.core.sender import AcceptedMessage, Refusal, SendPostponed, SendRefused, SendUnknown


class SendingHalted(Exception):
    """The provider fails or refuses us, so nothing was begun; the next send is let through in `retry_after_seconds`."""

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
    unknown_after_seconds: float = 60.0  # after the pause, if nobody sends: the provider may work again


class Breaker:
    """Watches the results of one channel's sends, and admits new ones."""

    def __init__(
        self,
        *,
        provider: str,
        event_log: EventLog,
        policy: BreakerPolicy | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._provider = provider
        self._event_log = event_log
        self._policy = policy or BreakerPolicy()
        self._clock = clock
        self._failed_at: deque[float] = deque(maxlen=self._policy.failures)
        self._refusals = 0  # of our credentials, since the last other answer
        self._next_probe_at: float | None = None  # None: not halted
        self._reason: str | None = None  # of the halt

    @property
    def halted(self) -> str | None:
        """Why nothing is sent; None while sends are admitted.

        None also if nobody has sent for a minute after the pause: the provider may work again. The next send is the
        probe all the same.
        """
        if self._next_probe_at is None or self._clock() >= self._next_probe_at + self._policy.unknown_after_seconds:
            return None
        return self._reason

    def admit(self) -> float | None:
        """Let a send begin; if it is a probe, return its token, to be given back at its end.

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
        """Let another send be the probe if this one has ended without an answer."""
        if self._next_probe_at == probe:  # else there was an answer, or there is a later probe
            self._next_probe_at = self._clock()

    async def watch(self, sending: Awaitable[AcceptedMessage]) -> AcceptedMessage:
        """Wait for one send with all its tries, and count its result; whatever it raises is passed on."""
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
        if self._reason is not None:
            self._next_probe_at = self._reason = None
            self._event_log("sending_resumed")

    def _refused(self, *, is_certain: bool) -> None:
        self._failed_at.clear()  # a refusal is an answer
        self._refusals += 1
        if is_certain or self._refusals >= self._policy.refusals:
            self._halt(f"{self._provider} refuses the credentials")
        elif self._reason is not None:
            self._halt(self._reason)

    def _failed(self) -> None:
        now = self._clock()
        self._failed_at.append(now)
        most = self._policy.failures
        is_failing = len(self._failed_at) == most and now - self._failed_at[0] <= self._policy.within_seconds
        if self._reason is not None:  # a send that began before the halt and fails during it prolongs it
            self._halt(self._reason)
        elif is_failing:
            self._halt(f"{self._provider} failed {most} times in a row")

    def _halt(self, reason: str) -> None:
        """Begin a halt, or prolong one; log a new reason."""
        is_new, self._reason = reason != self._reason, reason
        self._next_probe_at = self._clock() + self._policy.pause_seconds
        if is_new:
            self._event_log("sending_halted", reason=reason)
