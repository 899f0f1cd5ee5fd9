"""What Twilio's refusals mean: the failures that the rules know, by error code (`error_codes`).

Twilio changes its codes without notice, so a code that is not in the tables is read by its range, then by the HTTP
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
from service.providers.twilio.error_codes import PASSING, refusal_of

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
        return self.status == HTTPStatus.TOO_MANY_REQUESTS or (self._is_refusal and self.error_code in PASSING)

    @property
    def refusal(self) -> Refusal | None:
        """Return why Twilio refused for good; None if its answer leaves open what it did."""
        if not self._is_refusal or self.passing:
            return None
        by_status = Refusal.CREDENTIALS_REFUSED if self.status in _UNAUTHORIZED else Refusal.SENDER_MISCONFIGURED
        return refusal_of(self.error_code) or by_status

    @property
    def is_of_credentials(self) -> bool:
        """Tell whether Twilio refused our credentials for every request; a 403 may concern one message."""
        return self.refusal is Refusal.CREDENTIALS_REFUSED and self.status != HTTPStatus.FORBIDDEN

    @property
    def pause_seconds(self) -> float | None:
        """Return how long to wait: Twilio's Retry-After, or our own guess for this code."""
        if self.retry_after_seconds is not None or self.error_code is None:
            return self.retry_after_seconds
        return PASSING.get(self.error_code)

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
