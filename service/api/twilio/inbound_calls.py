"""Twilio's signed webhooks of a call that somebody makes to us: when it rings, and when keys were pressed.

A caller from whom nothing is expected is rejected, which costs nothing. Others are asked for the six digits of the
message and the two on the screen, up to three times. What was keyed in is logged nowhere.

Twilio may add fields on the way that it did not sign (`StirVerstat`, `CallToken`), so a form is genuine with or without
them. Neither is read.
"""

import re
from typing import Annotated

from fastapi import Path
from pydantic import BaseModel, ConfigDict, Field
from starlette.routing import BaseRoute

from service.api.twilio.inbound_messages import note
from service.api.twilio.signed_forms import MAY_BE_UNSIGNED, SignedForms, first, signed_route
from service.api.twilio.twiml import TWIML_WIRE, twiml
from service.core.actions.call import DIGITS, MATCH_DIGITS
from service.core.inbound import Inbound
from service.core.texts.spoken import spoken
from service.core.texts.spoken.sentences import Spoken
from service.core.verification import CheckResult, Status, Verdict
from service.http.request import Request
from service.http.response import Response
from service.http.route import Endpoint
from service.providers.twilio.statuses import CALLBACK_RETRIES, is_call_sid
from service.providers.twilio.twiml import REJECTED, asked, said

PATH = "/twilio/voice"
MOST_TRIES = 3
_MAX_BODY_BYTES = 16_384
_TRY = re.compile(f"[1-{MOST_TRIES}]")

Try = Annotated[str, Path(description="Which try of this call.", pattern=f"^[1-{MOST_TRIES}]$", examples=["1"])]


class InboundCallForm(BaseModel):
    """What Twilio tells of a call. It sends more fields, and these are read."""

    model_config = ConfigDict(extra="allow")

    CallSid: str = Field(description="The call.", pattern="^CA[0-9a-fA-F]{32}$")
    From: str = Field(description="Who calls. It can be forged, so it only says which verifications may be meant.")


class KeysForm(InboundCallForm):
    """What Twilio tells when keys were pressed."""

    Digits: str = Field("", description="The keys: six digits of the message, and the two of the `match`.")


class InboundCallEndpoint:
    """Receives the calls that people make to us."""

    def __init__(self, inbound: Inbound, forms: SignedForms) -> None:
        self._inbound = inbound
        self._forms = forms

    def routes(self) -> list[BaseRoute]:
        """List the routes with what the OpenAPI page says of them."""
        return [
            self._route(PATH, self.ring, "receiveCall", "Receive a call", InboundCallForm),
            self._route(PATH + "/{try_number}", self.keys, "receiveKeys", "Receive the keys of a call", KeysForm),
        ]

    async def ring(self, request: Request, body: bytes) -> Response:
        """Answer a call: set this address as the voice webhook of your number.

        A caller of whose number nothing is expected is rejected. Others are asked for the six digits of the message and
        the two digits of the `match`.
        """
        fields = self._forms.read(request, body, may_be_unsigned=MAY_BE_UNSIGNED)
        awaited = None
        if is_call_sid(first(fields, "CallSid")):
            awaited = await self._inbound.awaits_call(first(fields, "From"))
        if awaited is None:
            return twiml(REJECTED)
        speech = spoken(awaited.locale)
        return self._ask(speech, speech.ask.format(brand=awaited.brand), 1)

    async def keys(self, request: Request, try_number: Try, body: bytes) -> Response:
        """Decide what was keyed in. Twilio calls this address, as the TwiML asks.

        The digits of a message with the `match` approve its verification; alone they confirm that it arrived. Wrong
        ones cost an attempt of each verification that the number might answer. Keys that Twilio posts again are not
        decided again: they get the same response.
        """
        fields = self._forms.read(request, body, may_be_unsigned=MAY_BE_UNSIGNED)
        number, call = first(fields, "From"), first(fields, "CallSid")
        if not _TRY.fullmatch(try_number) or not is_call_sid(call):
            return twiml(REJECTED)
        results = await self._inbound.keys(number, first(fields, "Digits"), f"{call} {try_number}")
        note(request, results)
        return await self._respond(number, int(try_number), results)

    async def _respond(self, number: str, try_number: int, results: list[CheckResult]) -> Response:
        """Say what the keys came to; ask again if another try may be right."""
        for verdict in (Verdict.APPROVED, Verdict.USED):
            for each in results:
                if each.verdict is verdict:
                    speech = spoken(each.verification.request.locale)
                    sentence = speech.done if verdict is Verdict.APPROVED else speech.used
                    return twiml(said(speech, sentence))
        awaited = await self._inbound.awaits_call(number)
        locale = None if awaited is None else awaited.locale
        speech = spoken(locale or (results[0].verification.request.locale if results else ""))
        # A stopped number is locked, though its verifications are pending.
        may_succeed = [
            each.verification.status is Status.PENDING and each.verdict is not Verdict.LOCKED for each in results
        ]
        if locale is None or (results and not any(may_succeed)):
            return twiml(said(speech, speech.ended))
        if try_number >= MOST_TRIES:
            return twiml(said(speech, speech.failed))
        return self._ask(speech, speech.again, try_number + 1)

    def _ask(self, speech: Spoken, sentence: str, try_number: int) -> Response:
        action = f"{self._forms.public_url}{PATH}/{try_number}{CALLBACK_RETRIES}"
        return twiml(asked(speech, sentence, keys=DIGITS + MATCH_DIGITS, action=action))

    @staticmethod
    def _route(path: str, endpoint: Endpoint, name: str, summary: str, form: type[BaseModel]) -> BaseRoute:
        return signed_route(
            path,
            endpoint,
            form,
            operation_id=name,
            response_description="TwiML: what Twilio shall say, and ask for.",
            wire=TWIML_WIRE,
            max_body_bytes=_MAX_BODY_BYTES,
            summary=summary,
        )
