"""The catalogue of problems: each code with its status, its title and a sentence that says what to do.

The codes are the contract; the texts may change. `api.problems` makes and writes the problems.
"""

from collections.abc import Mapping

from service.core.sender import Refusal
from service.core.verification import Status

# Each code with its HTTP status and its title.
CATALOGUE: Mapping[str, tuple[int, str]] = {
    "malformed_request": (400, "The request is not valid HTTP/1.1"),
    "malformed_body": (400, "The body cannot be read"),
    "invalid_idempotency_key": (400, "The Idempotency-Key cannot be used"),
    "unauthenticated": (401, "No valid API key or client token"),
    "insufficient_scope": (403, "This credential may not do this"),
    "bad_signature": (403, "The request is not signed by Twilio"),
    "not_found": (404, "There is nothing here"),
    "unknown_verification": (404, "No such verification, or it has been forgotten"),
    "method_not_allowed": (405, "This address does not take this method"),
    "request_timeout": (408, "The request did not arrive in time"),
    "not_pending": (409, "The verification has ended"),
    "max_sends_reached": (409, "The verification has had all its sends"),
    "request_in_progress": (409, "The first request with this Idempotency-Key is still running"),
    "body_too_large": (413, "The body is too large"),
    "unsupported_media_type": (415, "The body is of a type that is not taken here"),
    "invalid_request": (422, "The request is not valid"),
    "client_ip_required": (422, "The request must name the person's client_ip"),
    "idempotency_key_reused": (422, "The Idempotency-Key was used with another request"),
    Refusal.INVALID_NUMBER: (422, "The number cannot receive a code"),
    Refusal.COUNTRY_NOT_ALLOWED: (422, "Codes are not sent to this country"),
    Refusal.RECIPIENT_OPTED_OUT: (422, "The recipient has opted out of messages"),
    Refusal.NOT_A_MOBILE_NUMBER: (422, "The number is not a mobile number"),
    Refusal.CARRIER_REJECTED: (422, "The message cannot be delivered to this number"),
    Refusal.BLOCKED: (422, "Messages to this number are blocked for now"),
    "rate_limited": (429, "Too many requests"),
    "headers_too_large": (431, "The head of the request is too large"),
    "internal_error": (500, "Something went wrong on our side"),
    Refusal.SENDER_MISCONFIGURED: (502, "The sender is not set up for this message"),
    Refusal.CREDENTIALS_REFUSED: (502, "Twilio refuses the service's credentials"),
    "store_unavailable": (503, "The store is unavailable"),
    "twilio_unavailable": (503, "Twilio is unavailable; the message was not sent"),
    "overloaded": (503, "Too many requests are under way"),
    "draining": (503, "This process is stopping; send new requests to another one"),
}

# What to do, for the codes whose problem has no `detail` of its own. The texts of `FOR_THE_FORM` are sentences that a
# login form may show; the others are for developers. Two codes have no text: the title of `draining` is enough, and
# `internal_error` must reveal nothing.
DETAILS: Mapping[str, str] = {
    "malformed_request": "Send HTTP/1.1 with one Host header, and either Content-Length or Transfer-Encoding.",
    "malformed_body": "Send one JSON object, in UTF-8.",
    "invalid_idempotency_key": "Send 1 to 255 visible ASCII characters.",
    "unauthenticated": "Send Authorization: Bearer, then an API key, or the client token of this verification.",
    "bad_signature": "X-Twilio-Signature must be made over OTP_PUBLIC_URL and every field of the form.",
    "unknown_verification": "This verification is over. Start again.",
    "max_sends_reached": "No more codes are sent for this verification. Start again.",
    "request_timeout": "Send the whole head of a request within 20 seconds.",
    "request_in_progress": "We are still working on this. Try again in a moment.",
    "invalid_request": "What is wrong with which field is in errors.",
    "client_ip_required": "This service limits sends by address: name the person's address, not your own.",
    "idempotency_key_reused": "Repeat the first request as it was, or choose a new key.",
    Refusal.INVALID_NUMBER: "Check the number, or use another one.",
    Refusal.COUNTRY_NOT_ALLOWED: "Codes are not sent to the country of this number.",
    Refusal.RECIPIENT_OPTED_OUT: "This number has opted out. Text START to the sender of our messages, then try again.",
    Refusal.NOT_A_MOBILE_NUMBER: "This number cannot receive codes. Use a mobile number.",
    Refusal.CARRIER_REJECTED: "The message could not be delivered. Use another number.",
    Refusal.BLOCKED: "We cannot send messages to this number right now. Use another one, or try again in an hour.",
    "headers_too_large": "Send at most 32 KiB of target and headers.",
    Refusal.SENDER_MISCONFIGURED: "No codes can be sent until the operator of this service has fixed its sender.",
    Refusal.CREDENTIALS_REFUSED: "No codes can be sent until the operator of this service has renewed its credentials.",
    "rate_limited": "Too many tries. Wait a while, then try again.",
    "twilio_unavailable": "We could not send the code. Try again in a moment.",
    "store_unavailable": "We cannot do this right now. Try again in a moment.",
    "overloaded": "We cannot do this right now. Try again in a moment.",
}
ENDED: Mapping[Status, str] = {
    Status.APPROVED: "This number is already verified.",
    Status.EXPIRED: "The code is too old. Start again.",
    Status.MAX_ATTEMPTS_REACHED: "Too many wrong codes. Start again.",
    Status.CANCELED: "This verification was canceled. Start again.",
    Status.FAILED: "We could not send the message. Start again.",
}
FOR_THE_FORM = frozenset(
    {
        *Refusal, "unknown_verification", "not_pending", "max_sends_reached", "request_in_progress", "rate_limited",
        "twilio_unavailable", "store_unavailable", "overloaded",
    }
)  # fmt: skip
