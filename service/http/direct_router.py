"""Our own routes, reached before FastAPI's middleware and router, as many at once as there is room.

Those would cost a check more than checking it does. A `DirectRoute` answers by itself and needs nothing
of what stands between; FastAPI keeps the same routes for the OpenAPI page, and answers the rest:
the docs, addresses that nobody has, methods that an address does not take.

Overload is met at the endpoint first, before a credential is looked at: when all places are taken (`places`) one
more request would only make all of them late, so it is refused at once, 503 `overloaded`. An endpoint that
holds its place for as long as Twilio takes is closed earlier (`DirectRoute.room`), so that checks find
room when issues would fill it.
"""

import re
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TypeAlias

from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from service.http.load_shedding import LoadShedding
from service.http.problems import HttpProblem
from service.http.request import Request, request_of
from service.http.response import Response, problem_response, send_response
from service.http.route import DirectRoute, answered_methods

Handler: TypeAlias = Callable[[Request], Awaitable[Response]]


class DirectRouter:
    """Finds the direct route for a call, and passes what fits none to the application behind."""

    def __init__(self, app: ASGIApp, *, max_in_flight: int) -> None:
        self._app = app
        self._places = LoadShedding(max_in_flight)
        self._endpoints: dict[str, list[tuple[re.Pattern[str], Handler]]] = {}

    def add_routes(self, routes: Sequence[BaseRoute]) -> None:
        """Hang the endpoints, in the order in which they are tried; until then there are none."""
        for route in routes:
            if isinstance(route, DirectRoute):
                for method in answered_methods(route):
                    endpoint = partial(route.answer, load_shedding=self._places)
                    self._endpoints.setdefault(method, []).append((route.path_regex, endpoint))

    def endpoint(self, request: Request) -> Handler | None:
        """Find the endpoint for a call, and read the parameters of its path."""
        for path, endpoint in self._endpoints.get(request.method, ()):
            match = path.fullmatch(request.path)  # not `match`: a `$` matches before a line break at the end too
            if match is not None:
                request.path_params = match.groupdict()
                return endpoint
        return None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer over ASGI, or pass on."""
        if scope["type"] == "http":
            request = request_of(scope, receive)
            endpoint = self.endpoint(request)
            if endpoint is not None:
                request.log = scope["otp.log"]
                try:
                    response = await endpoint(request)
                except Exception:
                    await send_response(problem_response(HttpProblem("internal_error")), send)
                    raise  # for the log
                return await send_response(response, send)
        return await self._app(scope, receive, send)
