"""What the rules need from Redis, the webhooks and the log, as Protocols: the docstrings are the contract.

Each has one implementation, in `service.store` or `service.logs.event_log`, which translates and
decides nothing. No error carries a number, a code or a credential. The way to Twilio is in `sender`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from service.core.limits import Limit, Limits, Unit
from service.core.store_health import UNKNOWN, StoreCause, StoreFault
from service.core.verification import Action, Channel, CheckResult, Delivery, Verification


class StoreUnavailable(Exception):
    """Redis did not answer in time or refused a write; nothing may be assumed about the step."""

    def __init__(self, what: str = "", fault: StoreFault = UNKNOWN) -> None:
        super().__init__(what)
        self.fault = fault

    @property
    def cause(self) -> StoreCause:
        """Why: one word of a closed set."""
        return self.fault.cause


# --- Verifications --------------------------------------------------------------------------------


class NewVerification(NamedTuple):
    """What `VerificationStore.issue` writes; the code enters only as its digest."""

    id: str
    to: str
    country: str
    channel: Channel
    action: Action
    purpose: str
    locale: str
    reference: str | None
    code_length: int
    ttl_seconds: int
    web_origin: str | None
    app_hash: str | None
    client_tag: str | None = None
    key_tag: str | None = None
    is_test: bool = False  # nothing is sent, so no confirmation is ever pending
    owner: str | None = None  # tag of whose API keys find it


class Check(NamedTuple):
    """One answer by a person, already turned into digests (newest key first)."""

    verification_id: str
    digests: tuple[bytes, ...]
    to: str | None = None
    purpose: str | None = None
    owner: str | None = None  # whose it must be, or it is unknown
    idempotency_key: str | None = None  # already an HMAC
    fingerprint: str = "0"


class WrittenSend(NamedTuple):
    """A send that was written, or may have been, told by its code: it is the newest of those with this digest."""

    verification_id: str
    to: str
    digest: bytes
    after: int  # how many sends there were before


class Limited(Exception):
    """A limit is used up: which one, its windows, and when to come back. The HTTP routes decide who is told which."""

    def __init__(self, retry_after_ms: int, limit: Limit, limits: Limits) -> None:
        super().__init__(f"{limit}: retry after {retry_after_ms} ms")
        self.retry_after_ms = retry_after_ms
        self.limit = limit
        self.limits = limits


class UnknownVerification(Exception):
    """No verification has this id, or its record has expired."""


class NotPending(Exception):
    """The verification has ended, so nothing more is sent for it."""

    def __init__(self, verification: Verification) -> None:
        super().__init__(verification.status)
        self.verification = verification


class AlreadySent(Exception):
    """The same Idempotency-Key has asked for a send of this verification before: nothing was added."""

    def __init__(self, verification: Verification) -> None:
        super().__init__("already sent")
        self.verification = verification


class SendsExhausted(Exception):
    """The verification has had all its sends."""


class IdTaken(Exception):
    """A verification has this id already: another process took this request for failed, and has issued."""


class SameCode(Exception):
    """An earlier send of this verification carries the same code; draw again."""


class OtherBody(Exception):
    """The Idempotency-Key was used before with another body."""


class VerificationStore(Protocol):
    """Keeps verifications. Every method is one atomic step; all raise `StoreUnavailable`.

    Methods that take an id raise `UnknownVerification` unless they say otherwise. With `owner` given, so does a
    verification that is somebody else's: nothing of it is told, counted or changed.
    """

    async def issue(self, new: NewVerification, digest: bytes) -> Verification:
        """Write a verification and its first send, before anything is sent. Raises `Limited`, `IdTaken`."""

    async def resend(
        self, verification: Verification, digests: Sequence[bytes], *, request: str | None = None, is_test: bool = False
    ) -> Verification:
        """Write the next send, and which Idempotency-Key asked for it. To a test number the same code may go again.

        Raises `Limited`, `NotPending`, `SendsExhausted`, `SameCode`, `AlreadySent`.
        """

    async def deliver(
        self,
        verification_id: str,
        send_number: int,
        *,
        sid: str,
        status: Delivery,
        error_code: int | None = None,
        sender: str | None = None,
    ) -> bool:
        """Record the SID, status and sender of a send; tell whether a waiting confirmation became pending.

        May be repeated. An unknown verification or send, or another SID, changes nothing.
        """

    async def refuse(
        self, verification: Verification, send_number: int, *, error_code: int | None, passing: bool
    ) -> Verification:
        """Take back a send that was certainly not sent.

        The number's limit gets it back. `passing`: a resend leaves no trace. Otherwise it stays, as failed.
        """

    async def take_back(self, send: WrittenSend) -> None:
        """Take back a send that was never handed to Twilio, as if it were `passing`.

        Raises `UnknownVerification` also when there is no such send.
        """

    async def note_handed(self, verification_id: str, send_number: int) -> None:
        """Note that a send was handed to Twilio, which gave no clear answer: it may have gone out. May be repeated.

        An unknown verification or send changes nothing, nor does one of which Twilio has spoken.
        """

    async def check(self, check: Check) -> CheckResult:
        """Check a check: count, compare, consume once, enqueue. Raises `OtherBody`."""

    async def cancel(self, verification_id: str, *, owner: str | None = None) -> Verification:
        """End a pending verification; one that has ended stays as it is."""

    async def read(self, verification_id: str, *, owner: str | None = None) -> Verification:
        """Read a verification as it stands now, with what its resends are counted under."""


class Reserved(NamedTuple):
    """What asking for one unit came to: granted at an instant, or a wait."""

    wait_ms: int
    at_ms: int


class LimitStore(Protocol):
    """Counts what is not kept with one number. Each unit is a step of its own; all are asked side by side."""

    async def reserve(self, units: Sequence[Unit]) -> Sequence[Reserved | StoreUnavailable]:
        """Reserve one unit of each limit; where the answer is no grant, nothing was counted, or nobody knows."""

    async def give_back(self, reserved: Sequence[tuple[Unit, int]]) -> None:
        """Uncount units that were reserved, each at an instant. What fails stays counted, and is not told."""


# --- Confirmations --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """One confirmation pending to Twilio."""

    partition: str
    sid: str
    due_ms: int  # while claimed: leased until
    tries: int
    since_ms: int
    verification_id: str
    send_number: int
    country: str
    channel: str

    @property
    def legible(self) -> bool:
        """Tell whether the particulars of this entry could be read."""
        return self.since_ms > 0


@dataclass(frozen=True, slots=True)
class FailedEntry:
    """A confirmation that was given up, kept 14 days for `outbox retry`."""

    entry: OutboxEntry
    failed_at_ms: int
    reason: str


@dataclass(frozen=True, slots=True)
class Claim:
    """What one claim brought: leased entries, and when the partition's next entry is due."""

    entries: tuple[OutboxEntry, ...]
    now_ms: int
    next_due_ms: int | None


class ConfirmationStore(Protocol):
    """Keeps the entries. Every method is one atomic step; all raise `StoreUnavailable`."""

    async def claim(self, partition: str, *, lease_ms: int, most: int) -> Claim:
        """Lease the due entries of a partition, oldest first."""

    async def settle(self, entry: OutboxEntry) -> bool:
        """Remove an entry that Twilio has accepted; False when another worker did."""

    async def fail(self, entry: OutboxEntry, reason: str) -> bool:
        """Move an entry to the failed; False when another worker has ended or leased it."""

    async def postpone(self, entry: OutboxEntry, *, delay_ms: int, was_tried: bool) -> bool:
        """Give an entry back, due later; False when its lease has passed to another worker."""

    async def halt(self, reason: str, ttl_seconds: int) -> None:
        """Note for every process that posting has stopped."""

    async def resume(self) -> None:
        """Take that note back."""

    async def beat(self, ttl_seconds: int) -> None:
        """Note for every process that a worker is alive."""


# --- Idempotency and API keys ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Begun:
    """What claiming an Idempotency-Key came to: one of the three, or none of them when the key is fresh."""

    answer: bytes | None = None
    running_ms: int | None = None  # what is left of the lease of the request that runs
    abandoned_id: str | None = None


class IdempotencyStore(Protocol):
    """Keeps the first answer of each Idempotency-Key, sealed. All raise `StoreUnavailable`.

    `fence` is a random text that one claim has and no other: once it has been taken over, or has an answer, it changes
    nothing any more. Each step may be repeated.
    """

    async def begin(self, key: str, *, fence: str, fingerprint: str, verification_id: str, lease_ms: int) -> Begun:
        """Claim a key. Raises `OtherBody`."""

    async def finish(self, key: str, *, fence: str, answer: bytes) -> None:
        """Keep the sealed answer."""

    async def release(self, key: str, *, fence: str) -> None:
        """Forget a key without an answer: nothing was sent, and the next request is fresh."""

    async def withdraw(self, key: str, *, fence: str) -> None:
        """Give a claim back as it was found: abandoned, for the next request to take over at once, or never made."""


class ApiKeyStore(Protocol):
    """Keeps what is known of each API key under the key's digest."""

    async def api_keys(self) -> Mapping[str, bytes]:
        """Read all digests with their JSON particulars."""


# --- Webhooks and the log -------------------------------------------------------------------------


class CallbackSignature(Protocol):
    """Knows how Twilio signs its callbacks."""

    has_shared_keys: bool  # which sign in place of the Auth Token

    def is_genuine(self, url: str, fields: Mapping[str, Sequence[str]], signature: str, settings: str = "") -> bool:
        """Tell whether Twilio signed these form fields, blanks included, for this public URL; by `settings`, if any."""


class EventLog(Protocol):
    """Writes one event with its fields; what is not on the list of known fields is not written."""

    def __call__(self, event: str, /, **fields: object) -> None:
        """Write an event named like an identifier, such as `confirmation_settled`."""
