"""The lean route: a FastAPI route in the OpenAPI page, a plain ASGI function on the wire.

FastAPI solves dependencies, opens exit stacks and validates answers on every request; a check that
takes one Redis round trip would spend most of its time there. A `LeanRoute` reads its endpoint's
signature once: path parameters are passed as they are, a pydantic model is the JSON body, `call` is
the request. It authorizes before it reads a byte of the body, turns every expected failure into a
problem, and an unexpected one into a 500 that says nothing, for `api.trail` to log.
"""

import functools
import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict
from pydantic_core import to_json
from starlette.types import Receive, Scope, Send

from service.api.auth import Access
from service.api.call import Call
from service.api.places import Places
from service.api.problems import MEDIA_TYPE, ProblemAnswer, problem_of

MOST_BODY_BYTES = 4096
JSON = "application/json"


class Reply(NamedTuple):
    """An answer that is already written."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = MappingProxyType({})
    media_type: str = JSON


Endpoint = Callable[..., Awaitable[BaseModel | Mapping[str, Any] | Reply]]


class NoFields(BaseModel):
    """The body of a route that takes none: nothing, or `{}`. What would be ignored is refused instead."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class LeanRoute(APIRoute):
    """One route; `access` is None where no credential is asked for.

    `room` is the share of all places (`OTP_MAX_IN_FLIGHT`) up to which it takes requests; None: it always does.
    """

    def __init__(
        self,
        path: str,
        endpoint: Endpoint,
        *,
        access: Access | None,
        problems: Sequence[str] = (),
        body_type: str = JSON,
        most_body_bytes: int = MOST_BODY_BYTES,
        room: float | None = 1.0,
        **described: Any,
    ) -> None:
        self.access = access
        self.problems = problems  # those that are the endpoint's own; `api.document` adds what every such route answers
        self.endpoint_of_call = endpoint
        self.body_type = body_type
        self.most_body_bytes = most_body_bytes
        self.room = room
        self.body_model, self.body_name = _body_of(endpoint)
        described.setdefault("response_model", None)
        super().__init__(path, _documentation_of(endpoint), **described)
        self.app = self.answer

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, the method already matched."""
        call = Call(scope)
        call.log["route"] = self.path
        try:
            reply = await self._reply(call, scope["path_params"], receive, scope.get("otp.places"))
        except Exception as failure:
            problem = problem_of(failure)
            if problem is None:
                await send_reply(problem_reply(ProblemAnswer("internal_error")), send)
                raise  # for the log
            call.log |= {"problem": problem.code, "reason": problem.reason, "limit": problem.limit}
            if call.caller is None or call.is_front_end:
                problem.limit = None  # a stranger learns nothing by which to walk around it
            reply = problem_reply(problem)
        await send_reply(reply, send)

    async def _reply(self, call: Call, path: Mapping[str, str], receive: Receive, places: Places | None) -> Reply:
        if self.access is not None:
            await self.access.authorize(call, path)
        arguments: dict[str, Any] = {**path, "call": call}
        if self.body_model is not None or self.body_type != JSON:
            call.body = await read_body(call, receive, media_type=self.body_type, most_bytes=self.most_body_bytes)
        if self.body_model is not None:
            arguments[self.body_name] = self.body_model.__pydantic_validator__.validate_json(call.body)
        elif self.body_type == JSON and call.has_body:
            call.body = await read_body(call, receive, media_type=JSON, most_bytes=self.most_body_bytes)
            NoFields.model_validate_json(call.body or b"{}")
        if places is None or self.room is None:  # a probe takes no place
            answer = await self.endpoint_of_call(**arguments)
        else:
            places.take(self.room)
            try:
                answer = await self.endpoint_of_call(**arguments)
            finally:
                places.give_back()
        if isinstance(answer, Reply):
            return answer
        return Reply(self.status_code or 200, to_json(answer))


def problem_reply(problem: ProblemAnswer) -> Reply:
    """Write a problem."""
    return Reply(problem.status, problem.body, problem.all_headers, MEDIA_TYPE)


async def send_reply(reply: Reply, send: Send) -> None:
    """Send an answer in two ASGI messages."""
    headers = [
        (b"content-length", b"%d" % len(reply.body)),
        *((name.encode(), value.encode()) for name, value in reply.headers.items()),
    ]
    if reply.body:
        headers.append((b"content-type", reply.media_type.encode()))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})


async def read_body(call: Call, receive: Receive, *, media_type: str, most_bytes: int) -> bytes:
    """Read a body of the right type; stop at the limit, whatever Content-Length says."""
    given = call.header(b"content-type") or ""
    if given != media_type and given.partition(";")[0].strip().lower() != media_type:
        raise wrong_type(media_type)
    announced = call.headers.get(b"content-length", b"0")
    if not announced.isdigit() or int(announced) > most_bytes:
        raise too_large(most_bytes)
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ended_early()
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > most_bytes:
            raise too_large(most_bytes)
    return body


def wrong_type(media_type: str) -> ProblemAnswer:
    """Make the refusal of a body that is of another type."""
    return ProblemAnswer("unsupported_media_type", f"Send {media_type}.")


def ended_early() -> ProblemAnswer:
    """Make the refusal of a body that breaks off."""
    return ProblemAnswer("malformed_body", "The body ended early.")


def too_large(most_bytes: int) -> ProblemAnswer:
    """Make the refusal of a body over the limit; the rest of it is not read, so the connection closes."""
    return ProblemAnswer("body_too_large", f"At most {most_bytes} bytes.", headers={"connection": "close"})


def _body_of(endpoint: Endpoint) -> tuple[type[BaseModel] | None, str]:
    for name, parameter in inspect.signature(endpoint).parameters.items():
        if inspect.isclass(parameter.annotation) and issubclass(parameter.annotation, BaseModel):
            return parameter.annotation, name
    return None, ""


def _documentation_of(endpoint: Endpoint) -> Callable[..., Any]:
    """Make what FastAPI describes: the endpoint without `call`, which is no parameter of the API."""

    @functools.wraps(endpoint)
    async def described(*_: Any, **__: Any) -> None:
        raise AssertionError("a LeanRoute answers by itself")

    signature = inspect.signature(endpoint)
    parameters = [parameter for name, parameter in signature.parameters.items() if name != "call"]
    described.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return described
