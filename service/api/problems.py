"""Problems: every error of the API as RFC 9457 `application/problem+json`, from one table.

A problem has a stable `type` (a URN) with a short `code`; texts may be reworded, codes may not. No problem repeats what
the caller sent: not a code, not a number, not the name of an unknown field that could be one.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, Field, ValidationError
from pydantic_core import to_json

from service.core.breaker import SendingHalted
from service.core.idempotency import StillRunning
from service.core.issuing import ClientIpRequired
from service.core.limits import UNLIMITED, Limit, Limits
from service.core.phone import CountryNotAllowed, InvalidNumber
from service.core.ports import Limited, NotPending, OtherBody, SendsExhausted, StoreUnavailable, UnknownVerification
from service.core.sender import Refusal
from service.core.sending import MessageRefused, TwilioUnavailable

MEDIA_TYPE = "application/problem+json"
_TYPE = "urn:otp-service:problem:"
_STORE_RETRY_SECONDS = 1
_TWILIO_RETRY_SECONDS = 5

# Each code with its HTTP status and its title.
CATALOGUE: Mapping[str, tuple[int, str]] = {
    "malformed_request": (400, "This is no HTTP/1.1 request that can be served"),
    "malformed_body": (400, "The body cannot be read"),
    "invalid_idempotency_key": (400, "The Idempotency-Key cannot be used"),
    "unauthenticated": (401, "No valid API key or client token"),
    "insufficient_scope": (403, "This credential may not do this"),
    "bad_signature": (403, "The request is not signed by Twilio"),
    "not_found": (404, "There is nothing here"),
    "unknown_verification": (404, "No such verification, or it has been forgotten"),
    "method_not_allowed": (405, "This address does not take this method"),
    "request_timeout": (408, "The request did not arrive in time"),
    "not_pending": (409, "The verification has ended"),
    "max_sends_reached": (409, "The verification has had all its sends"),
    "request_in_progress": (409, "The first request with this Idempotency-Key is still running"),
    "body_too_large": (413, "The body is too large"),
    "unsupported_media_type": (415, "The body is of a type that is not taken here"),
    "invalid_request": (422, "The request is not valid"),
    "client_ip_required": (422, "The request must name the person's client_ip"),
    "idempotency_key_reused": (422, "The Idempotency-Key was used with another request"),
    Refusal.INVALID_NUMBER: (422, "The number cannot receive a code"),
    Refusal.COUNTRY_NOT_ALLOWED: (422, "Codes are not sent to this country"),
    Refusal.RECIPIENT_OPTED_OUT: (422, "The recipient has opted out of messages"),
    Refusal.NOT_A_MOBILE_NUMBER: (422, "The number is not a mobile number"),
    Refusal.CARRIER_REJECTED: (422, "The message cannot be delivered to this number"),
    Refusal.BLOCKED: (422, "Messages to this number are blocked for now"),
    "rate_limited": (429, "Too many requests"),
    "headers_too_large": (431, "The head of the request is too large"),
    "internal_error": (500, "Something went wrong on our side"),
    Refusal.SENDER_MISCONFIGURED: (502, "The sender is not set up for this message"),
    Refusal.CREDENTIALS_REFUSED: (502, "Twilio refuses the service's credentials"),
    "store_unavailable": (503, "The store is unavailable"),
    "twilio_unavailable": (503, "Twilio is unavailable; the message was not sent"),
    "overloaded": (503, "Too many requests are under way"),
    "draining": (503, "This process is about to end; send new requests to another one"),
}

# What to do about it, for the codes whose problem brings no words of its own. Four say nothing: the title of a draining
# process says it, a used-up limit has its wait, and the store's fate and what went wrong with us are nobody's business.
_DETAILS: Mapping[str, str] = {
    "malformed_request": "Send HTTP/1.1 with one Host, and the length of a body in one way.",
    "malformed_body": "Send one JSON object, in UTF-8.",
    "invalid_idempotency_key": "Send 1 to 255 visible ASCII characters.",
    "unauthenticated": "Send Authorization: Bearer, then an API key, or the client token of this verification.",
    "bad_signature": "X-Twilio-Signature must be made over OTP_PUBLIC_URL and every field of the form.",
    "unknown_verification": "Look at the id, or issue a new verification.",
    "max_sends_reached": "Issue a new verification.",
    "request_timeout": "Send the whole head of a request within 20 seconds.",
    "request_in_progress": "Repeat it with the same Idempotency-Key; Retry-After is the longest that it can take.",
    "invalid_request": "What is wrong with which field is in errors.",
    "client_ip_required": "This service limits sends by address: name the person's address, not your own.",
    "idempotency_key_reused": "Repeat the first request as it was, or choose a new key.",
    Refusal.INVALID_NUMBER: "Ask for another number.",
    Refusal.COUNTRY_NOT_ALLOWED: "The operator of this service decides which countries codes are sent to.",
    Refusal.RECIPIENT_OPTED_OUT: "The person must text START to the sender before messages are delivered again.",
    Refusal.NOT_A_MOBILE_NUMBER: "Ask for a mobile number.",
    Refusal.CARRIER_REJECTED: "Ask for another number.",
    Refusal.BLOCKED: "Twilio suspects traffic pumping. Blocks end by themselves within the hour.",
    "headers_too_large": "Send at most 32 KiB of target and headers.",
    Refusal.SENDER_MISCONFIGURED: "The operator of this service must look at the sender; the log has Twilio's code.",
    Refusal.CREDENTIALS_REFUSED: "The operator of this service must renew its credentials.",
    "twilio_unavailable": "Send the same request again when the wait is over.",
    "overloaded": "Nothing was done. Send the same request again when the wait is over.",
}


class Problem(BaseModel):
    """An error answer (RFC 9457)."""

    type: str = Field(
        description="A stable URN that ends in the code.",
        examples=[f"{_TYPE}rate_limited"],
        json_schema_extra={"format": "uri"},
    )
    code: str = Field(
        description="The short name of the problem, and the one field to decide by.",
        examples=["rate_limited"],
        json_schema_extra={"enum": [str(code) for code in CATALOGUE]},
    )
    title: str = Field(description="The problem in words; may be reworded.", examples=["Too many requests"])
    status: int = Field(description="The HTTP status.", examples=[429])
    detail: str | None = Field(None, description="What to do about it; may be reworded.")
    retry_after: int | None = Field(
        None, description="Seconds; also in the header Retry-After.", json_schema_extra={"minimum": 1}
    )
    limit: str | None = Field(
        None,
        description="Which limit is used up; told to API keys only. "
        "`RateLimit-Policy` says what it allows, one item for each of its windows.",
        json_schema_extra={"enum": [str(limit) for limit in Limit if limit is not Limit.PEER]},
    )
    verification_id: str | None = Field(None, description="The verification that this is about, when one was created.")
    errors: list["FieldError"] | None = Field(None, description="What is wrong with which field of the request.")


class FieldError(BaseModel):
    """One wrong field of a request."""

    pointer: str = Field(description="JSON pointer into the body; empty for the body itself.", examples=["/code"])
    detail: str = Field(description="What is wrong with it.", examples=["Field required"])


@dataclass(eq=False)  # an exception must stay hashable, and Python writes its traceback into it
class ProblemAnswer(Exception):
    """A problem on its way out; raised by the doors, made from the core's exceptions by `problem_of`."""

    code: str
    detail: str | None = None
    retry_after_seconds: float | None = None
    limit: Limit | None = None
    limits: Limits = UNLIMITED
    verification_id: str | None = None
    errors: Sequence[Mapping[str, str]] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    reason: str | None = None  # for the log alone

    @property
    def status(self) -> int:
        """The HTTP status."""
        return CATALOGUE[self.code][0]

    @property
    def body(self) -> bytes:
        """The JSON text."""
        content = {
            "type": _TYPE + self.code,
            "code": str(self.code),
            "title": CATALOGUE[self.code][1],
            "status": self.status,
            "detail": self.detail or _DETAILS.get(self.code),
            "retry_after": self._retry_after,
            "limit": self.limit,
            "verification_id": self.verification_id,
            "errors": self.errors,
        }
        return to_json({name: value for name, value in content.items() if value is not None})

    @property
    def all_headers(self) -> dict[str, str]:
        """The headers, Retry-After among them where it belongs."""
        headers = dict(self.headers)
        if self._retry_after is not None:
            headers["retry-after"] = str(self._retry_after)
        if self.limit is not None and self.limits:
            # draft-ietf-httpapi-ratelimit-headers-11. What is left: nothing, for as long as Retry-After says.
            windows = (f'"{self.limit}";q={most};w={window_ms // 1000}' for most, window_ms in self.limits.windows)
            headers["ratelimit-policy"] = ", ".join(windows)
            headers["ratelimit"] = f'"{self.limit}";r=0;t={self._retry_after}'
        return headers

    @property
    def _retry_after(self) -> int | None:
        return None if self.retry_after_seconds is None else max(1, math.ceil(self.retry_after_seconds))


def problem_of(failure: Exception) -> ProblemAnswer | None:
    """Translate an expected failure; None for one that nobody expected."""
    translate = _TRANSLATIONS.get(type(failure))
    return None if translate is None else translate(failure)


def _invalid(failure: ValidationError) -> ProblemAnswer:
    """Say what is wrong with each field, without a word of what it held."""
    errors = failure.errors(include_url=False, include_input=False, include_context=True)
    if errors[0]["type"] == "json_invalid":
        return ProblemAnswer("malformed_body")
    typed = [error for error in errors if error["loc"] == ("code",) and error["type"] == "value_error"]
    return ProblemAnswer(
        "invalid_request",
        _sentence(typed[0]) if typed else None,
        errors=[{"pointer": _pointer(error["loc"]), "detail": _sentence(error)} for error in errors],
    )


def _pointer(location: Sequence[int | str]) -> str:
    """Point at a field; an unknown one is named only when its name can be no number and no code."""
    return "".join(
        f"/{part}" if isinstance(part, str) and re.fullmatch("[A-Za-z_]{1,32}", part) else "/…" for part in location
    )


def _sentence(error: Any) -> str:
    if error["type"] == "string_type":
        lost = " As a number a code would lose its leading zeros." if error["loc"][-1:] == ("code",) else ""
        return f"Send a JSON string.{lost}"
    if error["type"] == "extra_forbidden":
        return "This field is not known."
    return str(error["msg"]).removeprefix("Value error, ")


# Every expected failure, and the problem it becomes.
_TRANSLATIONS: Mapping[type[Exception], Callable[[Any], ProblemAnswer]] = {
    ProblemAnswer: lambda problem: problem,
    ValidationError: _invalid,
    UnknownVerification: lambda _: ProblemAnswer("unknown_verification"),
    StoreUnavailable: lambda away: ProblemAnswer(
        "store_unavailable", retry_after_seconds=_STORE_RETRY_SECONDS, reason=str(away)
    ),
    Limited: lambda limited: ProblemAnswer(
        "rate_limited",
        retry_after_seconds=limited.retry_after_ms / 1000,
        limit=limited.limit,
        limits=limited.limits,
    ),
    InvalidNumber: lambda invalid: ProblemAnswer(Refusal.INVALID_NUMBER, str(invalid)),
    CountryNotAllowed: lambda _: ProblemAnswer(Refusal.COUNTRY_NOT_ALLOWED),
    ClientIpRequired: lambda _: ProblemAnswer("client_ip_required"),
    MessageRefused: lambda refused: ProblemAnswer(refused.refusal, verification_id=refused.verification.id),
    TwilioUnavailable: lambda away: ProblemAnswer(
        "twilio_unavailable",
        retry_after_seconds=away.retry_after_seconds or _TWILIO_RETRY_SECONDS,
        verification_id=away.verification.id,
    ),
    SendingHalted: lambda halted: ProblemAnswer(
        "twilio_unavailable", retry_after_seconds=halted.retry_after_seconds, reason="sending is halted"
    ),
    NotPending: lambda ended: ProblemAnswer(
        "not_pending", f"It is {ended.verification.status}.", verification_id=ended.verification.id
    ),
    SendsExhausted: lambda _: ProblemAnswer("max_sends_reached"),
    OtherBody: lambda _: ProblemAnswer("idempotency_key_reused"),
    StillRunning: lambda it: ProblemAnswer("request_in_progress", retry_after_seconds=it.retry_after_ms / 1000),
}
