"""The direct route: for OpenAPI a FastAPI route, for requests a plain function from request to response.

On every request FastAPI would solve dependencies, open exit stacks and validate the response; a check that takes one
Redis round trip would spend most of its time there. A `DirectRoute` reads its endpoint's signature once: `request` is
the request, a pydantic model or `bytes` is its body, and all others are parameters of the path. A body with a default
may be empty.

A route says who may call it (`access`), how it reads and writes (`wire`), how large a body may be, and which share of
the slots it may use. It refuses a request without a free slot, authenticates before it reads a byte of the body, and
makes a problem of every exception.
"""

import functools
import inspect
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict
from starlette.routing import Route

from service.http.authentication import Access
from service.http.load_shedding import LoadShedding, overloaded
from service.http.problems import HttpProblem, problem_of
from service.http.request import Request
from service.http.response import Response
from service.http.wire import JSON_WIRE, Wire

MAX_BODY_BYTES = 4096

Endpoint = Callable[..., Awaitable[Any]]


class NoFields(BaseModel):
    """The body of a route that has none: empty, or without fields. A field is refused rather than ignored."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class DirectRoute(APIRoute):
    """One route.

    `access` None: without authentication. `in_flight_share` is the share of the slots (`OTP_MAX_IN_FLIGHT`) up to which
    it accepts requests; None: always, as probes need it. `problems` are those of the endpoint; `api.openapi` adds those
    that every such route has. `not_at` is the fixed path of another route, which the path's parameter would match too:
    with it a wrong method there gets a 405. An endpoint returns a `Response`, or a result that the wire renders.
    """

    def __init__(
        self,
        path: str,
        endpoint: Endpoint,
        *,
        access: Access | None,
        wire: Wire = JSON_WIRE,
        problems: Sequence[str | HttpProblem] = (),
        max_body_bytes: int = MAX_BODY_BYTES,
        in_flight_share: float | None = 1.0,
        not_at: str | None = None,
        **described: Any,
    ) -> None:
        self.access = access
        self.wire, self._parse, self._render = wire, wire.parse, wire.render
        self._body_type = wire.body_type.encode()
        self.problems = problems
        self.max_body_bytes = max_body_bytes
        self.in_flight_share = in_flight_share
        self.body_model, self._body_name, self._needs_body = _body_of(endpoint)
        self._endpoint = endpoint
        self._overloaded = wire.render_problem(overloaded())  # rendered once: refusing must be cheap
        described.setdefault("response_model", None)
        described.setdefault("response_class", wire.response_class)
        super().__init__(path, _documentation_of(endpoint), **described)
        if not_at is not None:
            self.path_regex = re.compile(rf"(?!{re.escape(not_at)}\Z){self.path_regex.pattern}")

    async def respond(self, load_shedding: LoadShedding, request: Request) -> Response:
        """Respond to a request whose method and path fit."""
        request.log["route"] = self.path
        if not load_shedding.has_slot(self.in_flight_share):
            request.log["problem"] = "overloaded"
            return self._overloaded
        try:
            # What usually need not wait is a plain function, because a coroutine is expensive on every request.
            if self.access is not None and not self.access.admits(request):
                await self.access.authorize(request)
            if self._needs_body or request.has_body:
                body = self._whole_body(request)
                request.body = await self._rest_of_body(request) if body is None else body
            arguments = self._arguments(request)
            if self.in_flight_share is None:
                result = await self._endpoint(**arguments)
            else:
                load_shedding.acquire(self.in_flight_share)
                try:
                    result = await self._endpoint(**arguments)
                finally:
                    load_shedding.release()
            return result if isinstance(result, Response) else self._render(result, self.status_code or 200)
        except Exception as failure:  # noqa: BLE001 - a problem in the format of the wire, whatever has failed
            return self._failed(request, failure)

    def _arguments(self, request: Request) -> dict[str, Any]:
        arguments: dict[str, Any] = {**request.path_params, "request": request}
        if self.body_model is bytes:
            arguments[self._body_name] = request.body
        elif self.body_model is not None and (request.body or self._needs_body):
            arguments[self._body_name] = self._parse(self.body_model, request.body)
        elif self.body_model is None and request.body:
            self._parse(NoFields, request.body)
        return arguments

    def _failed(self, request: Request, failure: Exception) -> Response:
        problem = problem_of(failure)
        if problem is None:
            request.fails(failure)
            return self.wire.render_problem(HttpProblem("internal_error"))
        told = {"problem": problem.code, "reason": problem.reason, "limit": problem.limit}
        request.log |= {name: value for name, value in told.items() if value is not None}
        if request.caller is None or request.is_front_end:
            problem.limit = None  # who knows a limit can evade it; so only API keys are told
        return self.wire.render_problem(problem)

    def _whole_body(self, request: Request) -> bytes | None:
        """Read a body of the wire's type, up to the limit, whatever Content-Length says; None: parts have not arrived.

        A route that needs no body accepts an empty one of any type. If it is chunked, only its end shows that it is
        empty.
        """
        is_wrong = self._has_wrong_type(request)
        if is_wrong and (self._needs_body or b"transfer-encoding" not in request.headers):
            raise wrong_type(self.wire.body_type)
        if b"content-encoding" in request.headers and request.header(b"content-encoding") != "identity":
            raise HttpProblem("unsupported_media_type", "The body is compressed. Send it without a Content-Encoding.")
        body = request.view.whole_body()
        if body is not None and len(body) > self.max_body_bytes:
            raise too_large(self.max_body_bytes)
        if is_wrong and body:
            raise wrong_type(self.wire.body_type)
        return body

    async def _rest_of_body(self, request: Request) -> bytes:
        body = await _receive_body(request, self.max_body_bytes)
        if body and self._has_wrong_type(request):
            raise wrong_type(self.wire.body_type)
        return body

    def _has_wrong_type(self, request: Request) -> bool:
        expected, given = self._body_type, request.headers.get(b"content-type", b"")
        return given != expected and given.partition(b";")[0].strip().lower() != expected


def answered_methods(route: Route) -> set[str]:
    """List the methods of a route. GET implies HEAD, for which the server leaves out the body."""
    methods = set(route.methods or ())
    return methods | {"HEAD"} if "GET" in methods else methods


async def _receive_body(request: Request, max_bytes: int) -> bytes:
    announced = request.headers.get(b"content-length", b"0")
    if not announced.isdigit() or int(announced) > max_bytes:
        raise too_large(max_bytes)
    body, more = b"", True
    while more:
        message = await request.view.receive()
        if message["type"] == "http.disconnect":
            raise ended_early()
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > max_bytes:
            raise too_large(max_bytes)
    return body


def wrong_type(media_type: str) -> HttpProblem:
    """Make the problem of a body of another media type."""
    return HttpProblem("unsupported_media_type", f"The body has another media type. Send {media_type}.")


def ended_early() -> HttpProblem:
    """Make the problem of a body whose end does not arrive."""
    return HttpProblem("malformed_body", "The body ended early. Send all of it.")


def too_large(max_bytes: int) -> HttpProblem:
    """Make the problem of a body over the limit. The rest of it is not read, so the connection closes."""
    return HttpProblem(
        "body_too_large", f"The body is too large. Send at most {max_bytes} bytes.", headers={"connection": "close"}
    )


def _is_body(annotation: Any) -> bool:
    return annotation is bytes or (inspect.isclass(annotation) and issubclass(annotation, BaseModel))


def _body_of(endpoint: Endpoint) -> tuple[Any, str, bool]:
    """Find the body of an endpoint: its type, its name, and whether the endpoint needs it."""
    for name, parameter in inspect.signature(endpoint).parameters.items():
        if _is_body(parameter.annotation):
            return parameter.annotation, name, parameter.default is inspect.Parameter.empty
    return None, "", False


def _documentation_of(endpoint: Endpoint) -> Callable[..., Any]:
    """Make what FastAPI describes: the endpoint without `request` and a raw body, which it would take for a query."""

    @functools.wraps(endpoint)
    async def described(*_: Any, **__: Any) -> None:
        raise AssertionError("a DirectRoute responds without FastAPI")

    signature = inspect.signature(endpoint)
    parameters = [
        parameter
        for name, parameter in signature.parameters.items()
        if name != "request" and parameter.annotation is not bytes
    ]
    described.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return described
