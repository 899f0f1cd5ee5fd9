"""The trail: a request id, safe headers, one log line per request, and a silent 500, around everything else.

The line has the route's template instead of the path, so that no id of a stranger's making and no
number reaches the log. A request id is taken from `X-Request-Id` only when it is 16 to 64 hex digits
or dashes, too long and too plain to be a phone number or a key.
"""

import random
import re
import time
import traceback
from collections.abc import Awaitable, Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.problems import ProblemAnswer
from service.api.route import problem_reply, send_reply
from service.core.ports import Journal

_REQUEST_ID = re.compile(rb"[0-9a-fA-F-]{16,64}")
# No answer may be cached or sniffed, whoever wrote it.
_SAFE_HEADERS = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))
_POLICY = b"content-security-policy"
# For answers that bring no policy of their own, as a page does: data that a browser shows may load and run nothing.
_DEFAULT_POLICY = ((_POLICY, b"default-src 'none'; frame-ancestors 'none'"),)
_QUIET = frozenset({"/livez", "/readyz", "/metrics"})


class Trail:
    """Wraps the application."""

    def __init__(self, app: ASGIApp, journal: Journal, *, clock: Callable[[], float] = time.perf_counter) -> None:
        self._app = app
        self._journal = journal
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on, and leave its line."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = self._clock()
        request_id = _request_id(scope)
        log = scope["otp.log"] = {}
        status = 0

        def send_with_id(message: Message) -> Awaitable[None]:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                policy = () if _POLICY in dict(message["headers"]) else _DEFAULT_POLICY
                headers = [*message["headers"], *_SAFE_HEADERS, *policy, (b"x-request-id", request_id)]
                message = {**message, "headers": headers}
            return send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except Exception as fault:  # noqa: BLE001 - the last door: nothing may leave it unanswered or unlogged
            self._journal("unexpected_error", request_id=request_id.decode(), **_where(fault))
            log["problem"] = "internal_error"
            if status == 0:
                await send_reply(problem_reply(ProblemAnswer("internal_error")), send_with_id)
        finally:
            if scope["path"] not in _QUIET:
                self._journal(
                    "request",
                    request_id=request_id.decode(),
                    method=scope["method"],
                    status=status,
                    duration_ms=round((self._clock() - started) * 1000, 2),
                    **{"route": "unmatched", **log},
                )


def _request_id(scope: Scope) -> bytes:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            return bytes(value)
    return b"%016x" % random.getrandbits(64)  # it tells requests apart and opens nothing


def _where(fault: Exception) -> dict[str, str]:
    """Name the kind and place of a fault; its message may hold what must not be logged."""
    frames = traceback.extract_tb(fault.__traceback__)
    return {
        "exception": type(fault).__name__,
        "where": " < ".join(f"{frame.name}:{frame.lineno}" for frame in reversed(frames[-4:])),
    }
