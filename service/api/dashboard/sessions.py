"""Signing in to the dashboard, signing out, and who may call its routes.

An operator signs in with an API key that has the scope `reports`. Each request looks up its session in Redis and its
key in the authenticator's copy, which is at most 30 s old: so a revoked key ends its sessions within 30 s, and a
session can never do more than its key. What changes something needs a request by the page itself, and the CSRF token
of the session in the header X-CSRF-Token.
"""

from functools import partial
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from starlette.routing import BaseRoute

from service.api.dashboard.browsers import Browser
from service.core.api_keys import Scope, key_digest
from service.core.limiter import Limiter
from service.core.sessions import LIFE_SECONDS, Session, Sessions
from service.http.authentication import (
    Access,
    Authenticator,
    KnownKey,
    insufficient_scope,
    note_caller,
    unauthenticated,
)
from service.http.problems import HttpProblem
from service.http.request import Request
from service.http.response import Response
from service.http.route import DirectRoute
from service.http.wire import render_json

SESSION_PATH = "/dashboard/session"
_SAFE_METHODS = frozenset({"GET", "HEAD"})
_PLAIN_HTTP = (
    "This address is not encrypted, so no API key may be sent to it. Open the dashboard over https, or through an SSH "
    "tunnel: ssh -L 8000:127.0.0.1:8000 HOST, then http://localhost:8000/dashboard."
)
_FOREIGN_PAGE = "This request was not made by the dashboard. Open the dashboard and try again."
_NO_CSRF_TOKEN = "This request lacks the token of the session. Reload the dashboard."  # noqa: S105 - a sentence
_WRONG_KEY = "This API key is unknown or has been revoked."
_ENDED = "You are not signed in, or the session has ended. Sign in again."


class SignIn(BaseModel):
    """What the form sends."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    api_key: str = Field(min_length=1, max_length=200, repr=False)


class DashboardSessions:
    """The sessions of the dashboard over HTTP."""

    def __init__(
        self, sessions: Sessions, authenticator: Authenticator, limiter: Limiter, *, trusted_proxies: int
    ) -> None:
        self._sessions = sessions
        self._authenticator = authenticator
        self._limiter = limiter
        self._trusted_proxies = trusted_proxies

    def access(self, scope: Scope) -> Access:
        """Return the access of a route that requires a session whose key has this scope."""
        return Access(_identify_nothing, partial(self._authorize, scope), (), scope)

    def routes(self) -> list[BaseRoute]:
        """List the routes."""
        route = partial(DirectRoute, SESSION_PATH, include_in_schema=False)
        reports = self.access(Scope.REPORTS)
        return [
            route(self.show, access=None),
            route(self.sign_in, access=None, methods=["POST"]),
            route(self.sign_out, access=reports, methods=["DELETE"]),
        ]

    async def sign_in(self, request: Request, body: SignIn) -> Response:
        """Begin a session. The one that the browser had, if any, ends."""
        browser = self._browser(request)
        if not browser.may_sign_in:
            raise HttpProblem("dashboard_refused", _PLAIN_HTTP)
        if not browser.is_own_page:
            raise HttpProblem("dashboard_refused", _FOREIGN_PAGE)
        await self._limiter.admit_sign_in(request.peer(trusted_proxies=self._trusted_proxies))
        digest = key_digest(body.api_key.strip())
        known = await self._authenticator.known_key(digest)
        if known is None:
            raise HttpProblem("unauthenticated", _WRONG_KEY, headers=unauthenticated().headers)
        note_caller(request, known.caller)
        if Scope.REPORTS not in known.scopes:
            raise insufficient_scope(Scope.REPORTS)
        await self._sessions.end(browser.token)
        token = await self._sessions.begin(digest)
        return render_json(self._shown(known, token, LIFE_SECONDS), 200)._replace(headers=browser.keep(token))

    async def show(self, request: Request) -> Response:
        """Show who is signed in, with the CSRF token of the session; otherwise whether one may sign in here."""
        browser = self._browser(request)
        found = await self._found(browser.token)
        if found is None:
            refusal = None if browser.may_sign_in else _PLAIN_HTTP
            return render_json({"signed_in": False, "refusal": refusal}, 200)
        session, known = found
        note_caller(request, known.caller)
        return render_json(self._shown(known, browser.token, session.seconds_left), 200)

    async def sign_out(self, request: Request) -> Response:
        """End the session."""
        browser = self._browser(request)
        await self._sessions.end(browser.token)
        return Response(204, headers=browser.forget())

    async def _authorize(self, scope: Scope, request: Request) -> None:
        browser = self._browser(request)
        if request.method not in _SAFE_METHODS:
            if not browser.is_own_page:
                raise HttpProblem("dashboard_refused", _FOREIGN_PAGE)
            given = request.header(b"x-csrf-token") or ""
            if not self._sessions.is_csrf_token(browser.token, given):
                raise HttpProblem("dashboard_refused", _NO_CSRF_TOKEN)
        found = await self._found(browser.token)
        if found is None:
            raise HttpProblem("unauthenticated", _ENDED, headers=unauthenticated().headers)
        known = found[1]
        note_caller(request, known.caller)
        if not {Scope.REPORTS, scope} <= known.scopes:
            raise insufficient_scope(scope)

    async def _found(self, token: str) -> tuple[Session, KnownKey] | None:
        session = await self._sessions.find(token)
        known = None if session is None else await self._authenticator.known_key(session.key_digest)
        if session is not None and known is not None:
            return session, known
        if session is not None:  # its key was revoked
            await self._sessions.end(token)
        return None

    def _shown(self, known: KnownKey, token: str, seconds_left: int) -> dict[str, Any]:
        return {
            "signed_in": True,
            "name": known.caller.name,
            "may_operate": Scope.OPERATE in known.scopes,
            "csrf_token": self._sessions.csrf_token(token),
            "expires_in": seconds_left,
        }

    def _browser(self, request: Request) -> Browser:
        return Browser(request, trusted_proxies=self._trusted_proxies)


def _identify_nothing(_: Request) -> None:
    """Leave a request among those of strangers: only Redis knows its session."""
