"""Twilio's signed status callback, about a message that we have sent.

The response to a genuine callback is 204 even if it brings nothing new, so that Twilio does not repeat it.
"""

import re
from typing import Annotated

from fastapi import Path
from pydantic import BaseModel, ConfigDict, Field
from starlette.routing import BaseRoute

from service.api.twilio.signed_forms import Form, SignedForms, first, signed_route
from service.api.v1.fields import VerificationId
from service.core.delivery import DeliveryReports
from service.core.verification import Delivery, is_id
from service.http.request import Request
from service.http.response import Response
from service.http.wire import FORM_WIRE
from service.providers.twilio.error_codes import may_follow
from service.providers.twilio.statuses import delivery_of, error_code_of, is_message_sid, sender_of

_MAX_BODY_BYTES = 16_384
_SEND_NUMBER = re.compile(r"[1-9][0-9]?")

SendNumber = Annotated[
    str, Path(description="Which send of the verification.", pattern="^[1-9][0-9]?$", examples=["1"])
]


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
    """Receives Twilio's callbacks."""

    def __init__(self, reports: DeliveryReports, forms: SignedForms) -> None:
        self._reports = reports
        self._forms = forms

    def routes(self) -> list[BaseRoute]:
        """List the routes with what the OpenAPI page says of them."""
        return [
            signed_route(
                "/twilio/status/{verification_id}/{send_number}",
                self.status,
                DeliveryStatusForm,
                status_code=204,
                operation_id="receiveDeliveryStatus",
                response_description="Received; the body is empty.",
                wire=FORM_WIRE,
                max_body_bytes=_MAX_BODY_BYTES,
                summary="Receive Twilio's status callback",
            )
        ]

    async def status(
        self, request: Request, verification_id: VerificationId, send_number: SendNumber, body: bytes
    ) -> Response:
        """Record the status of a message. Twilio calls this address: it is the StatusCallback of each message.

        The response to a genuine callback is 204 even if it brings nothing new, so that Twilio does not repeat it.
        """
        fields = self._forms.read(request, body)
        request.log["verification_id"] = verification_id
        sid, status = first(fields, "MessageSid"), delivery_of(first(fields, "MessageStatus"))
        return await record_status(
            self._reports, fields, verification_id, send_number, sid=sid if is_message_sid(sid) else None, status=status
        )


def is_send(verification_id: str, send_number: str) -> bool:
    """Tell whether an address names a send; it need not exist."""
    return is_id(verification_id) and _SEND_NUMBER.fullmatch(send_number) is not None


async def record_status(
    reports: DeliveryReports,
    fields: Form,
    verification_id: str,
    send_number: str,
    *,
    sid: str | None,
    status: Delivery,
) -> Response:
    """Record what a callback says of a send, and respond with 204; `sid` is None if its form is wrong."""
    if sid is None or not is_send(verification_id, send_number):
        reports.ignore(None, None, reason="the id, the number of the send or the SID is malformed")
        return Response(204)
    error_code = error_code_of(first(fields, "ErrorCode"))
    await reports.record(
        verification_id,
        int(send_number),
        sid=sid,
        status=status,
        error_code=error_code,
        sender=sender_of(first(fields, "From")),
        may_follow=may_follow(error_code),
    )
    return Response(204)
