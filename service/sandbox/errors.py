"""Twilio's errors: the HTTP status and sentence of each code, and the JSON envelope.

Codes: https://www.twilio.com/docs/api/errors. Twilio's 216xx sentences quote the number; so do these, because tests
must catch a service that echoes or logs them.
"""

from typing import TypeVar

from starlette.responses import JSONResponse

Resource = TypeVar("Resource")

_KNOWN = {
    14107: (400, "Too many replies between these two numbers"),
    20003: (401, "Authenticate"),
    20004: (405, "Method not allowed"),
    20005: (403, "The account is not active"),
    20008: (403, "This resource cannot be used with test credentials"),
    20403: (403, "Forbidden"),
    20404: (404, "The requested resource was not found"),
    20422: (400, "A parameter is invalid"),
    20429: (429, "Too Many Requests"),
    20500: (500, "Internal Server Error"),
    20503: (503, "Service Unavailable"),
    21201: (400, "A 'To' phone number is required"),
    21205: (400, "A valid 'Url' or 'Twiml' is required"),
    21210: (400, "The 'From' number is not yours and not a verified caller id"),
    21211: (400, "The 'To' number is not a valid phone number"),
    21212: (400, "The 'From' number is not a valid phone number, short code or alphanumeric sender"),
    21213: (400, "A 'From' phone number is required"),
    21214: (400, "The 'To' number cannot be reached"),
    21215: (400, "Calls to the region of the 'To' number are not permitted for this account"),
    21216: (400, "This account may not call the 'To' number"),
    21217: (400, "The 'To' number does not appear to be valid"),
    21219: (400, "The 'To' number is not verified; a trial account cannot call it"),
    21220: (400, "The call has ended"),
    21266: (400, "'To' and 'From' number cannot be the same"),
    21408: (400, "Sending to the region of the 'To' number is not permitted for this account"),
    21421: (400, "The 'PhoneNumber' is invalid"),
    21502: (400, "The URL is invalid"),
    21602: (400, "Message body is required"),
    21603: (400, "A 'From' number or a Messaging Service is required"),
    21604: (400, "A 'To' phone number is required"),
    21606: (400, "The 'From' number is not yours or cannot send messages"),
    21608: (400, "The 'To' number is not verified; a trial account cannot send to it"),
    21609: (400, "The 'StatusCallback' URL is invalid"),
    21610: (400, "The recipient has opted out of messages from this sender"),
    21611: (400, "The queue of the 'From' number is full"),
    21612: (400, "The 'To' number cannot be reached from this sender"),
    21614: (400, "The 'To' number is not a mobile number"),
    21617: (400, "The message body is longer than 1600 characters"),
    21618: (400, "The message body was filtered by every carrier"),
    21624: (400, "The 'ValidityPeriod' is not a number of seconds from 1 to 36000"),
    21626: (400, "The 'StatusCallbackEvent' is invalid"),
    21654: (400, "ContentVariables require a ContentSid"),
    21655: (400, "The ContentSid is invalid"),
    21656: (400, "ContentVariables must be a JSON object"),
    21701: (404, "The Messaging Service does not exist"),
    21703: (400, "The Messaging Service has no sender that can reach the 'To' number"),
    21704: (400, "The Messaging Service has no sender"),
    21705: (400, "The 'MessagingServiceSid' is invalid"),
    21910: (400, "'From' and 'To' must be addresses of the same channel"),
    63007: (400, "Twilio could not find a channel with this 'From' address"),
    63038: (429, "The account exceeded its daily message limit"),
    63017: (429, "The account's message rate is exceeded"),
}

# Delivery errors. Every code has a sentence.
_DELIVERY = {
    30001: "Queue overflow",
    30003: "Unreachable destination handset",
    30004: "Message blocked",
    30005: "Unknown destination handset",
    30006: "Landline or unreachable carrier",
    30007: "Message filtered",
    30008: "Unknown error",
    30036: "Validity period expired",
    30038: "One-time passcode message filtered",
    30450: "Message delivery blocked",
    63003: "Channel could not find the 'To' address",
    63005: "Channel did not accept the content",
    63012: "Channel provider returned an internal error",
    63013: "Channel policy violation",
    63016: "Outside the messaging window: use an approved template",
    63018: "Rate limit of the channel exceeded",
    63021: "Channel found the content invalid",
    63024: "Invalid message recipient",
    63027: "Template does not exist for this language",
    63028: "Number of parameters does not match the template",
    63029: "The receiver failed to load the template",
    63040: "Template rejected",
    63041: "Template paused",
    63042: "Template disabled",
}


def delivery_error(code: int) -> str:
    """Return the sentence for why a message did not arrive."""
    return _DELIVERY.get(code, "The message was not delivered")


class TwilioError(Exception):
    """A refused call: `code` decides the HTTP status; `detail`, the invalid value, is appended to the sentence.

    The HTTP status of a code that is not listed here is 400, as is usual at Twilio.
    """

    def __init__(self, code: int, detail: str = "") -> None:
        self.code = code
        self.status, sentence = _KNOWN.get(code, (400, "The request was refused"))
        self.message = f"{sentence}: {detail}" if detail else sentence
        super().__init__(self.message)

    def response(self, headers: dict[str, str] | None = None) -> JSONResponse:
        """Return the response in Twilio's envelope; 401 adds its empty `detail` and the Basic challenge."""
        body: dict[str, object] = {
            "code": self.code,
            "message": self.message,
            "more_info": f"https://www.twilio.com/docs/errors/{self.code}",
            "status": self.status,
        }
        headers = dict(headers or {})
        if self.status == 401:  # noqa: PLR2004 - an HTTP status
            body["detail"] = ""
            headers["WWW-Authenticate"] = 'Basic realm="Twilio API"'
        return JSONResponse(body, self.status, headers)


def found(resource: Resource | None, path: str) -> Resource:
    """Return the resource of this path; raise `TwilioError` if there is none."""
    if resource is None:
        raise TwilioError(20404, path)
    return resource
