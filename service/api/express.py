"""The express lane: our own routes, reached before FastAPI's middleware and router, as many at once as there is room.

Those would cost a check more than judging it does. A `LeanRoute` answers by itself and needs nothing
of what stands between; FastAPI keeps the same routes for the OpenAPI page, and answers the rest:
the docs, addresses that nobody has, methods that an address does not take.

Overload is met here first, before a credential is looked at: when all places are taken (`places`) one
more request would only make all of them late, so it is refused at once, 503 `overloaded`. A door that
holds its place for as long as Twilio takes is closed earlier (`LeanRoute.room`), so that checks find
room when issues would fill it.
"""

from collections.abc import Sequence

from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from service.api.places import Places, overloaded
from service.api.route import LeanRoute, problem_reply, send_reply


class Express:
    """Passes a request to the lean route that fits it, else to the application behind."""

    def __init__(self, app: ASGIApp, routes: Sequence[BaseRoute], *, most_in_flight: int) -> None:
        """`routes` is looked at for each request: the doors are hung in it when the service starts."""
        self._app = app
        self._routes = routes
        self._places = Places(most_in_flight)
        self._overloaded = problem_reply(overloaded())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass on."""
        if scope["type"] == "http":
            path, method = scope["path"], scope["method"]
            for route in self._routes:
                if isinstance(route, LeanRoute) and method in (route.methods or ()):
                    match = route.path_regex.match(path)
                    if match is not None:
                        if not self._places.has_room(route.room):
                            scope["otp.log"] |= {"route": route.path, "problem": "overloaded"}
                            return await send_reply(self._overloaded, send)
                        scope["path_params"] = match.groupdict()
                        scope["otp.places"] = self._places
                        return await route.answer(scope, receive, send)
        return await self._app(scope, receive, send)
