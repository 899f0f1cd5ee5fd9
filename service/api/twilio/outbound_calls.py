"""Twilio's signed webhooks of a call that we make to say a code: its status, and the key that the person presses.

The code is said only after a key, so no answering machine hears it; a call without one is `undelivered`. The address
that Twilio asks after the key carries the code sealed; the log has neither. Twilio may add fields on the way that it
did not sign, so a form is genuine with or without them.
"""

import re
from urllib.parse import parse_qs

from pydantic import BaseModel, ConfigDict, Field
from starlette.routing import BaseRoute

from service.api.twilio.signed_forms import MAY_BE_UNSIGNED, SignedForms, first, signed_route
from service.api.twilio.status_callbacks import SendNumber, is_send, record_status
from service.api.twilio.twiml import TWIML_WIRE, twiml
from service.api.v1.fields import VerificationId
from service.core.delivery import DeliveryReports
from service.core.keyring import SealBroken
from service.core.spoken_codes import CodeEnded, SpokenCodes
from service.core.texts.spoken import spoken
from service.core.verification_store import UnknownVerification
from service.http.request import Request
from service.http.response import Response
from service.http.wire import FORM_WIRE
from service.providers.twilio.statuses import call_delivery_of, is_call_sid
from service.providers.twilio.twiml import HUNG_UP, dictated, said

_MAX_BODY_BYTES = 16_384
_KEYS = re.compile(r"[0-9*#]+")


class CallStatusForm(BaseModel):
    """What Twilio reports of our call. It sends more fields; all are signed, and these are read."""

    model_config = ConfigDict(extra="allow")

    CallSid: str = Field(description="The call.", pattern="^CA[0-9a-fA-F]{32}$")
    CallStatus: str = Field(
        description="`initiated`, `ringing`, `in-progress`, `completed`, `busy`, `no-answer`, `failed` or `canceled`; "
        "any other word changes nothing."
    )
    ErrorCode: str = Field("", description="Twilio's error code, when it failed.", pattern="^([0-9]{5,6})?$")
    From: str = Field("", description="The number that called.")


class KeyForm(BaseModel):
    """What Twilio tells when the person has pressed a key."""

    model_config = ConfigDict(extra="allow")

    CallSid: str = Field(description="The call.", pattern="^CA[0-9a-fA-F]{32}$")
    Digits: str = Field("", description="The key; any will do.")


class OutboundCallEndpoint:
    """Receives what Twilio tells of our calls."""

    def __init__(self, codes: SpokenCodes, reports: DeliveryReports, forms: SignedForms) -> None:
        self._codes = codes
        self._reports = reports
        self._forms = forms

    def routes(self) -> list[BaseRoute]:
        """List the routes with what the OpenAPI page says of them."""
        return [
            signed_route(
                "/twilio/call/{verification_id}/{send_number}",
                self.status,
                CallStatusForm,
                status_code=204,
                operation_id="receiveCallStatus",
                response_description="Received; the body is empty.",
                wire=FORM_WIRE,
                max_body_bytes=_MAX_BODY_BYTES,
                summary="Receive the status of our call",
            ),
            signed_route(
                "/twilio/spoken/{verification_id}/{send_number}",
                self.key,
                KeyForm,
                operation_id="receiveKey",
                response_description="TwiML: what Twilio shall say.",
                wire=TWIML_WIRE,
                max_body_bytes=_MAX_BODY_BYTES,
                summary="Say the code, after a key was pressed",
                query={"sealed": "What to say: the code, the language and the brand, encrypted."},
            ),
        ]

    async def status(
        self, request: Request, verification_id: VerificationId, send_number: SendNumber, body: bytes
    ) -> Response:
        """Record the status of a call. Twilio calls this address: it is the StatusCallback of each call.

        A call is `delivered` if the person has pressed a key, and `undelivered` if it ends otherwise. The response to a
        genuine callback is 204 even if it brings nothing new, so that Twilio does not repeat it.
        """
        fields = self._forms.read(request, body, may_be_unsigned=MAY_BE_UNSIGNED)
        request.log["verification_id"] = verification_id
        sid, status = first(fields, "CallSid"), call_delivery_of(first(fields, "CallStatus"))
        return await record_status(
            self._reports, fields, verification_id, send_number, sid=sid if is_call_sid(sid) else None, status=status
        )

    async def key(
        self, request: Request, verification_id: VerificationId, send_number: SendNumber, body: bytes
    ) -> Response:
        """Say the code, slowly and twice. Twilio calls this address with the key, as the TwiML of the call asks.

        The address carries the code, sealed for this verification and this send. Without a key nothing is said, and
        neither is a code that is not accepted any more.
        """
        fields = self._forms.read(request, body, may_be_unsigned=MAY_BE_UNSIGNED)
        request.log["verification_id"] = verification_id
        sid, sealed = first(fields, "CallSid"), _sealed(request)
        is_sound = is_send(verification_id, send_number) and is_call_sid(sid)
        if not is_sound or not _KEYS.fullmatch(first(fields, "Digits")):
            return twiml(HUNG_UP)
        try:
            speech = await self._codes.hear(verification_id, int(send_number), sealed, sid=sid)
        except CodeEnded as ended:
            sentences = spoken(ended.locale)
            return twiml(said(sentences, sentences.used if ended.is_approved else sentences.ended))
        except (SealBroken, UnknownVerification) as fault:
            self._reports.ignore(verification_id, int(send_number), reason=str(fault) or "unknown verification or send")
            return twiml(HUNG_UP)
        return twiml(dictated(speech))


def _sealed(request: Request) -> str:
    return parse_qs(request.view.head.query.decode("latin-1")).get("sealed", [""])[0]
