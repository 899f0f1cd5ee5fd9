"""The express lane: our own routes, reached before FastAPI's middleware and router.

Those would cost a check more than judging it does. A `LeanRoute` answers by itself and needs nothing
of what stands between; FastAPI keeps the same routes for the OpenAPI page, and answers the rest:
the docs, addresses that nobody has, methods that an address does not take.
"""

from collections.abc import Sequence

from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from service.api.route import LeanRoute


class Express:
    """Passes a request to the lean route that fits it, else to the application behind."""

    def __init__(self, app: ASGIApp, routes: Sequence[BaseRoute]) -> None:
        """`routes` is looked at for each request: the doors are hung in it when the service starts."""
        self._app = app
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass on."""
        if scope["type"] == "http":
            path, method = scope["path"], scope["method"]
            for route in self._routes:
                if isinstance(route, LeanRoute) and method in (route.methods or ()):
                    match = route.path_regex.match(path)
                    if match is not None:
                        scope["path_params"] = match.groupdict()
                        await route.answer(scope, receive, send)
                        return
        await self._app(scope, receive, send)
