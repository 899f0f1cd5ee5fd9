"""What the rules need from a provider, as a Protocol: the docstrings are the contract.

Whether a failure is permanent, passing or ambiguous is in its type, never in its text; no error carries a number, a
code or a credential. Each package of `providers` implements it.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from service.core.verification import Delivery


class Refusal(StrEnum):
    """Why a provider refuses a message for good; the values are the problem codes of the API."""

    INVALID_NUMBER = "invalid_number"
    COUNTRY_NOT_ALLOWED = "country_not_allowed"
    RECIPIENT_OPTED_OUT = "recipient_opted_out"
    NOT_A_MOBILE_NUMBER = "not_a_mobile_number"
    CARRIER_REJECTED = "carrier_rejected"
    BLOCKED = "blocked"
    SENDER_MISCONFIGURED = "sender_misconfigured"
    CREDENTIALS_REFUSED = "credentials_refused"


# After these no other channel of a list follows: the provider suspects fraud, or would refuse that one too.
ENDS_LIST = frozenset({Refusal.BLOCKED, Refusal.CREDENTIALS_REFUSED})


class SendRefused(Exception):
    """Permanent: the provider refused the message and it was not sent.

    `is_of_credentials`: our credentials are refused, so every other message would be refused too.
    """

    def __init__(self, refusal: Refusal, error_code: int | None, *, is_of_credentials: bool = False) -> None:
        super().__init__(f"{refusal} ({error_code})")
        self.refusal = refusal
        self.error_code = error_code
        self.is_of_credentials = is_of_credentials


class SendPostponed(Exception):
    """Passing: the message was certainly not sent (429, or no connection), so it may be repeated.

    `is_unreachable`: there was no connection; otherwise the provider works and asks us to wait, unless it is we who
    are busy (`is_own`).
    """

    def __init__(
        self,
        reason: str,
        *,
        retry_after_seconds: float | None = None,
        is_unreachable: bool = False,
        is_own: bool = False,
    ) -> None:
        super().__init__(reason)
        self.retry_after_seconds = retry_after_seconds
        self.is_unreachable = is_unreachable
        self.may_follow = not is_unreachable and not is_own  # another channel of a list may be better


class SendUnknown(Exception):
    """Ambiguous: the request was written and no clear answer came. It must not be repeated automatically."""


class ConfirmRefused(Exception):
    """Permanent: the provider does not know the message, or rejects the report (400, 404, 410)."""


class ConfirmForbidden(Exception):
    """Our credentials are refused (401, 403): no confirmation can be posted until they are fixed.

    `is_of_credentials`: the message is not the cause; otherwise (403) it may be.
    """

    def __init__(self, reason: str, *, is_of_credentials: bool = False) -> None:
        super().__init__(reason)
        self.is_of_credentials = is_of_credentials


class ConfirmPostponed(Exception):
    """Everything else: busy, unreachable, 5xx, time-out, garbage. A report may be repeated safely."""

    def __init__(self, reason: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after_seconds = retry_after_seconds


@dataclass(frozen=True, slots=True)
class Text:
    """A text message, word for word."""

    body: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Template:
    """A message whose text the provider keeps in each language; only the code is ours."""

    locale: str
    code: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Speech:
    """A call that says the code."""

    locale: str
    brand: str
    code: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """One send as a provider needs it."""

    verification_id: str
    send_number: int
    to: str = field(repr=False)
    content: Text | Template | Speech  # as its channel carries it
    validity_seconds: int
    sender: str | None = None  # a number, a name or a pool of senders at the provider; None: as the settings say


@dataclass(frozen=True, slots=True)
class AcceptedMessage:
    """What a provider says of a message that it accepted."""

    sid: str
    status: Delivery
    error_code: int | None = None  # if the message has failed already


class Sender(Protocol):
    """Sends the messages of one channel. Every call ends within seconds; none repeats a request by itself."""

    @property
    def provider(self) -> str:
        """The provider's name, for logs and `/readyz`."""

    async def send(self, message: OutgoingMessage) -> AcceptedMessage:
        """Post one message, of which a confirmation may be reported later if the channel can be confirmed.

        Raises `SendRefused`, `SendPostponed` or `SendUnknown`, and nothing else.
        """

    def is_sid(self, text: str) -> bool:
        """Tell whether a text has the form of this provider's message ids."""

    async def confirm(self, sid: str) -> None:
        """Report that one message was received and its code used; return when the provider has accepted that.

        Raises `ConfirmRefused`, `ConfirmForbidden` or `ConfirmPostponed`, and nothing else.
        """
