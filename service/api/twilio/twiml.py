"""TwiML: what Twilio shall do with a message that somebody has sent to us, or with a call."""

from dataclasses import replace
from html import escape

from starlette import responses

from service.http.response import Response
from service.http.wire import FORM_WIRE

MEDIA_TYPE = "text/xml"
_START = '<?xml version="1.0" encoding="UTF-8"?>'
NOTHING = f"{_START}<Response/>"
REJECTED = f"{_START}<Response><Reject/></Response>"  # the call is not answered, and costs nothing
_SECONDS_PER_KEY = 8


class TwimlResponse(responses.Response):
    """TwiML, for the OpenAPI document."""

    media_type = MEDIA_TYPE


TWIML_WIRE = replace(FORM_WIRE, response_class=TwimlResponse)


def twiml(document: str = NOTHING) -> Response:
    """Respond with a document; the empty one asks for nothing, so it costs nothing."""
    return Response(200, document.encode(), media_type=MEDIA_TYPE)


def said(sentence: str, *, language: str) -> str:
    """Say a sentence, and hang up."""
    return f"{_START}<Response>{_say(sentence, language)}<Hangup/></Response>"


def asked(sentence: str, otherwise: str, *, language: str, keys: int, action: str) -> str:
    """Say a sentence, and post up to so many keys to an address; say the other sentence if there were none.

    No key ends the entry early: a person who presses `#` after the digits of the message has not finished.
    """
    gather = f'<Gather input="dtmf" numDigits="{keys}" timeout="{_SECONDS_PER_KEY}" action="{escape(action)}"'
    asking = f'{gather} method="POST" finishOnKey="">{_say(sentence, language)}</Gather>'
    return f"{_START}<Response>{asking}{_say(otherwise, language)}<Hangup/></Response>"


def _say(sentence: str, language: str) -> str:
    return f'<Say language="{language}">{escape(sentence)}</Say>'
