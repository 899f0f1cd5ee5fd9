"""The middleware around the whole application: request id, security headers, request log, and unexpected errors.

The server (`http_server`) brings a request in one of two ways, with the same result:

    direct    asks for the route first, and writes its response in one piece
    ASGI      everything else: what FastAPI responds to, and requests with an Origin if CORS is on

The server also asks for the responses to requests that it refuses itself.

The log line has the route's template instead of the path, which may contain ids or numbers. A request id is taken from
`X-Request-Id` only if it is 16 to 64 hex digits or dashes, too long to be a phone number and too plain to be a key.
"""

import random
import re
import time
from collections.abc import Awaitable, Callable
from functools import partial

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.core.event_log import EventLog, RequestLog
from service.http.direct_router import DirectRouter, Handler
from service.http.problems import HttpProblem
from service.http.request import REQUEST, Request, request_of, unknown_request
from service.http.response import problem_response, raw_response, secured, send_response
from service.http.route import ended_early
from service.http_server import (
    Connections,
    DeferredRequests,
    DirectApplication,
    DirectHandler,
    RawResponse,
    RequestView,
)

_REQUEST_ID = re.compile(rb"[0-9a-fA-F-]{16,64}")
_QUIET = frozenset({"/livez", "/readyz", "/metrics"})
_SERVER_ERRORS = {400: "malformed_request", 408: "request_timeout", 431: "headers_too_large"}


class RequestMiddleware(DirectApplication):
    """Wraps the application. `has_cors`: requests with an Origin pass CORSMiddleware, which works over ASGI only."""

    def __init__(
        self,
        app: ASGIApp,
        router: DirectRouter,
        event_log: EventLog,
        request_log: RequestLog,
        *,
        connections: Connections,
        has_cors: bool = False,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._app = app
        self.connections = connections  # for the server
        self._client_tokens, self._strangers = DeferredRequests(), DeferredRequests()
        self._event_log, self._request_log = event_log, request_log
        self._router = router
        self._has_cors = has_cors
        self._clock = clock

    def direct(self, view: RequestView) -> tuple[DirectHandler | None, DeferredRequests | None]:
        """Find the handler of a request (None if it must come over ASGI), and where it waits (None: nowhere)."""
        request = Request(view)
        handler = self._router.find(request)
        if handler is None or (self._has_cors and b"origin" in request.headers):
            return None, self._deferred(request)
        return partial(self.respond, request, handler), self._deferred(request)

    def _deferred(self, request: Request) -> DeferredRequests | None:
        """Let only API keys begin at once. Every visitor gets a client token, so these wait apart from strangers."""
        if not request.is_known:
            return self._strangers
        return None if request.key_digest else self._client_tokens

    async def respond(self, request: Request, handler: Handler) -> RawResponse:
        """Respond without ASGI."""
        started, status = self._clock(), 0
        request.id = _request_id(request)
        try:
            response = await handler(request)
            status = response.status
        finally:
            self._log(request, status, started)
        return raw_response(response, request.id)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond over ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = scope[REQUEST] = request_of(scope, receive)
        started, status = self._clock(), 0
        request.id = _request_id(request)

        def send_secured(message: Message) -> Awaitable[None]:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*secured(message["headers"]), (b"x-request-id", request.id)]}
            return send(message)

        problem: HttpProblem | None = None
        try:
            await self._app(scope, receive, send_secured)
        except ClientDisconnect:  # the client has left, or the rest of its body will not come
            problem = ended_early()
        except Exception as failure:  # noqa: BLE001 - whatever it is, the request gets a response and a line
            request.fails(failure)
            problem = HttpProblem("internal_error")
        try:
            if problem is not None and status == 0:
                await send_response(problem_response(problem), send_secured, request.id)
        finally:
            del scope[REQUEST]  # else scope, request and `receive` hold each other, and are freed late
            self._log(request, status, started)

    def error_response(self, status: int) -> RawResponse:
        """Respond to a request that the server refuses, before anything is known of it."""
        request = unknown_request()
        request.id = _new_request_id()
        request.log["problem"] = code = _SERVER_ERRORS[status]
        self._log(request, status, self._clock())
        return raw_response(problem_response(HttpProblem(code)), request.id)

    def _log(self, request: Request, status: int, started: float) -> None:
        if request.failure is not None:
            self._event_log("unexpected_error", request_id=request.id.decode(), **request.failure)
        if request.path in _QUIET:
            return
        duration_ms = int((self._clock() - started) * 100_000) / 100  # `round` takes ten times as long
        self._request_log(request.id.decode(), request.method, status, duration_ms, request.log)


def _request_id(request: Request) -> bytes:
    given = request.headers.get(b"x-request-id")
    return given if given is not None and _REQUEST_ID.fullmatch(given) else _new_request_id()


def _new_request_id() -> bytes:
    return b"%016x" % random.getrandbits(64)  # an id tells requests apart, so it need not be hard to guess
