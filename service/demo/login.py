"""The back end of a sample site: what a login does with the service, in two steps.

`POST /demo/login` asks the service for a code, with the API key that only a back end holds, and
hands the browser the client token. The browser then lets the service judge what the person types.
`POST /demo/session` believes nothing the browser says: it reads the verification itself, and signs
in once, for the login that this browser began.
"""

import secrets
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

_COOKIE = "demo_login"
_MOST_LOGINS = 1000  # kept at once; the oldest goes first
_PURPOSE = "login"


class _Wish(BaseModel):
    """Who wants to sign in; the service judges the number."""

    to: str
    ttl_seconds: int | None = None  # so that a visitor can see a late code without waiting for ten minutes


class LoginSite:
    """Serves the sample site; the rest of the service is as far away from it as from any other caller."""

    def __init__(self, service_url: str, api_key: str) -> None:
        self._service_url = service_url
        self._api_key = api_key
        self._logins: OrderedDict[str, str] = OrderedDict()  # what the cookie says -> verification id

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
        async with self._service.post("/v1/verifications", json=asked) as answered:
            answer = Response(await answered.read(), answered.status, media_type=answered.content_type)
            if answered.ok:
                self._remember(answer, (await answered.json())["id"])
        return answer

    async def finish(self, request: Request) -> Response:
        """Sign in, once, when the service itself says that this browser's verification is approved."""
        login = request.cookies.get(_COOKIE, "")
        verification = await self._read(self._logins.get(login))
        is_approved = verification.get("status") == "approved" and verification.get("purpose") == _PURPOSE
        if not is_approved or self._logins.pop(login, None) is None:
            return JSONResponse({"signed_in": False}, 403)
        return JSONResponse({"signed_in": True, "as": verification["to"]})

    async def _read(self, verification_id: str | None) -> dict[str, Any]:
        if verification_id is None:
            return {}
        async with self._service.get(f"/v1/verifications/{verification_id}") as answered:
            return dict(await answered.json()) if answered.ok else {}

    def _remember(self, answer: Response, verification_id: str) -> None:
        login = secrets.token_urlsafe(32)
        self._logins[login] = verification_id
        if len(self._logins) > _MOST_LOGINS:
            self._logins.popitem(last=False)
        answer.set_cookie(_COOKIE, login, httponly=True, samesite="strict")
