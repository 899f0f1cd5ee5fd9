"""Problems: every error of the API, as RFC 9457 has it, from one catalogue.

A problem has a stable `code`, and a `type` that leads to the description of the code. Texts may be reworded, codes may
not. No problem repeats what the caller sent: not a code, not a number, not the name of an unknown field that could be
one. How a problem is written is left to the wire of the route (`wire`).
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from service.core.breaker import SendingHalted
from service.core.channels import ChannelUnavailable, ChannelUnfit
from service.core.idempotency import OtherBody, StillRunning
from service.core.issue_policy import ActionUnfit, SenderCannotReceive
from service.core.limiter import ClientIpRequired
from service.core.limits import UNLIMITED, Limit, Limited, Limits
from service.core.phone import CountryNotAllowed, InvalidNumber, LineTypeNotAllowed
from service.core.sender import Refusal
from service.core.sending import MessageRefused, ProviderUnavailable
from service.core.store_health import StoreUnavailable
from service.core.verification_store import NotPending, SendsExhausted, UnknownVerification, WrongAction
from service.http.endings import ending
from service.http.problem_catalogue import CATALOGUE, PROBLEMS_PATH

MEDIA_TYPE = "application/problem+json"
_TYPE = f"{PROBLEMS_PATH}#"
_TYPED = (("code",), ("password",))  # fields that a person has typed
_NOT_OF_KEYS = (Limit.PEER, Limit.LINK, Limit.SIGN_IN)  # limits that no API key is counted by
_STORE_RETRY_SECONDS = 1
_PROVIDER_RETRY_SECONDS = 5


class Problem(BaseModel):
    """An error response (RFC 9457)."""

    type: str = Field(
        description="The address of the problem's description, relative to the service. It ends in the code. "
        "With `OTP_DOCS=false` the page is not served.",
        examples=[f"{_TYPE}rate_limited"],
        json_schema_extra={"format": "uri-reference"},
    )
    code: str = Field(
        description="The short name of the problem, and the one field to decide by.",
        examples=["rate_limited"],
        json_schema_extra={"enum": [str(code) for code in CATALOGUE]},
    )
    title: str = Field(description="The problem in words; may be reworded.", examples=["Too many requests"])
    status: int = Field(description="The HTTP status.", examples=[429])
    detail: str | None = Field(
        None,
        description="What to do about it; may be reworded. If a person can cause the problem or wait it out, it is a "
        "sentence that a form can show.",
    )
    retry_after: int | None = Field(
        None, description="Seconds; also in the header Retry-After.", json_schema_extra={"minimum": 1}
    )
    limit: str | None = Field(
        None,
        description="Which limit is used up; for API keys only. "
        "`RateLimit-Policy` says what it allows, one item for each of its windows.",
        json_schema_extra={"enum": [str(limit) for limit in Limit if limit not in _NOT_OF_KEYS]},
    )
    verification_id: str | None = Field(None, description="The verification that this is about, when one was created.")
    errors: list["FieldError"] | None = Field(None, description="What is wrong with which field of the request.")
    request_id: str = Field(
        description="The id of the request in the log; also in the header X-Request-Id.", examples=["9f86d081884c7d65"]
    )


class FieldError(BaseModel):
    """One wrong field of a request."""

    pointer: str = Field(description="JSON pointer into the body; empty for the body itself.", examples=["/code"])
    detail: str = Field(description="What is wrong with it.", examples=["This field is required."])


@dataclass(eq=False)  # an exception must stay hashable, and Python writes its traceback into it
class HttpProblem(Exception):
    """A problem to respond with: endpoints raise it, and `problem_of` makes it from exceptions of the core."""

    code: str
    detail: str | None = None
    retry_after_seconds: float | None = None
    limit: Limit | None = None
    limits: Limits = UNLIMITED
    verification_id: str | None = None
    errors: Sequence[Mapping[str, str]] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    reason: str | None = None  # only for the log

    @property
    def status(self) -> int:
        """The HTTP status."""
        return CATALOGUE[self.code].status

    @property
    def members(self) -> dict[str, Any]:
        """What the problem says, by the names of `Problem`."""
        kind = CATALOGUE[self.code]
        members = {
            "type": _TYPE + self.code,
            "code": str(self.code),
            "title": kind.title,
            "status": kind.status,
            "detail": self.detail or kind.detail,
            "retry_after": self._retry_after,
            "limit": self.limit,
            "verification_id": self.verification_id,
            "errors": self.errors,
        }
        return {name: value for name, value in members.items() if value is not None}

    @property
    def all_headers(self) -> dict[str, str]:
        """All its headers."""
        headers = dict(self.headers)
        if self._retry_after is not None:
            headers["retry-after"] = str(self._retry_after)
        if self.limit is not None and self.limits:
            # draft-ietf-httpapi-ratelimit-headers-11. Nothing is left (r=0) until Retry-After has passed.
            windows = (f'"{self.limit}";q={most};w={window_ms // 1000}' for most, window_ms in self.limits.windows)
            headers["ratelimit-policy"] = ", ".join(windows)
            headers["ratelimit"] = f'"{self.limit}";r=0;t={self._retry_after}'
        return headers

    @property
    def _retry_after(self) -> int | None:
        return None if self.retry_after_seconds is None else max(1, math.ceil(self.retry_after_seconds))


class FieldUnfit(ValueError):
    """A field that does not fit the rest of the body, for validators of whole bodies. The text is a sentence."""

    def __init__(self, field: str, sentence: str) -> None:
        super().__init__(sentence)
        self.field = field


def problem_of(failure: Exception) -> HttpProblem | None:
    """Translate an expected exception; None for an unexpected one."""
    translate = _TRANSLATIONS.get(type(failure))
    return None if translate is None else translate(failure)


def _invalid(failure: ValidationError) -> HttpProblem:
    """Say what is wrong with each field, without its value."""
    errors = failure.errors(include_url=False, include_input=False, include_context=True)
    if errors[0]["type"] == "json_invalid":
        return HttpProblem("malformed_body")
    typed = [error for error in errors if error["loc"] in _TYPED and error["type"] == "value_error"]
    return HttpProblem(
        "invalid_request",
        _sentence(typed[0]) if typed else None,
        errors=[{"pointer": _pointer(_location(error)), "detail": _sentence(error)} for error in errors],
    )


def _location(error: Any) -> Sequence[int | str]:
    cause = error.get("ctx", {}).get("error")
    return (cause.field,) if isinstance(cause, FieldUnfit) else error["loc"]


def _pointer(location: Sequence[int | str]) -> str:
    """Point to a field. Only a name that cannot be a number or a code is shown: an unknown field may have any name."""
    return "".join(
        f"/{part}" if isinstance(part, int) or re.fullmatch("[A-Za-z_]{1,32}", part) else "/…" for part in location
    )


def _sentence(error: Any) -> str:
    if error["type"] == "string_type":
        lost = " As a number a code would lose its leading zeros." if error["loc"][-1:] == ("code",) else ""
        return f"Send a JSON string.{lost}"
    if error["type"] == "extra_forbidden":
        return "This field is not known."
    if error["type"] == "missing":
        return "This field is required."
    if error["type"] == "value_error":
        return str(error["ctx"]["error"])  # a sentence of ours
    return f"{error['msg']}."  # pydantic writes no full stop


# Every expected exception, and its problem.
_TRANSLATIONS: Mapping[type[Exception], Callable[[Any], HttpProblem]] = {
    HttpProblem: lambda problem: problem,
    ValidationError: _invalid,
    UnknownVerification: lambda _: HttpProblem("unknown_verification"),
    StoreUnavailable: lambda away: HttpProblem(
        "store_unavailable", retry_after_seconds=_STORE_RETRY_SECONDS, reason=str(away)
    ),
    Limited: lambda limited: HttpProblem(
        "rate_limited",
        retry_after_seconds=limited.retry_after_ms / 1000,
        limit=limited.limit,
        limits=limited.limits,
    ),
    InvalidNumber: lambda invalid: HttpProblem(Refusal.INVALID_NUMBER, str(invalid)),
    CountryNotAllowed: lambda _: HttpProblem(Refusal.COUNTRY_NOT_ALLOWED),
    LineTypeNotAllowed: lambda _: HttpProblem(Refusal.NOT_A_MOBILE_NUMBER),
    ChannelUnfit: lambda unfit: HttpProblem("invalid_request", errors=[{"pointer": "/channel", "detail": str(unfit)}]),
    ChannelUnavailable: lambda unavailable: HttpProblem("channel_unavailable", str(unavailable)),
    ClientIpRequired: lambda _: HttpProblem("client_ip_required"),
    MessageRefused: lambda refused: HttpProblem(refused.refusal, verification_id=refused.verification.id),
    ProviderUnavailable: lambda away: HttpProblem(
        "provider_unavailable",
        retry_after_seconds=away.retry_after_seconds or _PROVIDER_RETRY_SECONDS,
        verification_id=away.verification.id,
    ),
    SendingHalted: lambda halted: HttpProblem(
        "provider_unavailable", retry_after_seconds=halted.retry_after_seconds, reason="sending is halted"
    ),
    NotPending: lambda ended: HttpProblem(
        "not_pending",
        ending(ended.verification.status, ended.verification.request),
        verification_id=ended.verification.id,
    ),
    WrongAction: lambda _: HttpProblem("wrong_action"),
    ActionUnfit: lambda unfit: HttpProblem(
        "invalid_request", errors=[{"pointer": f"/{unfit.field}", "detail": str(unfit)}]
    ),
    SenderCannotReceive: lambda cannot: HttpProblem("sender_cannot_receive", str(cannot)),
    SendsExhausted: lambda _: HttpProblem("max_sends_reached"),
    OtherBody: lambda _: HttpProblem("idempotency_key_reused"),
    StillRunning: lambda it: HttpProblem("request_in_progress", retry_after_seconds=it.retry_after_ms / 1000),
}
