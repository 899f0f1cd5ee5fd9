"""Responds with TwiML, which `providers.twilio.twiml` writes."""

from dataclasses import replace

from starlette import responses

from service.http.response import Response
from service.http.wire import FORM_WIRE
from service.providers.twilio.twiml import NOTHING

MEDIA_TYPE = "text/xml"


class TwimlResponse(responses.Response):
    """TwiML, for the OpenAPI document."""

    media_type = MEDIA_TYPE


TWIML_WIRE = replace(FORM_WIRE, response_class=TwimlResponse)


def twiml(document: str = NOTHING) -> Response:
    """Respond with a document; the empty one asks for nothing, so it costs nothing."""
    return Response(200, document.encode(), media_type=MEDIA_TYPE)
