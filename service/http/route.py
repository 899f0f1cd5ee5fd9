"""The direct route: a FastAPI route in the OpenAPI page, a plain function from call to reply on the wire.

FastAPI solves dependencies, opens exit stacks and validates answers on every request; a check that
takes one Redis round trip would spend most of its time there. A `DirectRoute` reads its endpoint's
signature once: path parameters are passed as they are, a pydantic model is the JSON body, `request` is
the request. It refuses when there is no room (`places`), authorizes before it reads a byte of the body,
and turns every expected failure into a problem; an unexpected one is left to `middleware`.
"""

import codecs
import functools
import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict
from pydantic_core import to_json

from service.http.authentication import Access
from service.http.load_shedding import LoadShedding
from service.http.problems import HttpProblem, problem_of
from service.http.request import Request
from service.http.response import JSON, Response, problem_response

MAX_BODY_BYTES = 4096
_BYTE_ORDER_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)

Endpoint = Callable[..., Awaitable[BaseModel | Mapping[str, Any] | Response]]


class NoFields(BaseModel):
    """The body of a route that takes none: nothing, or `{}`. What would be ignored is refused instead."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class DirectRoute(APIRoute):
    """One route; `access` is None where no credential is asked for.

    `room` is the share of all places (`OTP_MAX_IN_FLIGHT`) up to which it takes requests; None: it always does.
    """

    def __init__(
        self,
        path: str,
        endpoint: Endpoint,
        *,
        access: Access | None,
        problems: Sequence[str | HttpProblem] = (),
        body_type: str = JSON,
        max_body_bytes: int = MAX_BODY_BYTES,
        in_flight_share: float | None = 1.0,
        **described: Any,
    ) -> None:
        self.access = access
        self.problems = problems  # those that are the endpoint's own; `api.document` adds what every such route answers
        self.endpoint_of_call = endpoint
        self.body_type = body_type
        self.max_body_bytes = max_body_bytes
        self.in_flight_share = in_flight_share
        self.body_model, self.body_name = _body_of(endpoint)
        self.takes_body = self.body_model is not None or body_type != JSON
        described.setdefault("response_model", None)
        super().__init__(path, _documentation_of(endpoint), **described)

    async def answer(self, request: Request, load_shedding: LoadShedding) -> Response:
        """Answer one call whose method and path fit. What it cannot explain it raises."""
        request.log["route"] = self.path
        if not load_shedding.has_slot(self.in_flight_share):
            request.log["problem"] = "overloaded"
            return load_shedding.refusal
        try:
            return await self._respond(request, load_shedding)
        except Exception as failure:
            problem = problem_of(failure)
            if problem is None:
                raise
        if problem.code == "malformed_body" and request.body.startswith(_BYTE_ORDER_MARKS):
            problem.detail = "Send the JSON without a byte order mark (BOM) in front, in UTF-8."
        request.log |= {"problem": problem.code, "reason": problem.reason, "limit": problem.limit}
        if request.caller is None or request.is_front_end:
            problem.limit = None  # a stranger learns nothing by which to walk around it
        return problem_response(problem)

    async def _respond(self, request: Request, load_shedding: LoadShedding) -> Response:
        if self.access is not None:
            await self.access.authorize(request, request.path_params)
        arguments: dict[str, Any] = {**request.path_params, "request": request}
        if self.takes_body or request.has_body:
            request.body = await self._read_body(request)
        if self.body_model is not None:
            arguments[self.body_name] = self.body_model.__pydantic_validator__.validate_json(request.body)
        elif self.body_type == JSON and request.body:
            NoFields.model_validate_json(request.body)
        if self.in_flight_share is None:  # a probe takes no place
            answer = await self.endpoint_of_call(**arguments)
        else:
            load_shedding.acquire(self.in_flight_share)
            try:
                answer = await self.endpoint_of_call(**arguments)
            finally:
                load_shedding.release()
        if isinstance(answer, Response):
            return answer
        return Response(self.status_code or 200, to_json(answer))

    async def _read_body(self, request: Request) -> bytes:
        """Read a body of the right type; stop at the limit, whatever Content-Length says.

        Where none is taken, one without a byte is none, and has no type: only its end tells when it is chunked.
        """
        given = request.header(b"content-type") or ""
        is_wrong = given != self.body_type and given.partition(";")[0].strip().lower() != self.body_type
        if is_wrong and (self.takes_body or b"transfer-encoding" not in request.headers):
            raise wrong_type(self.body_type)
        body = request.whole_body()
        if body is None:
            body = await _receive_body(request, self.max_body_bytes)
        elif len(body) > self.max_body_bytes:
            raise too_large(self.max_body_bytes)
        if is_wrong and body:
            raise wrong_type(self.body_type)
        return body


def answered_methods(route: APIRoute) -> set[str]:
    """List the methods of a route: where there is GET there is HEAD, whose body the server leaves out."""
    methods = set(route.methods or ())
    return methods | {"HEAD"} if "GET" in methods else methods


async def _receive_body(request: Request, most_bytes: int) -> bytes:
    announced = request.headers.get(b"content-length", b"0")
    if not announced.isdigit() or int(announced) > most_bytes:
        raise too_large(most_bytes)
    body, more = b"", True
    while more:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ended_early()
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > most_bytes:
            raise too_large(most_bytes)
    return body


def wrong_type(media_type: str) -> HttpProblem:
    """Make the refusal of a body that is of another type."""
    return HttpProblem("unsupported_media_type", f"Send {media_type}.")


def ended_early() -> HttpProblem:
    """Make the refusal of a body that breaks off."""
    return HttpProblem("malformed_body", "The body ended early.")


def too_large(most_bytes: int) -> HttpProblem:
    """Make the refusal of a body over the limit; the rest of it is not read, so the connection closes."""
    return HttpProblem("body_too_large", f"At most {most_bytes} bytes.", headers={"connection": "close"})


def _body_of(endpoint: Endpoint) -> tuple[type[BaseModel] | None, str]:
    for name, parameter in inspect.signature(endpoint).parameters.items():
        if inspect.isclass(parameter.annotation) and issubclass(parameter.annotation, BaseModel):
            return parameter.annotation, name
    return None, ""


def _documentation_of(endpoint: Endpoint) -> Callable[..., Any]:
    """Make what FastAPI describes: the endpoint without `request`, which is no parameter of the API."""

    @functools.wraps(endpoint)
    async def described(*_: Any, **__: Any) -> None:
        raise AssertionError("a DirectRoute answers by itself")

    signature = inspect.signature(endpoint)
    parameters = [parameter for name, parameter in signature.parameters.items() if name != "request"]
    described.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return described
