"""Lost messages: finds the SID of a message in the provider's list if the response and all callbacks were lost.

Only sends whose code was typed are looked up: their confirmations wait for the SID. The lookup lists the messages to
the number since the day of the send, and compares the digests of the codes in their texts with the digest of the issued
code. Another verification may have sent the same code to the number, so the message must also have been created when
the send was made. If two messages match, neither is taken. A message that is found is recorded as its callback would
have been, and its confirmation is posted. A lookup never sends a message.

Bounds: two lookups for each send, ten minutes apart; one at a time in each process, and one in two seconds. A claim
sets the time of the next lookup in the same step, so two workers never do the same one; if a process dies, only its
current lookup is lost. Failures of the provider do not count as lookups; a Retry-After holds for all lookups of this
process.

Lookups cannot work, and are not tried, if the provider does not keep texts or numbers (`OTP_CONTENT_RETENTION=discard`,
`OTP_ADDRESS_RETENTION=obfuscate`). (https://www.twilio.com/docs/messaging/api/message-resource: list messages)
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from enum import StrEnum
from functools import partial
from typing import Protocol

from service.core.actions import ACTIONS
from service.core.event_log import EventLog, LogValue
from service.core.keyring import Keyring
from service.core.partitions import PARTITIONS
from service.core.payment import Payment, bound
from service.core.polling import Polling
from service.core.retrying import Retries
from service.core.verification import Delivery, partition_of
from service.core.verification_store import VerificationStore

_MOST_SECRETS_IN_A_TEXT = 8
# When the provider created the message, compared with when our record was written: two clocks, and three tries of 5 s.
_EARLIEST_MS, _LATEST_MS = -60_000, 90_000
_FAILED_PAUSE_SECONDS, _FORBIDDEN_PAUSE_SECONDS = 60.0, 600.0
_KEPT_TRYING_SECONDS = 3600.0  # to store a SID that was found: as long as the record waits for it


class LookupFailed(Exception):
    """The provider did not list its messages. `is_forbidden`: it refuses our credentials, or forbids them to list."""

    def __init__(self, reason: str, *, retry_after_seconds: float | None = None, is_forbidden: bool = False) -> None:
        super().__init__(reason)
        self.retry_after_seconds = retry_after_seconds
        self.is_forbidden = is_forbidden


class LookupOutcome(StrEnum):
    """The outcome of one lookup. The metrics use the same words."""

    FOUND = "found"
    NOT_FOUND = "not_found"
    FAILED = "failed"  # the provider did not answer: the lookup is repeated


@dataclass(frozen=True, slots=True)
class LostMessage:
    """A send whose code was typed and whose SID is unknown, claimed for one lookup."""

    verification_id: str
    send_number: int
    to: str = field(repr=False)
    sent_at_ms: int
    digests: frozenset[bytes] = field(repr=False)  # of the code that it carried
    claimed_until_ms: int
    payment: Payment | None = field(default=None, repr=False)  # with which the code was digested


@dataclass(frozen=True, slots=True)
class ListedMessage:
    """One message as the provider lists it."""

    sid: str
    body: str = field(repr=False)
    created_at_ms: int
    status: Delivery
    error_code: int | None
    sender: str | None


class LostMessageStore(Protocol):
    """Keeps the sends to look up. Both steps are atomic and raise `StoreUnavailable`."""

    async def claim(self, partition: str) -> LostMessage | None:
        """Claim one send that is due for a lookup, and set the time of its next one; None if none is due."""

    async def looked_up(self, lost: LostMessage, outcome: LookupOutcome, *, again_in_ms: int = 0) -> None:
        """Count the outcome of a lookup; one that failed is due again, unless another process has claimed it by now."""


class MessageList(Protocol):
    """The provider's list of the messages that we have sent."""

    async def messages_to(self, number: str, *, since: date) -> Sequence[ListedMessage]:
        """List messages that we sent to a number on this day (UTC) or later, newest first; two pages at most.

        Raises `LookupFailed`, and nothing else.
        """


@dataclass(frozen=True, slots=True)
class LookupPolicy:
    """How often this process makes a lookup."""

    poll_seconds: float = 10.0
    pause_seconds: float = 2.0  # between two lookups


class LostMessages:
    """Finds lost messages; one instance in each process that runs the worker."""

    def __init__(
        self,
        lost: LostMessageStore,
        verifications: VerificationStore,
        messages: MessageList,
        keyring: Keyring,
        *,
        policy: LookupPolicy,
        retries: Retries,
        wake: Callable[[str], None],
        event_log: EventLog,
    ) -> None:
        self._lost = lost
        self._verifications = verifications
        self._messages = messages
        self._keyring = keyring
        self._policy = policy
        self._retries = retries
        self._wake = wake
        self._event_log = event_log
        self._polling = Polling(event_log, pause_seconds=policy.poll_seconds)

    def stop(self) -> None:
        """Begin no more lookups; `run` returns when the current one has ended."""
        self._polling.stop()

    async def run(self) -> None:
        """Make lookups until `stop`, also while Redis is away."""
        await self._polling.run(self._look_everywhere)

    async def look_up(self, lost: LostMessage) -> float:
        """Make one claimed lookup; return how long to wait before the next one."""
        since = datetime.fromtimestamp((lost.sent_at_ms + _EARLIEST_MS) / 1000, UTC).date()
        try:
            listed = await self._messages.messages_to(lost.to, since=since)
        except LookupFailed as failed:
            return await self._failed(lost, failed)
        fitting = [message for message in listed if self._fits(lost, message)]
        if len(fitting) == 1:
            await self._found(lost, fitting[0])
        else:
            fields: dict[str, LogValue] = {"verification_id": lost.verification_id, "send": lost.send_number}
            self._event_log("lost_message_not_found", **fields, reason="several fit" if fitting else "none fits")
            await self._lost.looked_up(lost, LookupOutcome.NOT_FOUND)
        return self._policy.pause_seconds

    async def _look_everywhere(self) -> None:
        for partition in PARTITIONS:
            lost = None if self._polling.is_stopping else await self._lost.claim(partition)
            if lost is not None:
                await self._polling.pause(await self.look_up(lost))

    def _fits(self, lost: LostMessage, message: ListedMessage) -> bool:
        """Tell whether a message was created when the send was made, and carries its code, password or link."""
        if not _EARLIEST_MS <= message.created_at_ms - lost.sent_at_ms <= _LATEST_MS:
            return False
        return any(
            not lost.digests.isdisjoint(
                action.digests(self._keyring, lost.verification_id, bound(secret, lost.payment))
            )
            for action in ACTIONS.values()
            for secret in list(dict.fromkeys(action.found_in(message.body)))[:_MOST_SECRETS_IN_A_TEXT]
        )

    async def _found(self, lost: LostMessage, message: ListedMessage) -> None:
        """Record the SID as its callback would have; in the background if Redis is away."""
        fields: dict[str, LogValue] = {
            "verification_id": lost.verification_id,
            "send": lost.send_number,
            "sid": message.sid,
        }
        self._event_log("lost_message_found", **fields, delivery=message.status)
        await self._retries.run(
            partial(self._record, lost, message),
            for_seconds=_KEPT_TRYING_SECONDS,
            given_up=lambda reason: self._event_log("sid_not_attached", **fields, reason=reason),
        )

    async def _record(self, lost: LostMessage, message: ListedMessage) -> None:
        enqueued = await self._verifications.deliver(
            lost.verification_id,
            lost.send_number,
            sid=message.sid,
            status=message.status,
            error_code=message.error_code,
            sender=message.sender,
        )
        if enqueued:
            self._wake(partition_of(lost.verification_id))
        await self._lost.looked_up(lost, LookupOutcome.FOUND)

    async def _failed(self, lost: LostMessage, failed: LookupFailed) -> float:
        """Give the lookup back, and pause all lookups of this process."""
        pause_seconds = _FORBIDDEN_PAUSE_SECONDS if failed.is_forbidden else _FAILED_PAUSE_SECONDS
        pause_seconds = max(pause_seconds, failed.retry_after_seconds or 0)
        delay_ms = int(pause_seconds * 1000)
        self._event_log(
            "lookup_failed",
            verification_id=lost.verification_id,
            send=lost.send_number,
            reason=str(failed),
            delay_ms=delay_ms,
        )
        await self._lost.looked_up(lost, LookupOutcome.FAILED, again_in_ms=delay_ms)
        return pause_seconds
