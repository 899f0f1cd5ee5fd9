"""The values of the service: verification, send, verdict, feedback, delivery.

Each is an enum or a named tuple: a check creates four, and no other immutable type is created as fast. Instants are
Redis time in milliseconds since the epoch (`…_ms`); durations name their unit. `issuing`, `checking`, `confirming` and
`delivery` change these values; steps that must be atomic are in the store's scripts.
"""

import re
import secrets
from enum import StrEnum
from typing import NamedTuple

from service.core.actions import Action
from service.core.channels import Channel
from service.core.payment import Payment

ID_PREFIX = "ve_"
ID_PATTERN = rf"^{ID_PREFIX}[0-9a-f]{{32}}$"
_ID = re.compile(ID_PATTERN)


class Status(StrEnum):
    """Where a verification stands."""

    PENDING = "pending"
    APPROVED = "approved"
    EXPIRED = "expired"
    CANCELED = "canceled"
    MAX_ATTEMPTS_REACHED = "max_attempts_reached"
    FAILED = "failed"


class Verdict(StrEnum):
    """What a check came to. Only `approved` proves anything."""

    APPROVED = "approved"
    WRONG_CODE = "wrong_code"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"
    USED = "used"
    LOCKED = "locked"
    CANCELED = "canceled"
    MISMATCH = "mismatch"


class Feedback(StrEnum):
    """State of a send's confirmation."""

    NONE = "none"
    AWAITING_SID = "awaiting_sid"
    PENDING = "pending"
    CONFIRMED = "confirmed"
    FAILED = "failed"


class Delivery(StrEnum):
    """The provider's delivery status; `unknown` is ours: no answer, or none yet."""

    UNKNOWN = "unknown"
    QUEUED = "queued"
    SENT = "sent"
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    FAILED = "failed"
    CANCELED = "canceled"
    READ = "read"


class VerificationRequest(NamedTuple):
    """What the caller asked for, as the verification keeps it. A field is added here and in `service.store.fields`."""

    country: str  # the region of the number
    purpose: str = "login"
    locale: str = "en"
    action: Action = Action.CODE
    code_length: int | None = None  # only of a code; None until it is issued: as the settings say
    ttl_seconds: int = 0  # 0 until it is issued: likewise
    reference: str | None = None
    web_origin: str | None = None
    app_hash: str | None = None
    password_length: int | None = None  # only of a password
    origin_text: str | None = None  # only of a link: where it came from, in the caller's words
    link_return: int | None = None  # only of a link: the place of its return address in OTP_LINK_RETURN_URLS
    embedded_origin: str | None = None  # of the frame in which a code is typed, on a page of `web_origin`


class Send(NamedTuple):
    """One message of a verification, with its own code, expiry and Message SID."""

    number: int
    channel: Channel
    status: Delivery
    error_code: int | None
    sent_at_ms: int
    feedback: Feedback
    idempotency_tag: str | None = None  # of the Idempotency-Key that asked for it


class Verification(NamedTuple):
    """One attempt to prove that a person holds a number, as it stood when it was read."""

    id: str
    to: str
    status: Status
    request: VerificationRequest
    sends: tuple[Send, ...]
    expires_at_ms: int
    read_at_ms: int  # the store's time when it was read
    attempts: int
    resend_at_ms: int
    is_test: bool = False  # issued for a test number: its code is fixed, and nothing was sent
    # Tags under which limits count a resend; only issuing and reading give them.
    number_tag: str | None = None
    client_tag: str | None = None  # of the person's address
    key_tag: str | None = None  # of the API key that issued the verification
    owner: str | None = None  # whose API keys find it; likewise
    further: str | None = None  # what is left of its list of channels, as the store writes it; None: it has no list
    payment: Payment | None = None  # that its secrets approve; likewise
    # Its newest send was refused, and the next channel of its list is due; only refusing gives it.
    is_followed: bool = False

    @property
    def channel(self) -> Channel:
        """The channel of the newest send."""
        return self.sends[-1].channel

    @property
    def created_at_ms(self) -> int:
        """When the first send was written."""
        return self.sends[0].sent_at_ms


class CheckResult(NamedTuple):
    """The result of one check."""

    verdict: Verdict
    verification: Verification
    replayed: bool = False  # the same Idempotency-Key within 60 s: nothing was checked again
    enqueued: bool = False  # a confirmation became pending: the worker may start at once

    @property
    def valid(self) -> bool:
        """Whether this check approved the verification."""
        return self.verdict is Verdict.APPROVED


def new_id(partition: str) -> str:
    """Draw a verification id: the partition's hex digit, then 124 random bits."""
    return f"{ID_PREFIX}{partition}{secrets.randbits(124):031x}"


def is_id(text: str) -> bool:
    """Tell whether a text has the form of a verification id (it need not exist)."""
    return _ID.fullmatch(text) is not None


def partition_of(verification_id: str) -> str:
    """Read the partition (one hex digit) from a verification id."""
    return verification_id[len(ID_PREFIX)]
