"""What Twilio's refusals mean: one table from error code to the failures that the rules know.

Twilio changes its codes without notice, so a code that is not in the table is read by its range, then by the HTTP
status. A refusal that we do not understand is permanent: a send is never repeated on a guess. A failure carries only
statuses, codes and class names, because Twilio's sentences quote the number. The rules decide what follows.
(https://www.twilio.com/docs/api/errors)
"""

from http import HTTPStatus

import aiohttp

from service.core.sender import (
    ConfirmForbidden,
    ConfirmPostponed,
    ConfirmRefused,
    Refusal,
    SendPostponed,
    SendRefused,
    SendUnknown,
)

# Refused now, accepted later; no message exists. The value is our pause in seconds if Twilio names none. It is longer
# than a caller waits where a repeat at once would be refused again.
_PASSING: dict[int, float | None] = {
    10004: 5.0,  # too many calls at once
    14107: 30.0,  # over 15 replies between two numbers, each within 30 s
    20429: None,  # too many requests at once; never processed
    21611: 600.0,  # over 10 h of messages wait for this From
    21730: 60.0,  # scheduled maintenance
    30001: 60.0,  # queue overflow
    30017: 60.0,  # carrier congestion
    30022: 10.0,  # 10DLC rate
    # Daily caps, most of them rolling: try again after an hour.
    30023: 3600.0,  # of a 10DLC campaign
    30027: 3600.0,  # of T-Mobile
    30454: 3600.0,  # of a trial account
    63010: 60.0,  # WhatsApp fails inside Twilio
    63012: 60.0,  # WhatsApp itself fails
    63017: 1.0,  # over 2000 messages/s
    63018: 1.0,  # the rate of a channel
    63038: 3600.0,  # of the account
    63119: 60.0,  # Meta's rate
}

_PERMANENT: dict[Refusal, tuple[int, ...]] = {
    # 13224: it cannot be called. 63003 and 63024: it is not on WhatsApp.
    Refusal.INVALID_NUMBER: (13224, 21211, 21214, 21217, 21266, 63003, 63024),
    Refusal.COUNTRY_NOT_ALLOWED: (13227, 21215, 21408, 60605),
    Refusal.RECIPIENT_OPTED_OUT: (21610,),
    # ... or a short code, a premium-rate number, a landline
    Refusal.NOT_A_MOBILE_NUMBER: (21614, 21265, 21268, 21635),
    # 21606, 21612, 21659 and 21703 concern the pair of To and sender, so one odd number or one country can cause them:
    # no alarm for the operator. The compliance toolkit's 30610 (quiet hours) and 30640 concern the number.
    # WhatsApp's 63013 (its policy), 63014 (blocked by the person), 63023 (no reason), 63032 (Meta's experiment with the
    # number) and 63033 (blocked) do so too.
    Refusal.CARRIER_REJECTED: (
        *(21606, 21612, 21618, 21659, 21703, 30610, 30640),
        *(63013, 63014, 63023, 63032, 63033),
    ),
    # SMS pumping, Verify's fraud guard, numbers that Twilio does not call
    Refusal.BLOCKED: (13225, 21216, 30450, 30453, 60410),
    Refusal.CREDENTIALS_REFUSED: (10001, 20003, 20005, 20006, 20008, 20403, 30002, 70051),
    # In the 30xxx range, but about our sender and its registration, not about the carrier.
    Refusal.SENDER_MISCONFIGURED: (
        *(30011, 30012, 30013, 30014, 30015, 30016, 30018, 30019, 30024, 30029, 30030),
        *(30032, 30033, 30034, 30035, 30700),
    ),
}

# For codes that neither table has. The rest of 20xxx, 21xxx and 63xxx concerns requests, senders, services and the
# templates of WhatsApp: none (63016), a wrong one (63027 to 63029), one of the category Marketing (63049) …
_RANGES: tuple[tuple[range, Refusal], ...] = (
    (range(20000, 22000), Refusal.SENDER_MISCONFIGURED),
    (range(30000, 31000), Refusal.CARRIER_REJECTED),
    (range(60000, 61000), Refusal.BLOCKED),
    (range(63000, 64000), Refusal.SENDER_MISCONFIGURED),
)

_REFUSALS = {code: refusal for refusal, codes in _PERMANENT.items() for code in codes}

_UNAUTHORIZED = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})

# Refusals by a proxy, or temporary ones: they say nothing about the message.
_NOT_OF_TWILIO = frozenset({HTTPStatus.PROXY_AUTHENTICATION_REQUIRED, HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY})

# Permanent refusals of one confirmation. Any other 4xx may come from a proxy, so it is tried for a day.
_OF_THE_CONFIRMATION = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.GONE})


class NotConnected(aiohttp.ClientConnectionError):
    """The connection ended while it was being made, before anything of the request was written."""


# Answers to a GET if the credentials may not read a resource, or if there is none.
_MAY_NOT_READ = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND})


class ResourceUnread(Exception):
    """A resource could not be read; the text says why. `is_forbidden`: these credentials may not read it."""

    def __init__(self, reason: str, *, is_forbidden: bool = False) -> None:
        super().__init__(reason)
        self.is_forbidden = is_forbidden


# No byte of the request was written. Some are also TimeoutErrors or ClientOSErrors, whose other kinds are ambiguous.
NOT_WRITTEN = (
    *(aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.ClientHttpProxyError),
    NotConnected,
)


class TwilioRejected(Exception):
    """Twilio answered something other than 2xx; `error_code` is None when the body named none."""

    def __init__(self, status: int, error_code: int | None, retry_after_seconds: float | None) -> None:
        super().__init__(
            f"Twilio answered {status}" if error_code is None else f"Twilio answered {status}, error {error_code}"
        )
        self.status = status
        self.error_code = error_code
        self.retry_after_seconds = retry_after_seconds

    @property
    def passing(self) -> bool:
        """Tell whether Twilio did nothing and will accept the same request later."""
        return self.status == HTTPStatus.TOO_MANY_REQUESTS or (self._is_refusal and self.error_code in _PASSING)

    @property
    def refusal(self) -> Refusal | None:
        """Return why Twilio refused for good; None if its answer leaves open what it did."""
        if not self._is_refusal or self.passing:
            return None
        if self.error_code in _REFUSALS:
            return _REFUSALS[self.error_code]
        for codes, refusal in _RANGES:
            if self.error_code in codes:
                return refusal
        return Refusal.CREDENTIALS_REFUSED if self.status in _UNAUTHORIZED else Refusal.SENDER_MISCONFIGURED

    @property
    def is_of_credentials(self) -> bool:
        """Tell whether Twilio refused our credentials for every request; a 403 may concern one message."""
        return self.refusal is Refusal.CREDENTIALS_REFUSED and self.status != HTTPStatus.FORBIDDEN

    @property
    def pause_seconds(self) -> float | None:
        """Return how long to wait: Twilio's Retry-After, or our own guess for this code."""
        if self.retry_after_seconds is not None or self.error_code is None:
            return self.retry_after_seconds
        return _PASSING.get(self.error_code)

    @property
    def _is_refusal(self) -> bool:
        is_4xx = HTTPStatus.BAD_REQUEST <= self.status < HTTPStatus.INTERNAL_SERVER_ERROR
        return is_4xx and self.status not in _NOT_OF_TWILIO


def send_failure(fault: Exception) -> SendRefused | SendPostponed | SendUnknown:
    """Translate what a send raised; what is not certain is unknown.

    5xx is unknown because Twilio documents it as not idempotent for messages.
    """
    if isinstance(fault, TwilioRejected):
        if fault.passing:
            return SendPostponed(str(fault), retry_after_seconds=fault.pause_seconds)
        refusal = fault.refusal
        if refusal is None:
            return SendUnknown(str(fault))
        return SendRefused(refusal, fault.error_code, is_of_credentials=fault.is_of_credentials)
    if isinstance(fault, NOT_WRITTEN):
        return SendPostponed("unreachable", is_unreachable=True)
    return SendUnknown(f"no clear answer ({type(fault).__name__})")


def confirm_failure(fault: Exception) -> ConfirmRefused | ConfirmForbidden | ConfirmPostponed:
    """Translate what a confirmation raised; what is not certain may be repeated."""
    if isinstance(fault, TwilioRejected):
        # 401 and 403 halt all confirmations whatever their code: a halt can be fixed, a failed confirmation is lost.
        if fault.refusal is Refusal.CREDENTIALS_REFUSED or fault.status in _UNAUTHORIZED:
            return ConfirmForbidden(str(fault), is_of_credentials=fault.is_of_credentials)
        if fault.refusal is not None and fault.status in _OF_THE_CONFIRMATION:
            return ConfirmRefused(str(fault))
        return ConfirmPostponed(str(fault), retry_after_seconds=fault.pause_seconds)
    if isinstance(fault, NOT_WRITTEN):
        return ConfirmPostponed("unreachable")
    return ConfirmPostponed(f"no clear answer ({type(fault).__name__})")


def unread(fault: Exception) -> ResourceUnread:
    """Translate what reading a resource raised, for the diagnosis."""
    if isinstance(fault, TwilioRejected):
        return ResourceUnread(str(fault), is_forbidden=fault.status in _MAY_NOT_READ)
    return ResourceUnread(f"no clear answer, {type(fault).__name__}")
