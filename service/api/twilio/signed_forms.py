"""The forms that Twilio posts to us, with its signature.

The signature is checked over the configured public URL, never over a Host or forwarded header. A request that is not
signed is refused with 403, and changes nothing in Redis. Blank fields are part of what is signed, so they are kept.

A wrong setting makes every request a refused one. The log has the reason of each, and one warning a minute. Refusals
are not counted in Redis, since anyone can send a forged request.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol
from urllib.parse import parse_qs

from pydantic import BaseModel
from starlette.routing import BaseRoute

from service.core.event_log import EventLog
from service.http.problems import HttpProblem
from service.http.request import Request
from service.http.route import DirectRoute, Endpoint
from service.http.wire import FORM

MAY_BE_UNSIGNED = ("StirVerstat", "CallToken")  # Twilio may add them to the forms of calls on the way
_MOST_FIELDS = 200
_QUIET_SECONDS = 60.0  # between two warnings that requests are refused

Form = Mapping[str, Sequence[str]]


class WebhookSignature(Protocol):
    """Knows how Twilio signs its requests. `service.providers.twilio.signature` implements it."""

    has_shared_keys: bool  # which sign in place of the Auth Token

    def is_genuine(self, url: str, fields: Form, signature: str, settings: str = "") -> bool:
        """Tell whether Twilio signed these form fields, blank ones too, for this public URL; by `settings`, if any."""


class SignedForms:
    """Reads forms that Twilio has signed. Without `public_url` none is genuine."""

    def __init__(
        self,
        signature: WebhookSignature,
        *,
        public_url: str | None,
        event_log: EventLog,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._signature = signature
        self.public_url = public_url
        self._event_log = event_log
        self._clock = clock
        self._quiet_until = 0.0

    def read(self, request: Request, body: bytes, *, may_be_unsigned: Sequence[str] = ()) -> Form:
        """Return the fields of a genuine form, without those that are not signed. Raises `HttpProblem`.

        Only the fields of `may_be_unsigned` may be left out of the signature, all together.
        """
        try:
            fields = parse_qs(body.decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
        except ValueError:
            raise self._refusal("the body is not a form") from None
        if self.public_url is None:
            raise self._refusal("OTP_PUBLIC_URL is not set")
        signature = request.header(b"x-twilio-signature")
        if not signature:
            raise self._refusal("without the header X-Twilio-Signature")
        head = request.view.head
        url = self.public_url + head.raw_path.decode("latin-1")
        if head.query:
            url += "?" + head.query.decode("latin-1")
        settings = request.header(b"x-twilio-webhooks-signature-settings") or ""
        signed = {name: values for name, values in fields.items() if name not in may_be_unsigned}
        for form in (fields, signed) if len(signed) < len(fields) else (fields,):
            if self._signature.is_genuine(url, form, signature, settings):
                return form
        raise self._refusal(self._wrong_signature(with_shared_key=bool(settings)))

    def _refusal(self, reason: str) -> HttpProblem:
        """Make the problem, with its reason for the log; write a warning too if the last one is a minute old."""
        if self._clock() >= self._quiet_until:
            self._quiet_until = self._clock() + _QUIET_SECONDS
            self._event_log("callback_refused", reason=reason)
        return HttpProblem("bad_signature", reason=reason)

    def _wrong_signature(self, *, with_shared_key: bool) -> str:
        """Say which setting to check. An account may begin to use SharedKeys at any time."""
        if not with_shared_key:
            return "wrong signature: check TWILIO_AUTH_TOKEN and OTP_PUBLIC_URL"
        if self._signature.has_shared_keys:
            return "signed with a SharedKey that TWILIO_WEBHOOK_KEYS does not hold"
        return "signed with a SharedKey: set TWILIO_WEBHOOK_KEYS"


def first(fields: Form, name: str) -> str:
    """Return the first value of a field, or nothing."""
    return fields.get(name, [""])[0]


def signed_route(
    path: str, endpoint: Endpoint, form: type[BaseModel], *, query: Mapping[str, str] | None = None, **described: Any
) -> BaseRoute:
    """Route what Twilio posts to an endpoint that reads it by `SignedForms.read`; describe it for the OpenAPI page.

    `query` describes the parameters of the address, which Twilio signs too.
    """
    return DirectRoute(
        path,
        endpoint,
        access=None,
        methods=["POST"],
        problems=("bad_signature", "store_unavailable"),
        openapi_extra=_form_and_signature(form, query or {}),
        tags=["twilio"],
        **described,
    )


def _form_and_signature(form: type[BaseModel], query: Mapping[str, str]) -> dict[str, Any]:
    """Describe what FastAPI cannot see: the endpoint reads the form itself, because its bytes are signed."""
    signature = {
        "in": "header",
        "name": "X-Twilio-Signature",
        "required": True,
        "schema": {"type": "string"},
        "description": "Base64 of HMAC-SHA1, keyed with the Auth Token, over the public URL and every field.",
        "example": "RSOYDt4T1cUTdK1PDd93/VVr8B8=",
    }
    settings = {
        "in": "header",
        "name": "X-Twilio-Webhooks-Signature-Settings",
        "required": False,
        "schema": {"type": "string"},
        "description": "Names the SharedKey that signs in place of the Auth Token, and its algorithm; "
        "for example `key=webhooks_sharedkey_01k4,algorithm=HMAC_SHA256`.",
    }
    body = {"required": True, "content": {FORM: {"schema": form.model_json_schema()}}}
    parameters = [
        {"in": "query", "name": name, "required": True, "schema": {"type": "string"}, "description": description}
        for name, description in query.items()
    ]
    return {"parameters": [*parameters, signature, settings], "requestBody": body}
