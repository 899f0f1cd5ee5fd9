"""Examples of Twilio's webhooks, for the OpenAPI document. Tests send each to a running service."""

from collections.abc import Mapping

from service.api.v1.readiness_examples import Example

_PERSON, _OURS = "+14155550123", "+15005550006"
_REPORTED = {"MessageSid": "SM" + "3f" * 16, "MessageStatus": "delivered", "From": _OURS, "To": _PERSON}
_ANSWERED = {"MessageSid": "SM" + "4f" * 16, "From": _PERSON, "To": _OURS, "Body": "Maple cabin, river"}
_CALLED = {"CallSid": "CA" + "5f" * 16, "From": _PERSON, "To": _OURS, "CallStatus": "ringing"}
_OUR_CALL = {"CallSid": "CA" + "6f" * 16, "From": _OURS, "To": _PERSON, "CallStatus": "in-progress"}
_NOTHING = '<?xml version="1.0" encoding="UTF-8"?><Response/>'
_REJECTED = '<?xml version="1.0" encoding="UTF-8"?><Response><Reject/></Response>'
_ASKED_AGAIN = (
    '<?xml version="1.0" encoding="UTF-8"?><Response><Gather input="dtmf" numDigits="8" timeout="8" '
    'action="https://otp.example.com/twilio/voice/2#rc=3&amp;rp=ct,rt,5xx" method="POST" finishOnKey="">'
    '<Say language="en-US">This is not right. Key in the six digits of the message, and then the two digits on your '
    'screen.</Say></Gather><Say language="en-US">Nothing was keyed in. Goodbye.</Say><Hangup/></Response>'
)
_SAID = (
    '<?xml version="1.0" encoding="UTF-8"?><Response>'
    '<Say language="en-US">Your Acme code is: <break time="600ms"/> 4 <break time="600ms"/> 8 <break time="600ms"/> '
    '2 <break time="600ms"/> 9 <break time="600ms"/></Say><Hangup/></Response>'
)


def webhook_requests() -> Mapping[str, Mapping[str, Example]]:
    """Return the forms that Twilio posts, by operation id and name."""
    stopped = {**_ANSWERED, "Body": "Stop", "OptOutType": "STOP"}
    return {
        "receiveCall": {"ringing": Example("Somebody calls", _CALLED)},
        "receiveKeys": {
            "keys": Example("Six digits of the message, two on the screen", {**_CALLED, "Digits": "48291347"})
        },
        "receiveCallStatus": {"answered": Example("The person has answered", _OUR_CALL)},
        "receiveKey": {"key": Example("Any key", {**_OUR_CALL, "Digits": "1"})},
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
    return {
        "receiveCall": {"rejected": Example("Nothing is expected of this number", _REJECTED)},
        "receiveKeys": {"asked": Example("Wrong keys: another try", _ASKED_AGAIN)},
        "receiveKey": {"said": Example("The code (shortened: it is said twice)", _SAID)},
        "receiveMessage": {"received": Example("Whatever the message was", _NOTHING)},
    }
