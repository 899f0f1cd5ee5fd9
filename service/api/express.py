"""The express lane: our own doors, reached before FastAPI's middleware and router, as many at once as there is room.

Those would cost a check more than judging it does. A `LeanRoute` answers by itself and needs nothing
of what stands between; FastAPI keeps the same routes for the OpenAPI page, and answers the rest:
the docs, addresses that nobody has, methods that an address does not take.

Overload is met at the door first, before a credential is looked at: when all places are taken (`places`) one
more request would only make all of them late, so it is refused at once, 503 `overloaded`. A door that
holds its place for as long as Twilio takes is closed earlier (`LeanRoute.room`), so that checks find
room when issues would fill it.
"""

import re
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TypeAlias

from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from service.api.call import Call, call_of
from service.api.places import Places
from service.api.problems import ProblemAnswer
from service.api.reply import Reply, problem_reply, send_reply
from service.api.route import LeanRoute, answered_methods

Door: TypeAlias = Callable[[Call], Awaitable[Reply]]


class Express:
    """Finds the lean door for a call, and passes what fits none to the application behind."""

    def __init__(self, app: ASGIApp, *, most_in_flight: int) -> None:
        self._app = app
        self._places = Places(most_in_flight)
        self._doors: dict[str, list[tuple[re.Pattern[str], Door]]] = {}

    def hang(self, routes: Sequence[BaseRoute]) -> None:
        """Hang the doors, in the order in which they are tried; until then there are none."""
        for route in routes:
            if isinstance(route, LeanRoute):
                for method in answered_methods(route):
                    door = partial(route.answer, places=self._places)
                    self._doors.setdefault(method, []).append((route.path_regex, door))

    def door(self, call: Call) -> Door | None:
        """Find the door for a call, and read the parameters of its path."""
        for path, door in self._doors.get(call.method, ()):
            match = path.fullmatch(call.path)  # not `match`: a `$` matches before a line break at the end too
            if match is not None:
                call.path_params = match.groupdict()
                return door
        return None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer over ASGI, or pass on."""
        if scope["type"] == "http":
            call = call_of(scope, receive)
            door = self.door(call)
            if door is not None:
                call.log = scope["otp.log"]
                try:
                    reply = await door(call)
                except Exception:
                    await send_reply(problem_reply(ProblemAnswer("internal_error")), send)
                    raise  # for the log
                return await send_reply(reply, send)
        return await self._app(scope, receive, send)
