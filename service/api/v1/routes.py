"""The routes of the main endpoints, with what the OpenAPI page says of them."""

from dataclasses import replace
from functools import partial

from starlette.routing import BaseRoute

from service.api.v1.examples import problem_example
from service.api.v1.repeating import describe_same_response, describe_same_verdict
from service.api.v1.schemas import CheckResponse, IssueResponse, SearchResponse, VerificationResponse
from service.api.v1.verifications import VerificationEndpoints
from service.core.api_keys import Scope
from service.core.limits import Limit
from service.core.sender import Refusal
from service.http.authentication import Access, Authenticator
from service.http.route import DirectRoute, Endpoint

_ALL, _ONE = "/v1/verifications", "/v1/verifications/{verification_id}"
_SEARCH = f"{_ALL}/search"
_SENDING = (
    Refusal.INVALID_NUMBER,
    Refusal.COUNTRY_NOT_ALLOWED,
    Refusal.NOT_A_MOBILE_NUMBER,
    Refusal.RECIPIENT_OPTED_OUT,
    Refusal.CARRIER_REJECTED,
    Refusal.BLOCKED,
    Refusal.SENDER_MISCONFIGURED,
    Refusal.CREDENTIALS_REFUSED,
    "channel_unavailable",
    "provider_unavailable",
    "rate_limited",
    "invalid_idempotency_key",
    "idempotency_key_reused",
    "request_in_progress",
)
# A send holds its slot until Twilio responds, which takes seconds if Twilio fails. The other half is left for checks.
_SENDING_SHARE = 0.5

_route = partial(DirectRoute, methods=["POST"], response_model=VerificationResponse, tags=["verifications"])


def verification_routes(endpoints: VerificationEndpoints, auth: Authenticator) -> list[BaseRoute]:
    """List the routes: a client token may do what concerns its verification, an API key may do all."""
    back_end, either = auth.key(Scope.VERIFICATIONS), auth.key_or_token(Scope.VERIFICATIONS)
    return [
        _issue(endpoints.issue, back_end),
        _verify(endpoints.verify, either),
        _resend(endpoints.resend, either),
        _cancel(endpoints.cancel, back_end),
        _read(endpoints.read, either),
        _search(endpoints.search, back_end),
    ]


def _issue(endpoint: Endpoint, access: Access) -> BaseRoute:
    return _route(
        _ALL,
        endpoint,
        access=access,
        in_flight_share=_SENDING_SHARE,
        operation_id="issueVerification",
        status_code=201,
        response_model=IssueResponse,
        response_description="Issued. The code has been sent; with status `unknown` it may have been sent.",
        problems=(*_SENDING, "client_ip_required", "sender_cannot_receive"),
        openapi_extra=describe_same_response("201"),
        summary="Issue a verification and send its message",
    )


def _verify(endpoint: Endpoint, access: Access) -> BaseRoute:
    return _route(
        _ONE + "/verify",
        endpoint,
        access=access,
        operation_id="verifyCode",
        response_model=CheckResponse,
        response_description="Checked; see `verdict`.",
        problems=("unknown_verification", "wrong_action", "invalid_idempotency_key", "idempotency_key_reused"),
        openapi_extra=describe_same_verdict(),
        summary="Check what the person typed",
    )


def _resend(endpoint: Endpoint, access: Access) -> BaseRoute:
    return _route(
        _ONE + "/resend",
        endpoint,
        access=access,
        in_flight_share=_SENDING_SHARE,
        operation_id="resendCode",
        response_description="The next code has been sent.",
        problems=("unknown_verification", "not_pending", "max_sends_reached", *_SENDING),
        openapi_extra=describe_same_response("200"),
        summary="Send the next code",
    )


def _cancel(endpoint: Endpoint, access: Access) -> BaseRoute:
    return _route(
        _ONE + "/cancel",
        endpoint,
        access=access,
        operation_id="cancelVerification",
        response_description="It has ended, now or before.",
        problems=("unknown_verification",),
        summary="End a pending verification",
    )


def _read(endpoint: Endpoint, access: Access) -> BaseRoute:
    return _route(
        _ONE,
        endpoint,
        access=access,
        methods=["GET"],
        not_at=_SEARCH,
        operation_id="readVerification",
        response_description="The current state of the verification.",
        problems=("unknown_verification",),
        summary="Read a verification",
    )


def _search(endpoint: Endpoint, access: Access) -> BaseRoute:
    return _route(
        _SEARCH,
        endpoint,
        access=access,
        operation_id="searchVerifications",
        response_model=SearchResponse,
        response_description="The verifications that were found; none is no error.",
        problems=(Refusal.INVALID_NUMBER, replace(problem_example("rate_limited"), limit=Limit.API_KEY)),
        summary="Find the verifications of a number",
    )
