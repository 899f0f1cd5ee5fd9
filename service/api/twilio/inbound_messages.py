"""Twilio's signed webhook of a message that somebody has sent to us: a reply, perhaps.

The response to a genuine one is always empty TwiML: what a message came to is told to nobody who sends one. A keyword
such as STOP has been answered by Twilio (`OptOutType`), and nothing of ours happens. The text is logged nowhere.
"""

from pydantic import BaseModel, ConfigDict, Field
from starlette.routing import BaseRoute

from service.api.twilio.signed_forms import SignedForms, first, signed_route
from service.api.twilio.twiml import TWIML_WIRE, twiml
from service.core.inbound import Inbound
from service.core.verification import CheckResult, Verdict
from service.http.request import Request
from service.http.response import Response
from service.providers.twilio.statuses import is_message_sid

PATH = "/twilio/message"
_MAX_BODY_BYTES = 32_768  # 1,600 characters, each as twelve bytes, and the other fields


class InboundMessageForm(BaseModel):
    """What Twilio tells of a message. It sends more fields; all are signed, and these are read."""

    model_config = ConfigDict(extra="allow")

    MessageSid: str = Field(description="The message.", pattern="^(SM|MM)[0-9a-fA-F]{32}$")
    From: str = Field(description="Who sent it. It can be forged, so it only says which verifications may be meant.")
    Body: str = Field("", description="What was written; at most 1,600 characters are read.")
    OptOutType: str = Field("", description="`STOP`, `START` or `HELP` if Twilio has answered the message itself.")


class InboundMessageEndpoint:
    """Receives the messages that people send to us."""

    def __init__(self, inbound: Inbound, forms: SignedForms) -> None:
        self._inbound = inbound
        self._forms = forms

    def routes(self) -> list[BaseRoute]:
        """List the routes with what the OpenAPI page says of them."""
        return [
            signed_route(
                PATH,
                self.receive,
                InboundMessageForm,
                operation_id="receiveMessage",
                response_description="Received; the TwiML is empty.",
                wire=TWIML_WIRE,
                max_body_bytes=_MAX_BODY_BYTES,
                summary="Receive a message, which may be a reply",
            )
        ]

    async def receive(self, request: Request, body: bytes) -> Response:
        """Decide a reply: set this address as the webhook of your number, or of your Messaging Service.

        The two words of a message and the `match` approve its verification. The words alone confirm that the message
        arrived. Two other words of our list cost an attempt of each verification that the number might answer. Anything
        else changes nothing.
        """
        fields = self._forms.read(request, body)
        sid = first(fields, "MessageSid")
        if is_message_sid(sid) and not first(fields, "OptOutType"):
            note(request, await self._inbound.reply(first(fields, "From"), first(fields, "Body"), sid))
        return twiml()


def note(request: Request, results: list[CheckResult]) -> None:
    """Note what an answer came to, for the request log: the verification, if it was about one alone."""
    if not results:
        return
    told = next((result for result in results if result.verdict is not Verdict.WRONG_CODE), results[0])
    request.log["verdict"] = str(told.verdict)
    if told.replayed:
        request.log["replayed"] = True
    if len(results) == 1:
        request.log["verification_id"] = told.verification.id
