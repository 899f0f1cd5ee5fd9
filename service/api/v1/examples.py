"""Examples for the OpenAPI document: requests, responses and problems.

All are made with the models, values and exceptions that the endpoints use, so a new field appears in every example.
Tests send each request to a running service, and compare each problem with a real one.
"""

from collections.abc import Mapping
from typing import Any

from service.api.operations import LivenessResponse
from service.api.twilio.examples import webhook_requests, webhook_responses
from service.api.v1.bodies import CheckBody, IssueBody, ResendBody, SearchBody
from service.api.v1.readiness_examples import Example, readiness_examples
from service.api.v1.report_examples import report_examples
from service.api.v1.schemas import ResponseWriter
from service.core.actions import Action
from service.core.channels import Channel, ChannelUnavailable
from service.core.idempotency import OtherBody, StillRunning
from service.core.issue_policy import SenderCannotReceive
from service.core.limiter import ClientIpRequired
from service.core.limits import Limit, Limited, parse_limits
from service.core.phone import UNKNOWN_FORM, CountryNotAllowed, InvalidNumber
from service.core.sender import Refusal
from service.core.sending import MessageRefused, ProviderUnavailable
from service.core.store_health import StoreUnavailable
from service.core.verification import (
    CheckResult,
    Delivery,
    Feedback,
    Send,
    Status,
    Verdict,
    Verification,
    VerificationRequest,
)
from service.core.verification_store import NotPending, SendsExhausted, UnknownVerification, WrongAction
from service.http.problems import HttpProblem, problem_of

CLIENT_TOKEN = "vt_HnUp2UoPKFk_oYgxtZI3PWAkk2aSTpqK"  # noqa: S105 - an example
NUMBER = "+14155550123"  # reserved for fiction
_PASSWORD = "7KQ2M-X40BT-9WD"  # noqa: S105 - an example
_BEGUN_MS = 1_795_293_384_123  # 2026-11-21T20:36:24.123Z
_RESENT_MS = _BEGUN_MS + 45_000

_FIRST = Send(
    number=1, channel=Channel.SMS, status=Delivery.QUEUED, error_code=None, sent_at_ms=_BEGUN_MS, feedback=Feedback.NONE
)
_DELIVERED = _FIRST._replace(status=Delivery.DELIVERED)
_PENDING = Verification(
    id="ve_3f0917cf2a8b4c5d9e6f7a8b9c0d1e2f",
    to=NUMBER,
    status=Status.PENDING,
    request=VerificationRequest("US", reference="order-4711", code_length=6, ttl_seconds=600),
    expires_at_ms=_BEGUN_MS + 600_000,
    read_at_ms=_BEGUN_MS,
    attempts=0,
    resend_at_ms=_BEGUN_MS + 30_000,
    sends=(_FIRST,),
)
_REPLY = _PENDING._replace(request=_PENDING.request._replace(action=Action.REPLY, code_length=None))
_LINK = _PENDING._replace(request=_PENDING.request._replace(action=Action.LINK, code_length=None))
_RESENT = _PENDING._replace(
    expires_at_ms=_RESENT_MS + 600_000,
    read_at_ms=_RESENT_MS,
    resend_at_ms=_RESENT_MS + 30_000,
    sends=(_DELIVERED, _FIRST._replace(number=2, sent_at_ms=_RESENT_MS)),
)
_TYPED = _PENDING._replace(attempts=1, sends=(_DELIVERED,), read_at_ms=_BEGUN_MS + 20_000)
_APPROVED = _TYPED._replace(status=Status.APPROVED, sends=(_DELIVERED._replace(feedback=Feedback.PENDING),))
_CONFIRMED = _APPROVED._replace(sends=(_DELIVERED._replace(feedback=Feedback.CONFIRMED),))
_LATE = _APPROVED._replace(status=Status.EXPIRED, read_at_ms=_BEGUN_MS + 660_000)
_LOCKED = _TYPED._replace(status=Status.MAX_ATTEMPTS_REACHED, attempts=5)
_EARLIER = _LOCKED._replace(
    id="ve_3b81d64c0e5f47a29d13c6f0a7e8b295",
    expires_at_ms=_LOCKED.expires_at_ms - 90_000,
    sends=(_DELIVERED._replace(sent_at_ms=_BEGUN_MS - 90_000),),
)
_CANCELED = _PENDING._replace(status=Status.CANCELED)
_FAILED = _PENDING._replace(status=Status.FAILED, sends=(_FIRST._replace(status=Delivery.FAILED, error_code=21610),))
_UNANSWERED = _PENDING._replace(sends=(_FIRST._replace(status=Delivery.UNKNOWN),))

_WRITE = ResponseWriter(max_attempts=5, max_sends=5)
_METRICS = """\
# HELP otp_checks_total Checks by verdict.
# TYPE otp_checks_total counter
otp_checks_total{verdict="approved"} 1.0
# HELP otp_sends_total Sends by event: issued, resent, fallback, accepted, sent, delivered, rcs, approved, confirmed, …
# TYPE otp_sends_total counter
otp_sends_total{channel="sms",country="US",event="issued"} 1.0
"""


def _issue_examples() -> Mapping[str, Example]:
    web = _sent(
        IssueBody,
        to=NUMBER,
        channel=Channel.SMS,
        action=Action.CODE,
        purpose="payment",
        locale="de-AT",
        code_length=8,
        ttl_seconds=300,
        client_ip="192.0.2.7",
        web_origin="login.example.com",
        reference="order-4711",
    )
    either = [{"channel": Channel.WHATSAPP, "wait_seconds": 20}, {"channel": Channel.SMS}]
    frame = _sent(IssueBody, to=NUMBER, web_origin="shop.example.com", embedded_origin="pay.example.net")
    app = _sent(IssueBody, to=NUMBER, client_ip="192.0.2.7", app_hash="FA+9qCX9VSu")
    password = _sent(IssueBody, to=NUMBER, action=Action.PASSWORD, password_length=15, ttl_seconds=86_400)
    link = _sent(IssueBody, to=NUMBER, action=Action.LINK, origin_text="Chrome on Windows, near Berlin")
    return {
        "minimal": Example("A number alone", _sent(IssueBody, to=NUMBER)),
        "full": Example("All fields, for a web page", web),
        "channels": Example("A WhatsApp message, then a text message", _sent(IssueBody, to=NUMBER, channels=either)),
        "frame": Example("For a frame of another host in a web page", frame),
        "android": Example("For an app that reads the message itself", app),
        "password": Example("A temporary password for a day", password),
        "link": Example("A link, with the caller's words for its page", link),
        "reply": Example("A message to reply to", _sent(IssueBody, to=NUMBER, action=Action.REPLY)),
    }


def request_examples() -> Mapping[str, Mapping[str, Example]]:
    """Return the bodies of requests, by operation id and name."""
    bound = _sent(CheckBody, code="123456", to=NUMBER, purpose="login")
    return {
        "issueVerification": _issue_examples(),
        "verifyCode": {
            "code": Example("What the person typed", _sent(CheckBody, code="123456")),
            "password": Example("A password", _sent(CheckBody, password=_PASSWORD)),
            "bound": Example("Bound to a number and purpose", bound),
        },
        "resendCode": {
            "empty": Example("As the verification was issued", _sent(ResendBody)),
            "channel": Example("By a channel of your choice (API keys only)", _sent(ResendBody, channel=Channel.SMS)),
        },
        "searchVerifications": {
            "number": Example("A number", _sent(SearchBody, to=NUMBER)),
            "national": Example("A national number", _sent(SearchBody, to="(415) 555-0123", country="US")),
        },
        **webhook_requests(),
    }


def response_examples() -> Mapping[str, Mapping[str, Example]]:
    """Return the bodies of successful responses, by operation id and name."""
    return {
        "issueVerification": {
            "pending": _issued("Twilio has the message", _PENDING),
            "link": _issued("A link: show its match on the page that started", _LINK, match="47"),
            "reply": _issued(
                "A reply: show its match, and ask for it and the words of the message", _REPLY, match="river"
            ),
            "unanswered": _issued("Twilio has not responded: the message may have been sent", _UNANSWERED),
        },
        "verifyCode": _checks(),
        "resendCode": {"resent": _shown("The second send", _RESENT)},
        "cancelVerification": {
            "canceled": _shown("It was pending", _CANCELED),
            "approved": _shown("It was already approved, and stays so", _CONFIRMED),
        },
        "readVerification": {
            "approved": _shown("Approved and confirmed to Twilio", _CONFIRMED),
            "pending_front_end": _shown("Pending, for a client token", _PENDING, masked=True),
            "expired": _shown("The code was not typed in time", _PENDING._replace(status=Status.EXPIRED)),
            "locked": _shown("Too many wrong codes", _LOCKED),
            "failed": _shown("Twilio refused the message", _FAILED),
        },
        "searchVerifications": {
            "found": _found("Approved, and locked before that", _CONFIRMED, _EARLIER),
            "unknown": _found("None: an unknown number, or another owner's verifications"),
        },
        **webhook_responses(),
        **report_examples(),
        "readLiveness": {"alive": Example("Alive", LivenessResponse().model_dump())},
        "readReadiness": readiness_examples(),
        "readMetrics": {"metrics": Example("Some of the lines", _METRICS)},
    }


def _checks() -> dict[str, Example]:
    return {
        "approved": _checked("The right code: approved", Verdict.APPROVED, _APPROVED),
        "approved_front_end": _checked("The same, for a client token", Verdict.APPROVED, _APPROVED, masked=True),
        "wrong_code": _checked("A wrong code: one attempt less", Verdict.WRONG_CODE, _TYPED),
        "expired": _checked("The right code, too late", Verdict.EXPIRED, _LATE),
        "used": _checked("Already approved", Verdict.USED, _CONFIRMED._replace(attempts=2)),
        "locked": _checked("No attempts left", Verdict.LOCKED, _LOCKED),
        "mismatch": _checked("Another number, purpose or payment", Verdict.MISMATCH, _TYPED),
    }


def _shown(summary: str, verification: Verification, *, masked: bool = False) -> Example:
    return Example(summary, _WRITE.verification(verification, masked=masked))


def _issued(summary: str, verification: Verification, match: str | None = None) -> Example:
    return Example(summary, _WRITE.issued(verification, CLIENT_TOKEN, match))


def _found(summary: str, *verifications: Verification) -> Example:
    return Example(summary, {"verifications": [_WRITE.verification(each, masked=False) for each in verifications]})


def _checked(summary: str, verdict: Verdict, verification: Verification, *, masked: bool = False) -> Example:
    return Example(summary, _WRITE.check(CheckResult(verdict=verdict, verification=verification), masked=masked))


def problem_example(code: str) -> HttpProblem:
    """Return the problem of a code, made from the exception that it stands for."""
    failure = _failures().get(code)
    return HttpProblem(code) if failure is None else problem_of(failure) or HttpProblem(code)


def _failures() -> Mapping[str, Exception]:
    return {
        **{refusal: MessageRefused(refusal, None, _FAILED) for refusal in Refusal},
        "unknown_verification": UnknownVerification(),
        "not_pending": NotPending(_CANCELED),
        "wrong_action": WrongAction(),
        "max_sends_reached": SendsExhausted(),
        "request_in_progress": StillRunning(23_000),
        "channel_unavailable": ChannelUnavailable("No calls are made: TWILIO_VOICE_FROM is not set."),
        "client_ip_required": ClientIpRequired(),
        "sender_cannot_receive": SenderCannotReceive("Nobody can reply to our sender. Use a code or a link."),
        "idempotency_key_reused": OtherBody(),
        Refusal.INVALID_NUMBER: InvalidNumber(UNKNOWN_FORM),
        Refusal.COUNTRY_NOT_ALLOWED: CountryNotAllowed(),
        "rate_limited": Limited(23_000, Limit.CLIENT_IP, parse_limits("30/10m,200/1d")),
        "store_unavailable": StoreUnavailable("an example"),
        "provider_unavailable": ProviderUnavailable(_FAILED, None),
    }


def _sent(model: type[IssueBody | CheckBody | ResendBody | SearchBody], **fields: Any) -> dict[str, Any]:
    return model.model_validate(fields).model_dump(mode="json", exclude_unset=True)
