"""The express lane: our own routes, reached before FastAPI's middleware and router, as many at once as there is room.

Those would cost a check more than judging it does. A `LeanRoute` answers by itself and needs nothing
of what stands between; FastAPI keeps the same routes for the OpenAPI page, and answers the rest:
the docs, addresses that nobody has, methods that an address does not take.

Overload is met here, before a credential is looked at: with `most_in_flight` requests under way more
would only make all of them late, so the next is refused at once, 503 `overloaded`. A door that holds
its place for as long as Twilio takes is closed earlier (`LeanRoute.room`), so that checks find room
when issues would fill it. Counted in each process: a place is a share of its one event loop.
"""

from collections.abc import Sequence

from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from service.api.problems import ProblemAnswer
from service.api.route import LeanRoute, problem_reply, send_reply

_RETRY_SECONDS = 1


class Express:
    """Passes a request to the lean route that fits it, else to the application behind."""

    def __init__(self, app: ASGIApp, routes: Sequence[BaseRoute], *, most_in_flight: int) -> None:
        """`routes` is looked at for each request: the doors are hung in it when the service starts."""
        self._app = app
        self._routes = routes
        self._most_in_flight = most_in_flight
        self._in_flight = 0
        self._overloaded = problem_reply(overloaded())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass on."""
        if scope["type"] == "http":
            path, method = scope["path"], scope["method"]
            for route in self._routes:
                if isinstance(route, LeanRoute) and method in (route.methods or ()):
                    match = route.path_regex.match(path)
                    if match is not None:
                        scope["path_params"] = match.groupdict()
                        await self._answer(route, scope, receive, send)
                        return
        await self._app(scope, receive, send)

    async def _answer(self, route: LeanRoute, scope: Scope, receive: Receive, send: Send) -> None:
        if route.room is not None and self._in_flight >= route.room * self._most_in_flight:
            scope["otp.log"] |= {"route": route.path, "problem": "overloaded"}
            await send_reply(self._overloaded, send)
            return
        self._in_flight += 1
        try:
            await route.answer(scope, receive, send)
        finally:
            self._in_flight -= 1


def overloaded() -> ProblemAnswer:
    """Make the refusal of a request for which there is no place."""
    return ProblemAnswer("overloaded", retry_after_seconds=_RETRY_SECONDS)
