"""The schemas of responses; those of requests are in `bodies`.

The models are also the OpenAPI document, so each field has a description. Models describe responses, and
`ResponseWriter` writes them.
"""

from operator import itemgetter
from typing import Any, TypeAlias

from pydantic import BaseModel, Field

from service.api.v1.fields import Instant
from service.core.actions import Action
from service.core.actions.reply import MATCH_PATTERN
from service.core.channels import Channel
from service.core.instants import instant
from service.core.phone import mask
from service.core.texts.negotiation import TAG_PATTERN
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


_IN_A_REPEATED_RESPONSE = "A response repeated for its Idempotency-Key has the value of the first response."


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
    code_length: int | None = Field(description="How many digits the code has; null for another action.")
    password_length: int | None = Field(description="How many characters the password has; null for another action.")
    created_at: Instant
    expires_at: Instant = Field(description="When the newest code expires.")
    expires_in: int = Field(
        description=f"Seconds until then, 0 if it has expired. {_IN_A_REPEATED_RESPONSE}",
        json_schema_extra={"minimum": 0},
    )
    attempts_remaining: int = Field(
        description="Remaining checks, shared by all sends. A resend does not reset them.",
        json_schema_extra={"minimum": 0},
    )
    sends: list[SendResponse] = Field(description="Its messages, oldest first.")
    sends_remaining: int = Field(description="How many more codes may be sent.", json_schema_extra={"minimum": 0})
    resend_at: Instant | None = Field(description="When the next code may be sent; null if none may.")
    resend_in: int | None = Field(
        description=f"Seconds until then, 0 if it may be sent now. {_IN_A_REPEATED_RESPONSE}",
        json_schema_extra={"minimum": 0},
    )


class IssueResponse(VerificationResponse):
    """The response to an issue, with the token that a front end may use for this verification only."""

    locale: str = Field(
        description="The language of its messages: the one of ours that was nearest to what you asked for.",
        json_schema_extra={"pattern": TAG_PATTERN},
    )
    client_token: str = Field(description="For your front end: it may verify, resend and read this verification.")
    match: str | None = Field(
        description="Show it on the page that started, because the person must repeat it: two digits for a link or a "
        "call, a word for a reply. No other response has it. Null for another action.",
        json_schema_extra={"pattern": f"^(?:[0-9]{{2}}|{MATCH_PATTERN})$"},
    )


class CheckResponse(VerificationResponse):
    """The response to a check: HTTP 200 for every verdict."""

    valid: bool = Field(description="True for `approved` only.")
    verdict: Verdict


class SearchResponse(BaseModel):
    """The result of a search."""

    verifications: list[VerificationResponse] = Field(
        description="The newest verifications of the number, at most 10, the newest first; empty if there are none."
    )


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
        # Unpacked, and enums by their `_value_`: a field by its name, or `str`, takes ten times as long.
        verification_id, to, status, request, sends, expires_at_ms, now_ms, attempts, resend_at_ms = verification[:9]
        shown_sends = [_send(send) for send in sends]
        sends_remaining = max(0, self._max_sends - len(sends))
        shown: Object = {
            "id": verification_id,
            "status": status._value_,
            "to": mask(to) if masked else to,
            "channel": shown_sends[-1]["channel"],
        }
        shown.update(zip(self._asked, self._read_asked(request)))  # noqa: B905 - without strict= in half the time
        shown["action"] = shown["action"]._value_
        shown["created_at"] = shown_sends[0]["sent_at"]
        shown["expires_at"] = instant(expires_at_ms)
        shown["expires_in"] = max(0, (expires_at_ms - now_ms) // 1000)
        shown["attempts_remaining"] = max(0, self._max_attempts - attempts)
        shown["sends"] = shown_sends
        shown["sends_remaining"] = sends_remaining
        shown["resend_at"] = shown["resend_in"] = None
        if status is Status.PENDING and sends_remaining > 0:
            wait_ms = max(0, resend_at_ms - now_ms)
            shown["resend_at"] = instant(resend_at_ms)
            shown["resend_in"] = -(-wait_ms // 1000)  # rounded up: after it, the code may be sent
        return shown

    def issued(self, verification: Verification, client_token: str, match: str | None) -> Object:
        """Show a new verification to the back end that issued it (`IssueResponse`)."""
        shown = self.verification(verification, masked=False)
        return shown | {"locale": verification.request.locale, "client_token": client_token, "match": match}

    def check(self, result: CheckResult, *, masked: bool) -> Object:
        """Show the result of a check (`CheckResponse`)."""
        verdict, verification, _, _ = result
        shown = self.verification(verification, masked=masked)
        shown["valid"] = verdict is Verdict.APPROVED
        shown["verdict"] = verdict._value_
        return shown


def _send(send: Send) -> Object:
    number, channel, status, error_code, sent_at_ms, feedback, _ = send
    return {
        "number": number,
        "channel": channel._value_,
        "status": status._value_,
        "error_code": error_code,
        "sent_at": instant(sent_at_ms),
        "feedback": feedback._value_,
    }
