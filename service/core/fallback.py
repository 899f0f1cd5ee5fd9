"""Fallback: sends by the next channel of a list when a message failed, or when nothing was heard of it.

A verification may have a list of channels, each once. The first message goes out when it is issued. The next channel
follows at once when the newest message was refused, failed or was not delivered, and after the wait of its channel when
nothing says that it arrived; a message that was delivered or read ends the waiting. What somebody asks for meanwhile
begins the wait of its own channel. Nothing follows after an approval, a cancellation, the last attempt or the end of
the newest code.

A message that follows is a send like any other: it has its own secret, keeps all limits and counts as one of the sends
of its verification. If a limit is used up or sending is halted, it waits, and the verification stays as it is. If the
provider is busy, the next channel follows; if it is the last one, or the provider cannot be reached, the same channel
is tried again. A provider that suspects fraud, or refuses our credentials, ends the list.

Never doubled: a claim leases the verification to one process, and the step that writes the send takes its channel from
the list only if the claim still holds. If the process is killed before that step, another one sends after the lease; if
it is killed after it, the send stays `unknown` and is not repeated, and the next channel follows after its wait.
"""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from service.core.breaker import SendingHalted
from service.core.channels import ChannelUnavailable, ChannelUnfit
from service.core.event_log import EventLog
from service.core.issue_policy import ActionUnfit, IssuePolicy
from service.core.keyring import Keyring
from service.core.limiter import Limiter
from service.core.limits import Limited
from service.core.next_send import admit, write_next
from service.core.partitions import PARTITIONS
from service.core.phone import CountryNotAllowed
from service.core.polling import Polling
from service.core.profiles import Profiles
from service.core.reservation import Reservation
from service.core.sending import MessageRefused, ProviderUnavailable, Sending
from service.core.store_health import StoreUnavailable
from service.core.undoing import Undoing
from service.core.verification import Verification
from service.core.verification_store import (
    DueFallback,
    NotPending,
    Overtaken,
    SendsExhausted,
    UnknownVerification,
    VerificationStore,
)

_LONGEST_DELAY_MS = 600_000  # no code lives longer
_ENDED = (NotPending, Overtaken, SendsExhausted, UnknownVerification)
_UNFIT = (ChannelUnavailable, ChannelUnfit, ActionUnfit, CountryNotAllowed)


class FallbackStore(Protocol):
    """Keeps the verifications whose next channel waits. Both steps are atomic and raise `StoreUnavailable`."""

    async def claim(self, partition: str) -> DueFallback | None:
        """Claim one verification whose next channel is due, with what its resends are counted under; None if none is.

        Until the lease ends no other process claims it.
        """

    async def postpone(self, due: DueFallback, delay_ms: int) -> None:
        """Let a claimed one be due later, unless another process has claimed it by now."""


@dataclass(frozen=True, slots=True)
class FallbackPolicy:
    """How often this process looks for what is due, and how many messages it sends at once."""

    poll_seconds: float = 1.0
    in_flight: int = 16


class Fallback:
    """Sends by the next channels; one instance in each process that runs the worker."""

    def __init__(
        self,
        due: FallbackStore,
        store: VerificationStore,
        sending: Sending,
        *,
        limiter: Limiter,
        undoing: Undoing,
        keyring: Keyring,
        issue_policy: IssuePolicy,
        profiles: Profiles,
        event_log: EventLog,
        policy: FallbackPolicy | None = None,
    ) -> None:
        self._due = due
        self._store = store
        self._sending = sending
        self._limiter = limiter
        self._undoing = undoing
        self._keyring = keyring
        self._issue_policy = issue_policy
        self._profiles = profiles
        self._event_log = event_log
        self._policy = policy or FallbackPolicy()
        self._polling = Polling(event_log, pause_seconds=self._policy.poll_seconds)
        self._tasks: set[asyncio.Task[None]] = set()

    def stop(self) -> None:
        """Claim no more; `run` returns when what was claimed is sent."""
        self._polling.stop()

    async def run(self) -> None:
        """Send what is due until `stop`, also while Redis is away."""
        try:
            await self._polling.run(self._look_again)
            if self._tasks:
                await asyncio.wait(self._tasks)
        finally:  # on cancellation; a message that may have gone out stays `unknown`
            for task in self._tasks:
                task.cancel()

    async def look(self) -> int:
        """Claim what is due, at most one of each partition and as far as messages may be in flight; begin to send it.

        Returns how many were claimed.
        """
        free = self._policy.in_flight - len(self._tasks)
        partitions = random.sample(PARTITIONS, min(max(free, 0), len(PARTITIONS)))
        claims = await asyncio.gather(*map(self._due.claim, partitions), return_exceptions=True)
        claimed = [claim for claim in claims if isinstance(claim, DueFallback)]
        for due in claimed:
            task = asyncio.create_task(self._guarded_send(due))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        _raise_first(claims)  # only now: the others are leased to us
        return len(claimed)

    async def send(self, due: DueFallback) -> Verification | None:
        """Send by the channel that is due; None if nothing was sent, now or for good."""
        verification = due.verification
        try:
            profile = await self._profiles.of(verification.key_tag, verification.owner)
            reservation = self._reservation(due)
            await admit(self._store, self._issue_policy, reservation, verification, due.channel, profile=profile)
            return await self._reserved(due, reservation)
        except _ENDED:
            return None
        except (MessageRefused, ProviderUnavailable) as failed:
            return failed.verification  # the step that took the send back has made what follows due
        except Limited as limited:
            await self._postpone(due, limited.retry_after_ms, reason=str(limited))
        except SendingHalted as halted:
            await self._postpone(due, int(halted.retry_after_seconds * 1000), reason=str(halted))
        except _UNFIT as unfit:  # the settings have changed since
            await self._postpone(due, _LONGEST_DELAY_MS, reason=str(unfit))
        return None

    async def _reserved(self, due: DueFallback, reservation: Reservation) -> Verification:
        async with self._undoing.on_failure(None, reservation) as taken:
            written, secret = await write_next(
                self._store, self._keyring, due.verification, due.channel, taken, due=due
            )
            send = written.sends[-1].number
            self._event_log("fallback_sent", verification_id=written.id, send=send, channel=due.channel)
            return await self._sending.send(written, secret, keep=None, is_test=False, due=due)

    def _reservation(self, due: DueFallback) -> Reservation:
        key_tag = due.verification.key_tag or self._limiter.key_tag(None)
        return self._limiter.reservation(due.verification, due.channel, key_tag=key_tag)

    async def _postpone(self, due: DueFallback, delay_ms: int, *, reason: str) -> None:
        delay_ms = min(max(delay_ms, 1), _LONGEST_DELAY_MS)
        self._event_log(
            "fallback_postponed",
            verification_id=due.verification.id,
            channel=due.channel,
            reason=reason,
            delay_ms=delay_ms,
        )
        await self._due.postpone(due, delay_ms)

    async def _look_again(self) -> float | None:
        """Look once; if something was due, more may be, so there is no pause."""
        return 0 if await self.look() else None

    async def _guarded_send(self, due: DueFallback) -> None:
        try:
            await self.send(due)
        except StoreUnavailable as away:
            self._polling.outage_log.failed(away)  # what was claimed is due again when its lease ends
        except Exception as fault:  # noqa: BLE001 - else nobody would see it
            self._event_log("worker_fault", reason=type(fault).__name__)


def _raise_first(results: Sequence[object]) -> None:
    for result in results:
        if isinstance(result, BaseException):
            raise result
