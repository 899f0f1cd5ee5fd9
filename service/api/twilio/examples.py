"""Examples of Twilio's webhooks, for the OpenAPI document. Tests send each to a running service."""

from collections.abc import Mapping

from service.api.twilio.twiml import NOTHING, REJECTED, asked
from service.api.v1.readiness_examples import Example
from service.core.texts.spoken import spoken

_PERSON, _OURS = "+14155550123", "+15005550006"
_REPORTED = {"MessageSid": "SM" + "3f" * 16, "MessageStatus": "delivered", "From": _OURS, "To": _PERSON}
_ANSWERED = {"MessageSid": "SM" + "4f" * 16, "From": _PERSON, "To": _OURS, "Body": "Maple cabin, river"}
_CALLED = {"CallSid": "CA" + "5f" * 16, "From": _PERSON, "To": _OURS, "CallStatus": "ringing"}


def webhook_requests() -> Mapping[str, Mapping[str, Example]]:
    """Return the forms that Twilio posts, by operation id and name."""
    stopped = {**_ANSWERED, "Body": "Stop", "OptOutType": "STOP"}
    return {
        "receiveCall": {"ringing": Example("Somebody calls", _CALLED)},
        "receiveKeys": {
            "keys": Example("Six digits of the message, two on the screen", {**_CALLED, "Digits": "48291347"})
        },
        "receiveMessage": {
            "reply": Example("The two words of the message and the word on the screen", _ANSWERED),
            "keyword": Example("A keyword, which Twilio has answered", stopped),
        },
        "receiveDeliveryStatus": {
            "delivered": Example("Delivered", _REPORTED),
            "undelivered": Example(
                "Not delivered", {**_REPORTED, "MessageStatus": "undelivered", "ErrorCode": "30003"}
            ),
        },
    }


def webhook_responses() -> Mapping[str, Mapping[str, Example]]:
    """Return the TwiML of responses, by operation id and name."""
    speech, address = spoken("en"), "https://otp.example.com/twilio/voice/2#rc=3&rp=ct,rt,5xx"
    again = asked(speech.again, speech.nothing_keyed, language=speech.language, keys=8, action=address)
    return {
        "receiveCall": {"rejected": Example("Nothing is expected of this number", REJECTED)},
        "receiveKeys": {"asked": Example("Wrong keys: another try", again)},
        "receiveMessage": {"received": Example("Whatever the message was", NOTHING)},
    }
