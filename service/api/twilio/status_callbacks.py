"""Twilio's endpoints: the signed status callback.

The signature is checked over the configured public URL, never over a Host or forwarded header. The response to a
genuine callback is 204 even if it brings nothing new, so that Twilio does not repeat it; every other one is refused
with 403 and changes nothing in Redis. Blank fields are part of what is signed, so they are kept.

A wrong setting makes every callback a refused one. The log has the reason of each, and one warning a minute. Refusals
are not counted in Redis, since anyone can send a forged callback.
"""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Protocol
from urllib.parse import parse_qs

from fastapi import Path
from pydantic import BaseModel, ConfigDict, Field
from starlette.routing import BaseRoute

from service.api.v1.fields import VerificationId
from service.core.delivery import DeliveryReports
from service.core.event_log import EventLog
from service.core.verification import is_id
from service.http.problems import HttpProblem
from service.http.request import Request
from service.http.response import Response
from service.http.route import DirectRoute
from service.http.wire import FORM, FORM_WIRE
from service.providers.twilio.statuses import delivery_of, error_code_of, is_message_sid, sender_of

_MAX_BODY_BYTES = 16_384
_MOST_FIELDS = 200
_QUIET_SECONDS = 60.0  # between two warnings that callbacks are refused
_SEND_NUMBER = re.compile(r"[1-9][0-9]?")

SendNumber = Annotated[
    str, Path(description="Which send of the verification.", pattern="^[1-9][0-9]?$", examples=["1"])
]


class CallbackSignature(Protocol):
    """Knows how Twilio signs its callbacks. `service.providers.twilio.signature` implements it."""

    has_shared_keys: bool  # which sign in place of the Auth Token

    def is_genuine(self, url: str, fields: Mapping[str, Sequence[str]], signature: str, settings: str = "") -> bool:
        """Tell whether Twilio signed these form fields, blank ones too, for this public URL; by `settings`, if any."""


class DeliveryStatusForm(BaseModel):
    """What Twilio reports of a message. It sends more fields; all are signed, and these are read."""

    model_config = ConfigDict(extra="allow")

    MessageSid: str = Field(description="The message.", pattern="^(SM|MM)[0-9a-fA-F]{32}$")
    MessageStatus: str = Field(
        description="`queued`, `sent`, `delivered`, `undelivered`, `failed`, `read` …; any other word changes nothing."
    )
    ErrorCode: str = Field("", description="Twilio's error code, when it failed.", pattern="^([0-9]{5,6})?$")
    From: str = Field("", description="The sender that carried the message.")


class StatusCallbackEndpoint:
    """Receives Twilio's callbacks. Without `public_url` none is genuine."""

    def __init__(
        self,
        reports: DeliveryReports,
        signature: CallbackSignature,
        *,
        public_url: str | None,
        event_log: EventLog,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reports = reports
        self._signature = signature
        self._public_url = public_url
        self._event_log = event_log
        self._clock = clock
        self._quiet_until = 0.0

    def routes(self) -> list[BaseRoute]:
        """List the routes with what the OpenAPI page says of them."""
        return [
            DirectRoute(
                "/twilio/status/{verification_id}/{send_number}",
                self.status,
                access=None,
                methods=["POST"],
                status_code=204,
                operation_id="receiveDeliveryStatus",
                problems=("bad_signature", "store_unavailable"),
                response_description="Received; the body is empty.",
                openapi_extra=_form_and_signature(),
                wire=FORM_WIRE,
                max_body_bytes=_MAX_BODY_BYTES,
                summary="Receive Twilio's status callback",
                tags=["twilio"],
            )
        ]

    async def status(
        self, request: Request, verification_id: VerificationId, send_number: SendNumber, body: bytes
    ) -> Response:
        """Record the status of a message. Twilio calls this address: it is the StatusCallback of each message.

        The response to a genuine callback is 204 even if it brings nothing new, so that Twilio does not repeat it.
        """
        fields = self._genuine_fields(request, body)
        request.log["verification_id"] = verification_id
        sid = _first(fields, "MessageSid")
        if is_id(verification_id) and _SEND_NUMBER.fullmatch(send_number) and is_message_sid(sid):
            await self._reports.record(
                verification_id,
                int(send_number),
                sid=sid,
                status=delivery_of(_first(fields, "MessageStatus")),
                error_code=error_code_of(_first(fields, "ErrorCode")),
                sender=sender_of(_first(fields, "From")),
            )
        else:
            self._reports.ignore(None, None, reason="the id, the number of the send or the SID is malformed")
        return Response(204)

    def _genuine_fields(self, request: Request, body: bytes) -> dict[str, list[str]]:
        try:
            fields = parse_qs(body.decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
        except ValueError:
            raise self._refusal("the body is not a form") from None
        if self._public_url is None:
            raise self._refusal("OTP_PUBLIC_URL is not set")
        signature = request.header(b"x-twilio-signature")
        if not signature:
            raise self._refusal("without the header X-Twilio-Signature")
        url = self._public_url + request.view.head.raw_path.decode("latin-1")
        if request.view.head.query:
            url += "?" + request.view.head.query.decode("latin-1")
        settings = request.header(b"x-twilio-webhooks-signature-settings") or ""
        if not self._signature.is_genuine(url, fields, signature, settings):
            raise self._refusal(self._wrong_signature(with_shared_key=bool(settings)))
        return fields

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


def _first(fields: dict[str, list[str]], name: str) -> str:
    return fields.get(name, [""])[0]


def _form_and_signature() -> dict[str, Any]:
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
    form = {"required": True, "content": {FORM: {"schema": DeliveryStatusForm.model_json_schema()}}}
    return {"parameters": [signature, settings], "requestBody": form}
