"""Posts one signed status callback, and retries it as the URL's fragment allows.

The fragment (`#rc=3&rp=ct,5xx`, https://www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides) is neither
sent nor signed. Supported are `rc` (number of retries, 0-5, default 1), `rp` (retry on `ct` failed connection, `rt`
read time-out, `4xx`, `5xx`, `all`; default `ct`) and the time-outs `ct`, `rt`, `tt` in milliseconds (5 s, 15 s, 15 s).
Unless the settings allow public hosts, callbacks go to loopback hosts only. Redirects are not followed, and proxies
from the environment are not used. `carrier` decides the order of callbacks.
"""

import logging
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import parse_qsl, urlencode

import aiohttp
from yarl import URL

from service.sandbox.ledger import CallbackPost, Ledger, Message
from service.sandbox.loopback import is_loopback
from service.sandbox.resources import API_VERSION
from service.sandbox.settings import SandboxSettings
from service.sandbox.signing import sign

_log = logging.getLogger("service.sandbox.callbacks")
_END_STATES = frozenset({"delivered", "undelivered", "failed"})


@dataclass(frozen=True, kw_only=True)
class _Overrides:
    """The options in the fragment of a callback URL; milliseconds as in the fragment."""

    retries: int = 1
    repeat_on: frozenset[str] = frozenset({"ct"})
    connect_ms: int = 5_000
    read_ms: int = 15_000
    total_ms: int = 15_000


class Callbacks:
    """The sandbox's HTTP client. The first callback opens it; it belongs to that callback's event loop."""

    def __init__(self, settings: SandboxSettings, ledger: Ledger) -> None:
        self._settings = settings
        self._ledger = ledger
        self._http: aiohttp.ClientSession | None = None

    async def post(self, message: Message) -> None:
        """Report the message's status to its StatusCallback and record every try; receiver errors are never raised."""
        if not message.status_callback:
            return
        url, _, fragment = message.status_callback.partition("#")
        if not self._settings.allow_public_callbacks and not is_loopback(URL(url, encoded=True).host):
            _log.warning("no status callback is sent: its host is not loopback, and allow_public_callbacks is off")
            self._record(message, url, "not_loopback")
            return
        # A SharedKey comes with a Webhook Setting, whose connection settings replace the fragment's.
        overrides = _Overrides() if self._settings.shared_key else _read_overrides(fragment)
        form = self._form(message)
        headers = {
            "Content-Type": "application/x-www-form-urlencoded; charset=utf-8",
            "User-Agent": "TwilioProxy/1.1",
            **self._signature(url, form),
            "I-Twilio-Idempotency-Token": str(uuid.uuid4()),  # the same on every try
        }
        for _ in range(1 + overrides.retries):
            result = await self._try(url, form, headers, overrides)
            self._record(message, url, result)
            reason = result if isinstance(result, str) else f"{result // 100}xx"
            if reason == "2xx" or not overrides.repeat_on & {reason, "all"}:
                return

    async def aclose(self) -> None:
        """Close the client; a later post would open a new one."""
        if self._http is not None:
            await self._http.close()
            self._http = None

    def _signature(self, url: str, form: Mapping[str, str]) -> dict[str, str]:
        known = self._settings
        if not known.shared_key:
            return {"X-Twilio-Signature": sign(known.auth_token, url, form)}
        return {
            "X-Twilio-Signature": sign(known.shared_key, url, form, "sha256"),
            "X-Twilio-Webhooks-Signature-Settings": f"key={known.shared_key_id},algorithm=HMAC_SHA256",
        }

    def _form(self, message: Message) -> dict[str, str]:
        """Return the fields under Twilio's names. ErrorCode may be empty: signatures must cover empty values."""
        form = {
            "AccountSid": self._settings.account_sid,
            "ApiVersion": API_VERSION,
            "From": message.sender or "",
            "To": message.to,
            "MessageSid": message.sid,
            "SmsSid": message.sid,
            "MessageStatus": message.status,
            "SmsStatus": message.status,
            "ErrorCode": str(message.error_code or ""),
        }
        if message.messaging_service_sid:
            form["MessagingServiceSid"] = message.messaging_service_sid
        if message.status in _END_STATES:
            form["RawDlrDoneDate"] = f"{message.updated_at:%y%m%d%H%M}"
        return form

    async def _try(
        self, url: str, form: Mapping[str, str], headers: Mapping[str, str], overrides: _Overrides
    ) -> int | str:
        """Return the HTTP status, or the fragment's word for the failure."""
        timeout = aiohttp.ClientTimeout(
            total=overrides.total_ms / 1000,
            sock_connect=overrides.connect_ms / 1000,
            sock_read=overrides.read_ms / 1000,
        )
        if self._http is None:
            # a new connection each time: a reused one may close during the post, which would look like no response
            self._http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True))
        target = URL(url, encoded=True)  # exactly the bytes that were signed
        try:
            async with self._http.post(
                target, data=urlencode(form), headers=headers, timeout=timeout, allow_redirects=False
            ) as response:
                return response.status
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
            return "ct"
        except (aiohttp.ClientError, TimeoutError):
            return "rt"

    def _record(self, message: Message, url: str, result: int | str) -> None:
        post = CallbackPost(
            sid=message.sid, message_status=message.status, url=url, result=result, at=datetime.now(UTC)
        )
        self._ledger.add_callback(post)


def _read_overrides(fragment: str) -> _Overrides:
    """Read the fragment; missing or invalid options keep their defaults."""
    asked = dict(parse_qsl(fragment))
    default = _Overrides()

    def number(name: str, low: int, high: int, default_value: int) -> int:
        text = asked.get(name, "")
        return min(max(int(text[:9]), low), high) if text.isascii() and text.isdigit() else default_value

    return _Overrides(
        retries=number("rc", 0, 5, default.retries),
        repeat_on=frozenset(asked["rp"].split(",")) if asked.get("rp") else default.repeat_on,
        connect_ms=number("ct", 100, 10_000, default.connect_ms),
        read_ms=number("rt", 100, 15_000, default.read_ms),
        total_ms=number("tt", 100, 15_000, default.total_ms),
    )
