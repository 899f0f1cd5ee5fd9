"""The back end of a sample site: how a login uses the service, in two steps.

`POST /demo/login` requests a code, password, link, reply or call with the API key, which only the back end has; a code
by one channel, or by a list of them, of which the next one follows when a message fails or is not heard of. It keeps
the id for the browser that began (a cookie), and returns the client token to it. With that, the page lets the service
check what the person types; of the others it shows the `match`, and reads until the person has answered elsewhere.

`POST /demo/call` sends the next code by a call, for who got no message.

`POST /demo/session` alone decides. It trusts neither the page nor whoever answered: it takes the id only from the
browser that began, reads the verification with the API key, compares number and purpose, and signs in once.

Both requests may be repeated if their response was lost. `service_client` answers if the service does not.

Your own login needs all of this, including the cookies and `own_pages`.
"""

import secrets
import time
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from service.demo.own_pages import own_pages_only
from service.demo.service_client import Answer, ServiceClient
from service.sandbox import page_routes

_PAGES = Path(__file__).parent / "pages"
_LOGIN_COOKIE = "demo_login_"  # followed by the verification id, so that two tabs can sign in independently
_SESSION_COOKIE = "demo_session"
_LOGIN_SECONDS = 900  # longer than the lifetime of a code
_MOST_LOGINS = 1000  # and as many sessions; the oldest is removed first
_PURPOSE = "login"
# Where the person is, in words, and which of OTP_LINK_RETURN_URLS leads back there.
_ON_THE_LINKS_PAGE = {"origin_text": "the login page of the demo", "link_return": 0}
_REPEAT_SECONDS = 60.0  # the service repeats a verdict for this long
_PASSED_ON = ("Retry-After", "Idempotent-Replayed")
_NOT_READ = frozenset({429, 502, 503, 504})  # nobody knows whether the verification is approved: try again


@dataclass(slots=True)
class _Login:
    """A login that a browser began: the number, the secret in its cookie, and when it was first used to sign in."""

    to: str
    secret: str = ""
    first_at: float | None = None  # not yet
    session: str | None = None


_Channel = Literal["sms", "whatsapp", "voice"]


class _Step(BaseModel):
    """One channel of a list, and how long to wait before the next."""

    channel: _Channel
    wait_seconds: int | None = None


class _LoginRequest(BaseModel):
    """Who wants to sign in, and how; the service validates the number."""

    to: str
    action: Literal["code", "password", "link", "reply", "call"] = "code"
    channel: _Channel | None = None
    channels: list[_Step] | None = None  # instead of one
    locale: str | None = None  # the language of the message
    ttl_seconds: int | None = None  # so that a visitor can try a late code without waiting ten minutes


class _Claim(BaseModel):
    """The verification that the browser says is approved."""

    id: str


async def _browser_package(_: object) -> Response:
    """Serve `clients/web/otp.js`. An installed package has it among the pages (see `pyproject.toml`)."""
    packaged, cloned = _PAGES / "otp.js", _PAGES.parents[2] / "clients" / "web" / "otp.js"
    return FileResponse(packaged if packaged.exists() else cloned)


class LoginSite:
    """Serves the sample site, which calls the service only over HTTP, like any other caller."""

    def __init__(self, service_url: str, api_key: str) -> None:
        self._service = ServiceClient(service_url, api_key)
        self._logins: OrderedDict[str, _Login] = OrderedDict()  # by verification id
        self._sessions: OrderedDict[str, str] = OrderedDict()  # the number that is signed in, by session

    async def __aenter__(self) -> Self:
        """Open the connection to the service."""
        await self._service.__aenter__()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, _: object, __: TracebackType | None) -> None:
        """Close the connection."""
        await self._service.__aexit__(kind, _, __)

    def routes(self) -> list[BaseRoute]:
        """Return the routes of the page, its files, the two steps, and the session."""
        return [
            Route("/demo/pages/otp.js", _browser_package, methods=["GET"]),
            *page_routes("/", _PAGES / "login.html", files="/demo/pages"),
            Route("/demo/login", own_pages_only(self.begin), methods=["POST"]),
            Route("/demo/call", own_pages_only(self.call_instead), methods=["POST"]),
            Route("/demo/session", own_pages_only(self.finish), methods=["POST"]),
            Route("/demo/session", self.who, methods=["GET"]),
        ]

    async def begin(self, request: Request) -> Response:
        """Request what the person chose, and pass the service's response on to the browser."""
        try:
            body = _LoginRequest.model_validate_json(await request.body())
        except ValidationError:
            return JSONResponse({"detail": "Send the number as `to`, and perhaps how the secret is to travel."}, 422)
        # For the limits per address. Behind a proxy, take the address from X-Forwarded-For instead.
        address = request.client.host if request.client else None
        asked = {**body.model_dump(exclude_none=True), "purpose": _PURPOSE, "client_ip": address}
        if body.action == "link":
            asked |= _ON_THE_LINKS_PAGE
        key = request.headers.get("Idempotency-Key", "")
        if key:
            asked["reference"] = key[:64]  # so that the page finds its record in Redis
        answered = await self._service.call("POST", "/v1/verifications", asked, key=key)
        answer = _passed_on(answered)
        if answered.ok:
            self._remember(request, answer, answered.content["id"], answered.content["to"])
        return answer

    async def call_instead(self, request: Request) -> Response:
        """Call the person with the next code. A client token cannot choose the channel: calls cost the most."""
        try:
            verification_id = _Claim.model_validate_json(await request.body()).id
        except ValidationError:
            return JSONResponse({"detail": "Send the verification as `id`."}, 422)
        if self._begun(request, verification_id) is None:
            return JSONResponse({"detail": "This login is over. Start again."}, 403)
        key = request.headers.get("Idempotency-Key", "")
        path = f"/v1/verifications/{verification_id}/resend"
        return _passed_on(await self._service.call("POST", path, {"channel": "voice"}, key=key))

    async def finish(self, request: Request) -> Response:
        """Sign in, once, if the service says that this browser's verification is approved."""
        try:
            verification_id = _Claim.model_validate_json(await request.body()).id
        except ValidationError:
            return JSONResponse({"detail": "Send the verification as `id`."}, 422)
        login = self._begun(request, verification_id)
        if login is None:
            return JSONResponse({"signed_in": False}, 403)
        answered = await self._service.call("GET", f"/v1/verifications/{verification_id}")
        if answered.status in _NOT_READ:
            return _passed_on(answered)
        found = answered.content
        is_proven = (found.get("status"), found.get("to"), found.get("purpose")) == ("approved", login.to, _PURPOSE)
        if not is_proven or not _may_sign_in(login):
            return JSONResponse({"signed_in": False}, 403)
        answer = JSONResponse({"signed_in": True, "as": login.to})
        self._start_session(request, answer, login)
        return answer

    async def who(self, request: Request) -> Response:
        """Return who is signed in, as every page behind the login would check."""
        person = self._sessions.get(request.cookies.get(_cookie(request, _SESSION_COOKIE), ""))
        return JSONResponse({"signed_in": person is not None, "as": person}, 200 if person else 401)

    def _begun(self, request: Request, verification_id: str) -> _Login | None:
        """Find the login that this browser began."""
        login = self._logins.get(verification_id)
        shown = request.cookies.get(_cookie(request, _LOGIN_COOKIE + verification_id), "")
        return login if login and secrets.compare_digest(login.secret.encode(), shown.encode()) else None

    def _start_session(self, request: Request, answer: Response, login: _Login) -> None:
        """Start a new session, and end the one that the browser had.

        An attacker may have set the old session cookie (session fixation), so it must never become signed in.
        """
        for old in (request.cookies.get(_cookie(request, _SESSION_COOKIE), ""), login.session):
            self._sessions.pop(old or "", None)
        login.session = secrets.token_urlsafe(32)
        _keep_newest(self._sessions, login.session, login.to)
        # lax: links from other sites still work. Requests that change something check Origin.
        _set_cookie(request, answer, _SESSION_COOKIE, login.session, samesite="lax")

    def _remember(self, request: Request, answer: Response, verification_id: str, to: str) -> None:
        # Always generate a new secret: an attacker may have set the cookie that the browser sends. If the request is
        # repeated, the cookie of the newest response counts.
        login = self._logins.setdefault(verification_id, _Login(to))
        login.secret = secrets.token_urlsafe(32)
        _keep_newest(self._logins, verification_id, login)
        name = _LOGIN_COOKIE + verification_id
        _set_cookie(request, answer, name, login.secret, samesite="strict", seconds=_LOGIN_SECONDS)


def _passed_on(answered: Answer) -> Response:
    """Pass an answer of the service on to the browser."""
    headers = {name: answered.headers[name] for name in _PASSED_ON if name in answered.headers}
    return JSONResponse(answered.content, answered.status, headers)


def _may_sign_in(login: _Login) -> bool:
    """Return whether this is the first sign-in, or a repeat of it, which replaces its session."""
    now = time.monotonic()
    login.first_at = login.first_at or now
    return now - login.first_at < _REPEAT_SECONDS


def _keep_newest(kept: OrderedDict[str, Any], name: str, value: object) -> None:
    kept[name] = value
    if len(kept) > _MOST_LOGINS:
        kept.popitem(last=False)


def _cookie(request: Request, name: str) -> str:
    """Return the name of a cookie: with https, the prefix `__Host-` keeps other hosts of the domain from setting it.

    Browsers refuse that prefix without https, and the demo uses plain http on the visitor's own machine.
    """
    return f"__Host-{name}" if request.url.scheme == "https" else name


def _set_cookie(
    request: Request,
    answer: Response,
    name: str,
    value: str,
    *,
    samesite: Literal["strict", "lax"],
    seconds: int | None = None,
) -> None:
    """Set a cookie that scripts cannot read; without `seconds` it is a session cookie."""
    is_https = request.url.scheme == "https"
    answer.set_cookie(_cookie(request, name), value, max_age=seconds, secure=is_https, httponly=True, samesite=samesite)
