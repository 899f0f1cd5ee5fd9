"""What the rules need from Twilio, as a Protocol: the docstrings are the contract.

Whether a failure is permanent, passing or ambiguous is in its type, never in its text; no error
carries a number, a code or a credential. The one implementation is `providers.twilio.gateway`.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from service.core.verification import Delivery


class Refusal(StrEnum):
    """Why Twilio refuses a message for good; the values are the problem codes of the API."""

    INVALID_NUMBER = "invalid_number"
    COUNTRY_NOT_ALLOWED = "country_not_allowed"
    RECIPIENT_OPTED_OUT = "recipient_opted_out"
    NOT_A_MOBILE_NUMBER = "not_a_mobile_number"
    CARRIER_REJECTED = "carrier_rejected"
    BLOCKED = "blocked"
    SENDER_MISCONFIGURED = "sender_misconfigured"
    CREDENTIALS_REFUSED = "credentials_refused"


class SendRefused(Exception):
    """Permanent: Twilio refused the message and it was not sent.

    `is_of_credentials`: it says nothing about the one message, every other would meet the same.
    """

    def __init__(self, refusal: Refusal, error_code: int | None, *, is_of_credentials: bool = False) -> None:
        super().__init__(f"{refusal} ({error_code})")
        self.refusal = refusal
        self.error_code = error_code
        self.is_of_credentials = is_of_credentials


class SendPostponed(Exception):
    """Passing: the message was certainly not sent (429, or no connection), so it may be repeated.

    `is_unreachable`: there was no connection; otherwise Twilio works and asks for patience.
    """

    def __init__(self, reason: str, *, retry_after_seconds: float | None = None, is_unreachable: bool = False) -> None:
        super().__init__(reason)
        self.retry_after_seconds = retry_after_seconds
        self.is_unreachable = is_unreachable


class SendUnknown(Exception):
    """Ambiguous: the request was written and no clear answer came. Never repeat it by machine."""


class ConfirmRefused(Exception):
    """Permanent: Twilio does not know the message or rejects the report (400, 404, 410)."""


class ConfirmForbidden(Exception):
    """Our credentials are refused (401, 403): no confirmation can be posted until they are fixed.

    `is_of_credentials`: it says nothing about the one message; otherwise (403) that may be the cause.
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
class OutgoingMessage:
    """One send as Twilio needs it."""

    verification_id: str
    send_number: int
    to: str = field(repr=False)
    body: str = field(repr=False)
    validity_seconds: int


@dataclass(frozen=True, slots=True)
class AcceptedMessage:
    """Twilio's word that it took a message."""

    sid: str
    status: Delivery


class Sender(Protocol):
    """The way to Twilio. Every call ends within seconds; none repeats a request by itself."""

    async def send(self, message: OutgoingMessage) -> AcceptedMessage:
        """Post one message with `ProvideFeedback=true`.

        Raises `SendRefused`, `SendPostponed` or `SendUnknown`, and nothing else.
        """

    def is_sid(self, text: str) -> bool:
        """Tell whether a text has the form of this provider's message ids."""

    async def confirm(self, sid: str) -> None:
        """Report `Outcome=confirmed` for one message; return when Twilio has answered 2xx.

        Raises `ConfirmRefused`, `ConfirmForbidden` or `ConfirmPostponed`, and nothing else.
        """
