"""Posts a signed webhook, and retries it as the URL's fragment allows.

The fragment (`#rc=3&rp=ct,5xx`, https://www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides) is neither
sent nor signed. Supported are `rc` (number of retries, 0-5, default 1), `rp` (retry on `ct` failed connection, `rt`
read time-out, `4xx`, `5xx`, `all`; default `ct`) and the time-outs `ct`, `rt`, `tt` in milliseconds (5 s, 15 s, 15 s).
Unless the settings allow public hosts, webhooks go to loopback hosts only. Redirects are not followed, and proxies
from the environment are not used.
"""

import logging
import uuid
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode

import aiohttp
from yarl import URL

from service.sandbox.loopback import is_loopback
from service.sandbox.settings import SandboxSettings
from service.sandbox.signing import sign

_log = logging.getLogger("service.sandbox.webhooks")
_OK = 200


@dataclass(frozen=True, kw_only=True)
class WebhookResponse:
    """What came of a webhook. `result`: an HTTP status, or the failure (`ct`, `rt`, `not_loopback`)."""

    result: int | str
    content_type: str = ""
    body: bytes = b""

    @property
    def is_ok(self) -> bool:
        """Whether the receiver accepted it."""
        return isinstance(self.result, int) and _OK <= self.result < 300  # noqa: PLR2004 - an HTTP status


@dataclass(frozen=True, kw_only=True)
class _Overrides:
    """The options in the fragment of a URL; milliseconds as in the fragment."""

    retries: int = 1
    repeat_on: frozenset[str] = frozenset({"ct"})
    connect_ms: int = 5_000
    read_ms: int = 15_000
    total_ms: int = 15_000


class Webhooks:
    """The sandbox's HTTP client. The first post opens it; it belongs to that post's event loop."""

    def __init__(self, settings: SandboxSettings) -> None:
        self._settings = settings
        self._http: aiohttp.ClientSession | None = None

    async def post(
        self,
        address: str,
        form: Mapping[str, str],
        record: Callable[[str, WebhookResponse], None],
        *,
        method: str = "POST",
        unsigned: Collection[str] = (),
    ) -> WebhookResponse:
        """Post the form, call `record` with the URL and the response of each try, and return the last response.

        Failures are returned, never raised. The signature does not cover the fields in `unsigned`. By GET the fields
        are in the query, which is signed as part of the URL.
        """
        url, _, fragment = address.partition("#")
        if method == "GET":
            url, form = f"{url}{'&' if '?' in url else '?'}{urlencode(form)}", {}
        if not self._settings.allow_public_callbacks and not is_loopback(URL(url, encoded=True).host):
            _log.warning("no webhook is sent: its host is not loopback, and allow_public_callbacks is off")
            record(url, response := WebhookResponse(result="not_loopback"))
            return response
        # A SharedKey comes with a Webhook Setting, whose connection settings replace the fragment's.
        overrides = _Overrides() if self._settings.shared_key else _read_overrides(fragment)
        headers = {
            "Content-Type": "application/x-www-form-urlencoded; charset=utf-8",
            "User-Agent": "TwilioProxy/1.1",
            **self._signature(url, {name: value for name, value in form.items() if name not in unsigned}),
            "I-Twilio-Idempotency-Token": str(uuid.uuid4()),  # the same on every try
        }
        for _ in range(1 + overrides.retries):
            response = await self._try(method, url, form, headers, overrides)
            record(url, response)
            reason = response.result if isinstance(response.result, str) else f"{response.result // 100}xx"
            if response.is_ok or not overrides.repeat_on & {reason, "all"}:
                break
        return response

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

    async def _try(
        self, method: str, url: str, form: Mapping[str, str], headers: Mapping[str, str], overrides: _Overrides
    ) -> WebhookResponse:
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
            async with self._http.request(
                method, target, data=urlencode(form) or None, headers=headers, timeout=timeout, allow_redirects=False
            ) as response:
                body = await response.read()
                return WebhookResponse(result=response.status, content_type=response.content_type, body=body)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
            return WebhookResponse(result="ct")
        except (aiohttp.ClientError, TimeoutError):
            return WebhookResponse(result="rt")


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
