"""The back end of a sample site: what a login does with the service, in two steps.

`POST /demo/login` asks the service for a code, with the API key that only a back end holds, and
hands the browser the client token. The browser then lets the service judge what the person types.
`POST /demo/session` believes nothing the browser says: it reads the verification itself, and signs
in once, for a login that this very browser began. Both may be asked again when their answer was lost.
"""

import secrets
import time
from collections import OrderedDict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from service.sandbox import page_routes

_COOKIE = "demo_browser"
_MOST_LOGINS = 1000  # kept at once; the oldest goes first
_PURPOSE = "login"
_REPEAT_SECONDS = 60.0  # as long as the service repeats a verdict
_PASSED_ON = ("Retry-After", "Idempotent-Replayed")

Login = tuple[str, str]  # the browser, by its cookie, and the verification that it began


class _Wish(BaseModel):
    """Who wants to sign in; the service judges the number."""

    to: str
    ttl_seconds: int | None = None  # so that a visitor can see a late code without waiting for ten minutes


class _Claim(BaseModel):
    """Which verification is said to be approved; the service judges that."""

    id: str


class LoginSite:
    """Serves the sample site; the rest of the service is as far away from it as from any other caller."""

    def __init__(self, service_url: str, api_key: str) -> None:
        self._service_url = service_url
        self._api_key = api_key
        self._signed_in_at: OrderedDict[Login, float | None] = OrderedDict()  # None: not yet

    async def __aenter__(self) -> Self:
        """Open the connection to the service."""
        headers = {"Authorization": f"Bearer {self._api_key}"}
        self._service = aiohttp.ClientSession(self._service_url, headers=headers)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, _: object, __: TracebackType | None) -> None:
        """Close it."""
        await self._service.close()

    def routes(self) -> list[BaseRoute]:
        """List the page, its files and the two steps."""
        return [
            *page_routes("/", Path(__file__).parent / "pages" / "login.html", files="/demo/pages"),
            Route("/demo/login", self.begin, methods=["POST"]),
            Route("/demo/session", self.finish, methods=["POST"]),
        ]

    async def begin(self, request: Request) -> Response:
        """Ask for a code; pass the service's answer, or its problem, on to the browser."""
        try:
            wish = _Wish.model_validate_json(await request.body())
        except ValidationError:
            return JSONResponse({"detail": "Send the number as `to`."}, 422)
        # Behind a proxy the address would come from X-Forwarded-For; it is for the limits by address.
        asked = {**dict(wish), "purpose": _PURPOSE, "client_ip": request.client.host if request.client else None}
        once = {name: request.headers[name] for name in ("Idempotency-Key",) if name in request.headers}
        if once:
            asked["reference"] = once["Idempotency-Key"][:64]  # by which the page knows its own in Redis
        async with self._service.post("/v1/verifications", json=asked, headers=once) as answered:
            passed_on = {name: answered.headers[name] for name in _PASSED_ON if name in answered.headers}
            answer = Response(await answered.read(), answered.status, passed_on, answered.content_type)
            if answered.ok:
                self._remember(request, answer, (await answered.json())["id"])
        return answer

    async def finish(self, request: Request) -> Response:
        """Sign in, once, when the service itself says that this browser's verification is approved."""
        try:
            login = (request.cookies.get(_COOKIE, ""), _Claim.model_validate_json(await request.body()).id)
        except ValidationError:
            return JSONResponse({"detail": "Send the verification as `id`."}, 422)
        verification = await self._read(login[1]) if login in self._signed_in_at else {}
        is_approved = verification.get("status") == "approved" and verification.get("purpose") == _PURPOSE
        if not is_approved or not self._may_sign_in(login):
            return JSONResponse({"signed_in": False}, 403)
        return JSONResponse({"signed_in": True, "as": verification["to"]})

    def _may_sign_in(self, login: Login) -> bool:
        """Tell whether this is the first time, or its repetition."""
        now = time.monotonic()
        first = self._signed_in_at.get(login) or now
        self._signed_in_at[login] = first
        return now - first < _REPEAT_SECONDS

    async def _read(self, verification_id: str) -> dict[str, Any]:
        async with self._service.get(f"/v1/verifications/{verification_id}") as answered:
            return dict(await answered.json()) if answered.ok else {}

    def _remember(self, request: Request, answer: Response, verification_id: str) -> None:
        browser = request.cookies.get(_COOKIE) or secrets.token_urlsafe(32)
        self._signed_in_at.setdefault((browser, verification_id), None)
        if len(self._signed_in_at) > _MOST_LOGINS:
            self._signed_in_at.popitem(last=False)
        answer.set_cookie(_COOKIE, browser, httponly=True, samesite="strict")
