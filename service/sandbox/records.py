"""What a sandbox records: messages in both directions, calls, feedback, posts to webhooks, and simulated faults."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Message:
    """One message in its current state. `sender` is `From`; None until a Messaging Service has picked it.

    `outcome` is None without ProvideFeedback until a feedback post was accepted; otherwise it starts as `unconfirmed`.
    An `inbound` message was sent by a person to one of the account's numbers; an `outbound-reply` was asked for by the
    TwiML in response to one.
    """

    sid: str
    to: str
    sender: str | None
    body: str
    status: str
    provide_feedback: bool
    outcome: str | None
    created_at: datetime
    updated_at: datetime
    feedback_posts: int = 0
    feedback_at: datetime | None = None
    sent_at: datetime | None = None
    error_code: int | None = None
    messaging_service_sid: str | None = None
    status_callback: str | None = None
    validity_period_seconds: int = 36_000
    attempt: int | None = None
    risk_check: str | None = None
    message_intent: str | None = None
    content_retention: str | None = None
    address_retention: str | None = None
    content_sid: str | None = None
    content_variables: str | None = None
    channel_error: int | None = None  # with which WhatsApp will refuse it
    direction: Literal["outbound-api", "outbound-reply", "inbound"] = "outbound-api"
    opt_out_type: str | None = None  # of an inbound keyword, with Advanced Opt-Out
    auto_reply: str | None = None  # what Twilio itself replied to an inbound keyword
    scans: tuple[str, ...] = ()  # requests of a scanner that opened its links, such as `GET 200`


@dataclass(frozen=True, kw_only=True)
class FeedbackPost:
    """One feedback post as it arrived, accepted or not. `status` is None until a response is sent, if ever."""

    sid: str
    outcome: str | None
    status: int | None
    at: datetime


@dataclass(frozen=True, kw_only=True)
class CallbackPost:
    """One try to post to a webhook: a StatusCallback, or the URL for inbound messages or calls.

    `sid` and `message_status` are those of the message or the call. `result` is an HTTP status, or the failure (`ct`,
    `rt`, `not_loopback`). `error_code` is Twilio's for a response that is no valid TwiML.
    """

    sid: str
    message_status: str
    url: str
    result: int | str
    at: datetime
    error_code: int | None = None


@dataclass(frozen=True, kw_only=True)
class SimulatedFault:
    """One fault that was simulated. `to`, `sid` and `status_callback` are those of the message; None if it has none.

    `is_answered`: the response to the request has left, or its connection was closed. The client cannot know earlier.
    """

    endpoint: str
    kind: str
    seconds: float
    code: int | None
    to: str | None
    sid: str | None
    status_callback: str | None
    at: datetime
    is_answered: bool = False


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of what was said or keyed in a call."""

    by: Literal["voice", "person"]
    text: str
    language: str = ""  # of the voice


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call in its current state: of a person to a number of the account, or of the account to a person.

    `status` is Twilio's CallStatus. `is_gathering`: the voice waits for digits, `num_digits` of them if it said how
    many. `error_code` is Twilio's for a webhook that failed. `status_events` are those that the StatusCallback is for.
    """

    sid: str
    to: str
    sender: str
    status: str
    created_at: datetime
    updated_at: datetime
    lines: tuple[Line, ...] = ()
    is_gathering: bool = False
    num_digits: int | None = None
    error_code: int | None = None
    direction: Literal["inbound", "outbound-api"] = "inbound"
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    is_voicemail: bool = False
    timeout_seconds: int | None = None
    status_callback: str | None = None
    status_callback_method: str = "POST"
    status_events: tuple[str, ...] = ()


Change = (
    tuple[Literal["message", "status", "outcome", "scan", "inbound"], Message]
    | tuple[Literal["call"], Call]
    | tuple[Literal["feedback"], FeedbackPost]
    | tuple[Literal["callback"], CallbackPost]
    | tuple[Literal["fault"], SimulatedFault]
)
