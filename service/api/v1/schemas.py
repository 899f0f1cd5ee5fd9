"""The schemas of requests and responses.

Requests are strict: unknown fields are refused, and no type is converted; what people type is folded (`core.folding`).
The models are also the OpenAPI document, so each field has a description. Models describe responses, and
`ResponseWriter` writes them.
"""

from operator import itemgetter
from typing import Any, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, model_validator

from service.api.v1.fields import (
    Address,
    CodeLength,
    Host,
    Instant,
    Lifetime,
    Locale,
    Purpose,
    Region,
    TypedCode,
    TypedNumber,
)
from service.core.actions import Action
from service.core.channels import CHANNELS, DEFAULT_CHANNEL, Channel
from service.core.instants import instant
from service.core.issuing import IssueRequest
from service.core.phone import PhoneNumber, mask
from service.core.verification import (
    ID_PATTERN,
    CheckResult,
    Delivery,
    Feedback,
    Send,
    Status,
    Verdict,
    Verification,
    VerificationRequest,
)

Object: TypeAlias = dict[str, Any]  # a JSON object whose values are serialised: no enums, no instants


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)


_ONE_LAST_LINE: dict[str, Any] = {  # the rule of `_one_last_line` for the document: null counts as absent
    "not": {
        "required": ["web_origin", "app_hash"],
        "properties": {name: {"type": "string"} for name in ("web_origin", "app_hash")},
    }
}


class IssueBody(_Body):
    """Who gets a code, and how."""

    model_config = ConfigDict(json_schema_extra=_ONE_LAST_LINE)

    to: TypedNumber = Field(
        description="The number as a person writes it: a plus sign, country code, number. Blanks, dashes, dots, "
        "parentheses and invisible characters are removed; digits may be of any script. Responses show it as E.164, "
        "which is unique for each number.",
        examples=["+14155550123"],
    )
    country: Region | None = Field(
        None,
        description="Region (ISO 3166-1 alpha-2) in which a number without a plus sign is read as a national one.",
        examples=["US"],
    )
    channel: Channel | None = Field(None, description=f"How the message travels; default `{Channel.SMS}`.")
    action: Action | None = Field(
        None, description=f"What the person does that proves receipt; default `{Action.CODE}`."
    )
    purpose: Purpose | None = Field(None, description="What the proof is for; default `login`.", examples=["login"])
    locale: Locale | None = Field(None, description="Language of the message; default `en`.")
    code_length: CodeLength | None = Field(None, description="Number of digits; default `OTP_CODE_LENGTH`.")
    ttl_seconds: Lifetime | None = Field(None, description="How long a code is valid; default `OTP_CODE_TTL`.")
    client_ip: Address | None = Field(
        None, description="The person's address, IPv4 or IPv6, for the limits by address.", examples=["192.0.2.7"]
    )
    web_origin: Host | None = Field(
        None,
        description="Host on which the browser may fill in the code (WebOTP). Not together with `app_hash`.",
        examples=["login.example.com"],
    )
    app_hash: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9+/]{11}$",
        description="Android app hash (SMS Retriever). Not together with `web_origin`.",
        examples=["FA+9qCX9VSu"],
    )
    reference: str | None = Field(
        None,
        pattern=r"^[ -~]{1,64}$",
        description="Your reference; every response shows it. Do not use personal data.",
        examples=["order-4711"],
    )

    @model_validator(mode="after")
    def _one_last_line(self) -> "IssueBody":
        if self.web_origin is not None and self.app_hash is not None:
            raise ValueError("give web_origin or app_hash, not both: each needs the last line of the message")
        return self

    @model_validator(mode="after")
    def _channel_carries_action(self) -> "IssueBody":
        channel, action = self.channel or DEFAULT_CHANNEL, self.action or Action.CODE
        if action not in CHANNELS[channel].actions:
            raise ValueError(f"choose another channel: a message by {channel} cannot carry the action {action}")
        return self

    def to_request(self, number: PhoneNumber, caller: str | None, *, owner: str | None = None) -> IssueRequest:
        """Make the request for the core, which has read `number` from `to`. Null counts as absent.

        `caller` tells API keys apart; the verification will belong to `owner`.
        """
        given = {name: value for name, value in self if value is not None} | {"country": number.country}
        request = VerificationRequest(**{name: given[name] for name in VerificationRequest._fields if name in given})
        return IssueRequest(
            number, request, self.channel or DEFAULT_CHANNEL, client_ip=self.client_ip, caller=caller, owner=owner
        )


class CheckBody(_Body):
    """What the person typed."""

    code: TypedCode = Field(
        description="The code as typed, 4 to 8 digits of any script. Blanks, dashes and invisible characters "
        "are removed: `123 456`, `123-456` and `١٢٣٤٥٦` are the code 123456.",
        examples=["123456"],
    )
    to: TypedNumber | None = Field(
        None,
        description="Must be the verification's number, with its country code, or the verdict is `mismatch`.",
        examples=["+14155550123"],
    )
    purpose: Purpose | None = Field(
        None, description="Must be the verification's purpose, or the verdict is `mismatch`.", examples=["login"]
    )


class SendResponse(BaseModel):
    """One message of a verification."""

    number: int = Field(description="1 for the first send, 2 for the next.", json_schema_extra={"minimum": 1})
    channel: Channel
    status: Delivery
    error_code: int | None = Field(description="Twilio's error code, if it failed.")
    sent_at: Instant
    feedback: Feedback


class VerificationResponse(BaseModel):
    """The current state of a verification."""

    id: str = Field(description="The id of the verification, for the paths.", json_schema_extra={"pattern": ID_PATTERN})
    status: Status
    to: str = Field(description="The number; for a client token all but its last two digits are masked.")
    channel: Channel
    action: Action
    purpose: str = Field(description="What the proof is for, as issued.")
    reference: str | None = Field(description="Your reference, as issued.")
    country: str = Field(description="The number's region, ISO 3166-1 alpha-2.")
    code_length: int = Field(description="How many digits the code has.")
    created_at: Instant
    expires_at: Instant = Field(description="When the newest code expires.")
    attempts_remaining: int = Field(
        description="Remaining checks, shared by all sends. A resend does not reset them.",
        json_schema_extra={"minimum": 0},
    )
    sends: list[SendResponse] = Field(description="Its messages, oldest first.")
    sends_remaining: int = Field(description="How many more codes may be sent.", json_schema_extra={"minimum": 0})
    resend_at: Instant | None = Field(description="When the next code may be sent; null if none may.")


class IssueResponse(VerificationResponse):
    """The response to an issue, with the token that a front end may use for this verification only."""

    client_token: str = Field(description="For your front end: it may verify, resend and read this verification.")


class CheckResponse(VerificationResponse):
    """The response to a check: HTTP 200 for every verdict."""

    valid: bool = Field(description="True for `approved` only.")
    verdict: Verdict


class ResponseWriter:
    """Writes responses as JSON objects. It has the two limits for the remaining attempts and sends.

    The models above only describe responses: serialising through them would revalidate trusted values. Tests compare
    every response with its model.
    """

    def __init__(self, *, max_attempts: int, max_sends: int) -> None:
        self._max_attempts = max_attempts
        self._max_sends = max_sends
        # Fields of the request that the model has too are shown as requested.
        self._asked = [name for name in VerificationResponse.model_fields if name in VerificationRequest._fields]
        self._read_asked = itemgetter(*map(VerificationRequest._fields.index, self._asked))

    def verification(self, verification: Verification, *, masked: bool) -> Object:
        """Show a verification (`VerificationResponse`)."""
        sends, request = verification.sends, verification.request
        sends_remaining = max(0, self._max_sends - len(sends))
        may_resend = verification.status is Status.PENDING and sends_remaining > 0
        shown: Object = {
            "id": verification.id,
            "status": str(verification.status),
            "to": mask(verification.to) if masked else verification.to,
            "channel": str(sends[-1].channel),
        }
        shown.update(zip(self._asked, self._read_asked(request)))  # noqa: B905 - without strict= in half the time
        shown["action"] = str(request.action)
        shown["created_at"] = instant(sends[0].sent_at_ms)
        shown["expires_at"] = instant(verification.expires_at_ms)
        shown["attempts_remaining"] = max(0, self._max_attempts - verification.attempts)
        shown["sends"] = [_send(send) for send in sends]
        shown["sends_remaining"] = sends_remaining
        shown["resend_at"] = instant(verification.resend_at_ms) if may_resend else None
        return shown

    def issued(self, verification: Verification, client_token: str) -> Object:
        """Show a new verification to the back end that issued it (`IssueResponse`)."""
        return self.verification(verification, masked=False) | {"client_token": client_token}

    def check(self, result: CheckResult, *, masked: bool) -> Object:
        """Show the result of a check (`CheckResponse`)."""
        shown = self.verification(result.verification, masked=masked)
        shown["valid"] = result.valid
        shown["verdict"] = str(result.verdict)
        return shown


def _send(send: Send) -> Object:
    return {
        "number": send.number,
        "channel": str(send.channel),
        "status": str(send.status),
        "error_code": send.error_code,
        "sent_at": instant(send.sent_at_ms),
        "feedback": str(send.feedback),
    }
