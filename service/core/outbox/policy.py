"""How patient the worker of one queue is."""

from dataclasses import dataclass

from service.core.outbox.halting import HaltPolicy


@dataclass(frozen=True, slots=True)
class OutboxPolicy(HaltPolicy):
    """How many entries are delivered at once, for how long each is tried, and how often."""

    lease_ms: int = 30_000  # over twice the longest delivery (5 s), under the 60 s a takeover may last
    in_flight: int = 32
    poll_seconds: float = 0.5  # other processes write entries too, and cannot wake this worker
    shortest_delay_seconds: float = 1.0
    longest_delay_seconds: float = 300.0
    give_up_ms: int = 24 * 3_600_000
    least_tries: int = 20  # an entry may have grown old while nothing was delivered at all

    def is_given_up(self, *, age_ms: int, tries: int) -> bool:
        """Tell whether an entry that has failed again is not tried any more."""
        return age_ms >= self.give_up_ms and tries >= self.least_tries

    def longest_delay(self, tries: int, halt_pause_seconds: float | None) -> float:
        """Give the ceiling of the next delay: it doubles with each try.

        During a halt no entry waits longer than a probe, so that all leave when the receiver works again.
        """
        longest = self.longest_delay_seconds
        if halt_pause_seconds is not None:
            longest = max(self.shortest_delay_seconds, min(longest, halt_pause_seconds))
        return min(longest, self.shortest_delay_seconds * 2.0 ** min(tries + 1, 20))
