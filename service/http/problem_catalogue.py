"""The catalogue of problems: the status, the texts and the fix of each code.

The codes are the contract; the texts may change. `problems` makes problems of them, and the page `/docs/problems` lists
them.
"""

from collections.abc import Mapping

from service.core.sender import Refusal
from service.http.unsendable import UNSENDABLE, Kind

# The page that describes the codes, and the fragment of a code in it: the `type` of a problem is both.
PROBLEMS_PATH = "/docs/problems"


_KINDS: Mapping[str, Kind] = {
    "malformed_request": Kind(
        400,
        "The request is not valid HTTP/1.1",
        "The request is not valid HTTP/1.1. Send one Host, either Content-Length or Transfer-Encoding, and no other "
        "such header twice.",
        "Use a standard HTTP client, and send Authorization, Content-Type and Idempotency-Key once. If a proxy is in "
        "between, check what it forwards.",
    ),
    "malformed_body": Kind(
        400,
        "The body cannot be read",
        "The body cannot be read. Send one JSON object, in UTF-8.",
        "Send the whole body, as one JSON object in UTF-8, without a byte order mark.",
    ),
    "invalid_idempotency_key": Kind(
        400,
        "The Idempotency-Key cannot be used",
        "This Idempotency-Key cannot be used. Send 1 to 255 visible ASCII characters.",
        "Use a random value such as a UUID as the key.",
    ),
    "unauthenticated": Kind(
        401,
        "No valid API key or client token",
        "The request has no valid credential. Send Authorization: Bearer, then an API key, or the client token of this "
        "verification.",
        "Check the header, and that the key has not been revoked (`otp-service keys list`).",
    ),
    "insufficient_scope": Kind(
        403,
        "This credential may not do this",
        None,  # it says what the credential may do, or lacks
        "Use an API key that has the scope named in `detail`; a client token may only verify, resend and read.",
    ),
    "dashboard_refused": Kind(
        403, "The dashboard refuses this request", None, "Open `/dashboard` through TLS or an SSH tunnel, and sign in."
    ),
    "bad_signature": Kind(
        403,
        "The request is not signed by Twilio",
        "X-Twilio-Signature is missing or wrong. Make it over OTP_PUBLIC_URL and every field of the form.",
        "Set `OTP_PUBLIC_URL` to the address that Twilio calls, and `TWILIO_AUTH_TOKEN` to the account's token.",
    ),
    "not_found": Kind(
        404,
        "Not found",
        "There is nothing at this path. Check it against the API documentation.",
        "Check the path against the API documentation. Paths are exact: no slash at the end, no capitals.",
    ),
    "unknown_verification": Kind(
        404,
        "No such verification, or it has expired",
        "This verification is over. Start again.",
        "Check the id, and that the API key belongs to the owner that issued the verification. Records are kept for "
        "about an hour after the last code expires.",
    ),
    "method_not_allowed": Kind(
        405,
        "Method not allowed",
        "This path does not support this method. Use one that the header Allow names.",
        "Use a method that the header `Allow` names.",
    ),
    "request_timeout": Kind(
        408,
        "The request did not arrive in time",
        "The head of the request did not arrive in time. Send it whole within 20 seconds.",
        "Send the request at once. If this occurs often, check the network between client and service.",
    ),
    "not_pending": Kind(
        409,
        "The verification has ended",
        None,  # `endings` has one for each end
        "Issue a new verification. `detail` says how this one ended.",
    ),
    "wrong_action": Kind(
        409,
        "The verification asks for another action",
        "This verification asks for something else. Look at the newest message.",
        "Look at `action` of the verification: answer a code with `code` and a password with `password`. A link is "
        "answered on its own page, a reply by a message, and a call by a call.",
    ),
    "max_sends_reached": Kind(
        409,
        "The verification has had all its sends",
        "No more messages are sent for this verification. Start again.",
        "Issue a new verification, or raise `OTP_MAX_SENDS`.",
    ),
    "request_in_progress": Kind(
        409,
        "The first request with this Idempotency-Key is still running",
        "We are still working on this. Try again in a moment.",
        "Wait as long as `retry_after` says, then repeat the request with the same key.",
    ),
    "body_too_large": Kind(
        413, "The body is too large", None, "Send a smaller body; `detail` says how many bytes are allowed."
    ),
    "unsupported_media_type": Kind(
        415,
        "Unsupported Content-Type",
        None,
        "Set the header `Content-Type` to the media type that `detail` names, and send no `Content-Encoding`.",
    ),
    "invalid_request": Kind(
        422,
        "The request is not valid",
        "A part of the request is missing or not valid. Correct what errors lists.",
        "Correct the fields that `errors` lists; each `pointer` is a JSON pointer into the body.",
    ),
    "idempotency_key_reused": Kind(
        422,
        "The Idempotency-Key was used with another request",
        "This Idempotency-Key belongs to another request. Repeat that one as it was, or choose a new key.",
        "Create one key for each new request, and use it again only to repeat that request.",
    ),
    "rate_limited": Kind(
        429,
        "Too many requests",
        "Too many tries. Wait a while, then try again.",
        "Wait as long as `retry_after` says. API keys also get `limit`, its name; the settings `OTP_LIMIT_…` set it.",
    ),
    "headers_too_large": Kind(
        431,
        "The head of the request is too large",
        "The head of the request is too large. Send at most 32 KiB of target and headers.",
        "Send fewer or shorter headers; at most 100 are read.",
    ),
    "internal_error": Kind(
        500,
        "Something went wrong on our side",
        None,  # it must reveal nothing
        "Look in the log for the line `unexpected_error` with the `request_id` of the problem.",
    ),
    Refusal.SENDER_MISCONFIGURED: Kind(
        502,
        "The sender is not set up for this message",
        "Messages cannot be sent, because the sender of this service is misconfigured.",
        "Check the sender of the channel: `TWILIO_FROM` or `TWILIO_MESSAGING_SERVICE_SID`, `TWILIO_WHATSAPP_FROM` with "
        "its templates, or `TWILIO_VOICE_FROM`. The log has Twilio's error code; `otp-service check` may know why.",
    ),
    Refusal.CREDENTIALS_REFUSED: Kind(
        502,
        "Twilio refuses the service's credentials",
        "Messages cannot be sent, because the credentials of this service are refused.",
        "Check the account SID and its credentials with `otp-service check`.",
    ),
    "store_unavailable": Kind(
        503,
        "The store is unavailable",
        "We cannot do this right now. Try again in a moment.",
        "Repeat the request with the same Idempotency-Key. `/readyz` and the log say what is wrong with Redis.",
    ),
    "provider_unavailable": Kind(
        503,
        "The message provider is unavailable; the message was not sent",
        "We could not send the message. Try again in a moment.",
        "Repeat the request after `retry_after`. `/readyz` says whether sending is halted, and why.",
    ),
    "overloaded": Kind(
        503,
        "Too many requests in progress",
        "We cannot do this right now. Try again in a moment.",
        "Repeat the request after `retry_after`. If this occurs often, add workers or raise `OTP_MAX_IN_FLIGHT`.",
    ),
    "draining": Kind(
        503,
        "This process is stopping",
        "This process is stopping. Send new requests to another one.",
        "Nothing: the load balancer sends new requests to another process.",
    ),
}

# By status, as the page and the document list them.
CATALOGUE: Mapping[str, Kind] = dict(sorted({**_KINDS, **UNSENDABLE}.items(), key=lambda item: item[1].status))

# Codes whose detail is a sentence that a login form may show; the other details are for developers.
FOR_THE_FORM = frozenset(
    {
        *Refusal, "unknown_verification", "not_pending", "wrong_action", "max_sends_reached", "request_in_progress",
        "rate_limited", "provider_unavailable", "store_unavailable", "overloaded",
    }
)  # fmt: skip
