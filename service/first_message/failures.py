"""Says in one sentence why a step of the first message failed and how to fix it, without number, code or credential."""

from collections.abc import Callable, Mapping
from typing import Any

import aiohttp

from service.config.settings import Settings
from service.config.web_addresses import is_for_development
from service.core.breaker import SendingHalted
from service.core.limits import Limited
from service.core.phone import CountryNotAllowed, InvalidNumber, LineTypeNotAllowed
from service.core.sender import Refusal
from service.core.sending import MessageRefused, ProviderUnavailable
from service.core.store_health import StoreUnavailable
from service.providers.twilio.transport import read_body

_PROBE_SECONDS = 5.0
_ERROR_PAGE = "https://www.twilio.com/docs/api/errors/{}"

_REMEDIES: Mapping[Refusal, str] = {
    Refusal.INVALID_NUMBER: "use another number",
    Refusal.COUNTRY_NOT_ALLOWED: "tick its country in Twilio's Console (Messaging, Settings, Geo permissions)",
    Refusal.RECIPIENT_OPTED_OUT: "text START to the sender from this phone",
    Refusal.NOT_A_MOBILE_NUMBER: "use the number of a mobile phone",
    Refusal.CARRIER_REJECTED: "try another sender, or another number",
    Refusal.BLOCKED: "Twilio suspects traffic pumping: wait an hour, or put the number on the Global Safe List",
    Refusal.SENDER_MISCONFIGURED: "check TWILIO_MESSAGING_SERVICE_SID or TWILIO_FROM, and the sender's registration",
    Refusal.CREDENTIALS_REFUSED: "check TWILIO_ACCOUNT_SID, the Auth Token or API key, and the status of the account",
}


class StepFailed(Exception):
    """A step of the loop failed; the text is a sentence that says why and how to fix it."""


def with_error_code(code: int | None) -> str:
    """Name Twilio's error and its documentation page, if there is one."""
    return "" if code is None else f" (error {code}, {_ERROR_PAGE.format(code)})"


def issue_failure(failure: Exception) -> StepFailed | None:
    """Say why nothing was sent; None if the error is unexpected."""
    explain = _ISSUE_FAILURES.get(type(failure))
    return None if explain is None else StepFailed(f"Nothing was sent: {explain(failure)}.")


def _said(refusal: Exception) -> str:
    return str(refusal).rstrip(".")


_ISSUE_FAILURES: Mapping[type[Exception], Callable[[Any], str]] = {
    InvalidNumber: _said,
    CountryNotAllowed: lambda _: "the number's country is not in OTP_COUNTRIES; add it, or use another number",
    LineTypeNotAllowed: lambda _: "the number's line type is not in OTP_LINE_TYPES; add it, or use another number",
    Limited: lambda limited: (
        f"the limit {limited.limit} is reached; "
        f"try again in {-(-limited.retry_after_ms // 1000)} s, or change the OTP_LIMIT_… settings"
    ),
    SendingHalted: lambda halted: f"Twilio has been failing; try again in {halted.retry_after_seconds:.0f} s",
    MessageRefused: lambda refused: (
        f"Twilio refuses the message{with_error_code(refused.error_code)}; {_REMEDIES[refused.refusal]}"
    ),
    ProviderUnavailable: lambda _: (
        "Twilio is busy or cannot be reached; check the network and the proxy, and try again"
    ),
    StoreUnavailable: lambda away: f"Redis: {away}. {away.fault.sentence.rstrip('.')}",
}


async def why_no_callback(settings: Settings) -> str:
    """Say why Twilio's status callbacks do not arrive: check the setting, then call the address as Twilio does."""
    url = settings.otp_public_url
    if url is None:
        return (
            "OTP_PUBLIC_URL is not set, so Twilio reports no deliveries. Set it to the address that Twilio can reach."
        )
    if not settings.is_twilio_played and is_for_development(url):
        return f"OTP_PUBLIC_URL is {url}: Twilio calls neither plain http nor a host that is not public."
    return await _probe(url)


async def _probe(public_url: str) -> str:
    """Call the address of a callback without a signature; the service answers 403 with `bad_signature`."""
    url = f"{public_url}/twilio/status/probe/1"
    try:
        timeout = aiohttp.ClientTimeout(total=_PROBE_SECONDS)
        async with (
            aiohttp.ClientSession(timeout=timeout, trust_env=True) as http,
            http.post(url, data={"probe": ""}, allow_redirects=False) as answer,
        ):
            body = await read_body(answer) or b""
    except (aiohttp.ClientError, OSError, TimeoutError) as fault:
        return (
            f"{url} does not answer ({type(fault).__name__}). "
            "Check DNS, the certificate, the proxy, and that the service runs (otp-service serve)."
        )
    if answer.status != 403 or b"bad_signature" not in body:  # noqa: PLR2004 - a word of the protocol
        return (
            f"{url} answers {answer.status}; the service would answer 403 with bad_signature. "
            "Let the proxy pass /twilio/ to the service unchanged."
        )
    return (
        f"{public_url} answers, so either Twilio cannot reach it from outside, or its signature is refused. "
        "If the service's log has status 403 at /twilio/status/, then TWILIO_AUTH_TOKEN is not the account's primary "
        "token, a Webhook Rule signs with a key that TWILIO_WEBHOOK_KEYS does not list, or OTP_PUBLIC_URL is not the "
        "address that Twilio calls. Otherwise, read the error log in Twilio's Console."
    )
