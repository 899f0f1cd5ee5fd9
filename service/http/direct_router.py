"""The direct router: finds a `DirectRoute` without FastAPI's middleware and routing.

FastAPI's middleware and routing cost more than the check itself. So `http.middleware` asks this router first. FastAPI
has the same routes, for the OpenAPI document and to tell a wrong method from a wrong path, and responds to everything
else: files, the routes of the demo, and unknown paths.

All routes share the slots of one `LoadShedding`.
"""

import re
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TypeAlias

from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from service.http.authentication import Access
from service.http.load_shedding import LoadShedding
from service.http.request import REQUEST, Request
from service.http.response import Response, send_response
from service.http.route import DirectRoute, answered_methods

Handler: TypeAlias = Callable[[Request], Awaitable[Response]]


class DirectRouter:
    """Finds the route of a request. Over ASGI it passes on a request that has none."""

    def __init__(self, app: ASGIApp, *, max_in_flight: int) -> None:
        self._app = app
        self._load_shedding = LoadShedding(max_in_flight)
        self._fixed: dict[tuple[str, str], tuple[Handler, Access | None]] = {}  # by method and path
        self._patterns: dict[str, list[tuple[re.Pattern[str], Handler, Access | None]]] = {}  # by method

    def add_routes(self, routes: Sequence[BaseRoute]) -> None:
        """Add the direct routes among these. A path without parameters wins; of the others, the first that matches."""
        for route in routes:
            if isinstance(route, DirectRoute):
                for method in answered_methods(route):
                    handler = partial(route.respond, self._load_shedding)
                    if route.param_convertors:
                        self._patterns.setdefault(method, []).append((route.path_regex, handler, route.access))
                    else:
                        self._fixed.setdefault((method, route.path), (handler, route.access))

    def find(self, request: Request) -> Handler | None:
        """Find the handler of a request, and read the parameters in its path and its credential."""
        found = self._fixed.get((request.method, request.path)) or self._match(request)
        if found is None:
            return None
        handler, access = found
        if access is not None:
            access.identify(request)
        return handler

    def _match(self, request: Request) -> tuple[Handler, Access | None] | None:
        for path, handler, access in self._patterns.get(request.method, ()):
            match = path.fullmatch(request.path)  # not `match`: there `$` also matches before a final line break
            if match is not None:
                request.path_params = match.groupdict()
                return handler, access
        return None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond over ASGI, or pass the request on. `http.middleware` has put the request into the scope."""
        if scope["type"] == "http":
            request: Request = scope[REQUEST]
            handler = self.find(request)
            if handler is not None:
                await send_response(await handler(request), send, request.id)
                return
        await self._app(scope, receive, send)
