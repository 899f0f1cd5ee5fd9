"""The request log: a request id, safe headers, one log line per request, and a silent 500, around everything else.

The line has the route's template instead of the path, so that no id of a stranger's making and no
number reaches the log. A request id is taken from `X-Request-Id` only when it is 16 to 64 hex digits
or dashes, too long and too plain to be a phone number or a key.

A call at a direct route comes here straight from the server (`http_server.application`); everything else,
and what CORS must see, comes over ASGI. Id, headers and line are the same, also for what the server itself refuses.
"""

import random
import re
import time
from collections.abc import Awaitable, Callable, Iterable
from functools import lru_cache, partial
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.core.event_log import EventLog
from service.http.direct_router import DirectRouter, Handler
from service.http.problems import HttpProblem
from service.http.request import Request
from service.http.response import (
    Header,
    Response,
    content_type,
    has_length,
    header_bytes,
    own_headers,
    problem_response,
    send_response,
)
from service.http.route import ended_early
from service.http_server import Connections, DirectApplication, RawResponse, RequestView
from service.logs.tracebacks import kind_and_place

_REQUEST_ID = re.compile(rb"[0-9a-fA-F-]{16,64}")
# No answer may be cached or sniffed, whoever wrote it.
_SAFE_HEADERS = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))
_POLICY = b"content-security-policy"
# For answers that bring no policy of their own, as a page does: data that a browser shows may load and run nothing.
_DEFAULT_POLICY = ((_POLICY, b"default-src 'none'; frame-ancestors 'none'"),)
_SAFE_NAMES = frozenset(name for name, _ in _SAFE_HEADERS)
_DECIDED = _SAFE_NAMES | {_POLICY}  # names of which an answer has exactly one
_QUIET = frozenset({"/livez", "/readyz", "/metrics"})
_REFUSALS = {400: "malformed_request", 408: "request_timeout", 431: "headers_too_large"}


class RequestMiddleware(DirectApplication):
    """Wraps the application, whose direct routes are in the direct router.

    `looks_at_origins`: CORS stands between. It has nothing to say to calls without an Origin.
    """

    def __init__(
        self,
        app: ASGIApp,
        router: DirectRouter,
        event_log: EventLog,
        *,
        connections: Connections,
        looks_at_origins: bool = False,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._app = app
        self.connections = connections  # for the protocol
        self._event_log = event_log
        self._router = router
        self._looks_at_origins = looks_at_origins
        self._clock = clock

    def direct(self, exchange: RequestView) -> Callable[[], Awaitable[RawResponse]] | None:
        """Give what answers a request without ASGI; None when it must come over ASGI."""
        head = exchange.head
        request = Request(
            head.method,
            head.path,
            raw_path=head.raw_path,
            query=head.query,
            header_lines=head.header_lines,
            headers=head.headers,
            client=exchange.client,
            receive=exchange.receive,
            whole_body=exchange.whole_body,
        )
        endpoint = self.endpoint(request)
        return None if endpoint is None else partial(self.answer, request, endpoint)

    def error_response(self, status: int) -> RawResponse:
        """Word a refusal of the server, and leave its line: nothing is known of the request."""
        request_id, code = _request_id(None), _REFUSALS[status]
        self._leave_line("unknown", request_id, status, self._clock(), {"problem": code})
        return _written(problem_response(HttpProblem(code)), request_id)

    def endpoint(self, request: Request) -> Handler | None:
        """Find the endpoint at which `answer` may answer a call; None when it must come over ASGI."""
        if self._looks_at_origins and b"origin" in request.headers:
            return None
        return self._router.endpoint(request)

    async def answer(self, request: Request, endpoint: Handler) -> RawResponse:
        """Answer a call, and leave its line."""
        started, request_id, status = self._clock(), _request_id(request.headers.get(b"x-request-id")), 0
        try:
            response = await endpoint(request)
            status = response.status
        except Exception as fault:  # noqa: BLE001 - the last endpoint: nothing may leave it unanswered or unlogged
            response = self._fault_reply(fault, request_id, request.log)
            status = response.status
        finally:
            if request.path not in _QUIET:
                self._leave_line(request.method, request_id, status, started, request.log)
        return _written(response, request_id)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on over ASGI, and leave its line."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, request_id, status = self._clock(), _request_id(dict(scope["headers"]).get(b"x-request-id")), 0
        log = scope["otp.log"] = {}

        def send_with_id(message: Message) -> Awaitable[None]:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*_safe(message["headers"]), (b"x-request-id", request_id)]}
            return send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except ClientDisconnect:  # no fault of ours: the client left, or its body broke off
            if status == 0:
                await send_response(problem_response(ended_early()), send_with_id)
        except Exception as fault:  # noqa: BLE001 - as above
            response = self._fault_reply(fault, request_id, log)
            if status == 0:
                await send_response(response, send_with_id)
        finally:
            if scope["path"] not in _QUIET:
                self._leave_line(scope["method"], request_id, status, started, log)

    def _fault_reply(self, fault: Exception, request_id: bytes, log: dict[str, Any]) -> Response:
        self._event_log("unexpected_error", request_id=request_id.decode(), **kind_and_place(fault))
        log["problem"] = "internal_error"
        return problem_response(HttpProblem("internal_error"))

    def _leave_line(self, method: str, request_id: bytes, status: int, started: float, log: dict[str, Any]) -> None:
        log.setdefault("route", "unmatched")
        self._event_log(
            "request",
            request_id=request_id.decode(),
            method=method,
            status=status,
            duration_ms=round((self._clock() - started) * 1000, 2),
            **log,
        )


def _written(response: Response, request_id: bytes) -> RawResponse:
    media_type = response.media_type if response.body else None
    if not response.headers:
        lines = _repeated_lines(media_type)
    elif _DECIDED.isdisjoint(name.lower().encode() for name in response.headers):
        lines = header_bytes(own_headers(response)) + _repeated_lines(media_type)
    else:
        lines = header_bytes(_safe([*own_headers(response), *content_type(media_type)]))
    length = b"content-length: %d\r\n" % len(response.body) if has_length(response.status) else b""
    return RawResponse(
        response.status,
        b"%b%bx-request-id: %b\r\n" % (length, lines, request_id),
        response.body,
        "connection" in response.headers,  # it says `close`: the only thing that an endpoint may say of its connection
    )


def _safe(headers: Iterable[Header]) -> list[Header]:
    """Add to headers what no answer may be without; what they say of caching and sniffing themselves does not count."""
    own = [header for header in headers if header[0].lower() not in _SAFE_NAMES]
    policy = () if any(name.lower() == _POLICY for name, _ in own) else _DEFAULT_POLICY
    return [*own, *_SAFE_HEADERS, *policy]


@lru_cache(maxsize=16)
def _repeated_lines(media_type: str | None) -> bytes:
    return header_bytes(_safe(content_type(media_type)))


def _request_id(given: bytes | None) -> bytes:
    if given is not None and _REQUEST_ID.fullmatch(given):
        return given
    return b"%016x" % random.getrandbits(64)  # it tells requests apart and opens nothing
