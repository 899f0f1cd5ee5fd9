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

from service.http.load_shedding import Places
from service.http.problems import ProblemAnswer
from service.http.request import Call, call_of
from service.http.response import Reply, problem_reply, send_reply
from service.http.route import DirectRoute, answered_methods

Handler: TypeAlias = Callable[[Call], Awaitable[Reply]]


class DirectRouter:
    """Finds the direct route for a call, and passes what fits none to the application behind."""

    def __init__(self, app: ASGIApp, *, most_in_flight: int) -> None:
        self._app = app
        self._places = Places(most_in_flight)
        self._endpoints: dict[str, list[tuple[re.Pattern[str], Handler]]] = {}

    def hang(self, routes: Sequence[BaseRoute]) -> None:
        """Hang the endpoints, in the order in which they are tried; until then there are none."""
        for route in routes:
            if isinstance(route, DirectRoute):
                for method in answered_methods(route):
                    endpoint = partial(route.answer, places=self._places)
                    self._endpoints.setdefault(method, []).append((route.path_regex, endpoint))

    def endpoint(self, call: Call) -> Handler | None:
        """Find the endpoint for a call, and read the parameters of its path."""
        for path, endpoint in self._endpoints.get(call.method, ()):
            match = path.fullmatch(call.path)  # not `match`: a `$` matches before a line break at the end too
            if match is not None:
                call.path_params = match.groupdict()
                return endpoint
        return None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer over ASGI, or pass on."""
        if scope["type"] == "http":
            call = call_of(scope, receive)
            endpoint = self.endpoint(call)
            if endpoint is not None:
                call.log = scope["otp.log"]
                try:
                    reply = await endpoint(call)
                except Exception:
                    await send_reply(problem_reply(ProblemAnswer("internal_error")), send)
                    raise  # for the log
                return await send_reply(reply, send)
        return await self._app(scope, receive, send)
