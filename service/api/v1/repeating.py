"""Repeating a request: how an Idempotency-Key is read, how an answer is kept under it, and how both are documented.

What a key means, and for how long, is decided by `core.idempotency` and, for a check, by `check.lua`.
"""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import orjson
from pydantic_core import from_json

from service.http.problems import HttpProblem
from service.http.request import Request
from service.http.response import Response

T = TypeVar("T")
_LONGEST_KEY = 255


def idempotency_key(request: Request) -> str | None:
    """Read the key of a request; None if it has none."""
    given = request.headers.get(b"idempotency-key")
    if given is None:
        return None
    key = given.decode("latin-1")
    if not 1 <= len(key) <= _LONGEST_KEY or not key.isascii() or not key.isprintable() or " " in key:
        raise HttpProblem("invalid_idempotency_key")
    return key


class KeyedResponse(Generic[T]):
    """The response to one request, rendered once: as it is sent, and as it is kept for the request's key."""

    def __init__(self, render: Callable[[T], Response]) -> None:
        self._render = render
        self._rendered: tuple[T, Response] | None = None

    def response(self, outcome: T) -> Response:
        """Render an outcome, or return what was rendered of it before."""
        if self._rendered is None or self._rendered[0] is not outcome:
            self._rendered = outcome, self._render(outcome)
        return self._rendered[1]

    def packed(self, outcome: T) -> bytes:
        """Write the response as it is kept."""
        response = self.response(outcome)
        return orjson.dumps([response.status, dict(response.headers), response.media_type, response.body.decode()])


def unpack(kept: bytes) -> Response:
    """Read a kept answer; a header marks it as a repeat."""
    status, headers, media_type, body = from_json(kept)
    return Response(status, body.encode(), {**headers, "idempotent-replayed": "true"}, media_type)


def describe_same_response(status: str) -> dict[str, Any]:
    """Describe the key of a request whose response is stored, and the header of a replayed response."""
    replayed = {"headers": {"Idempotent-Replayed": {"$ref": "#/components/headers/Idempotent-Replayed"}}}
    promise = "The same key and request get the first response again for 24 hours, and no second message is sent."
    return {"parameters": [_parameter(promise)], "responses": {status: replayed}}


def describe_same_verdict() -> dict[str, Any]:
    """Describe the key of a check."""
    promise = "The same key and request get the same verdict again for 60 seconds: a lost response costs no attempt."
    return {"parameters": [_parameter(promise)]}


def _parameter(promise: str) -> dict[str, Any]:
    return {
        "in": "header",
        "name": "Idempotency-Key",
        "required": False,
        "schema": {"type": "string", "minLength": 1, "maxLength": _LONGEST_KEY, "pattern": "^[!-~]+$"},
        # Swagger UI would fill in an example, and the second try would be a repetition. So it is in the description.
        "description": f"Visible ASCII, for example `login-4711`. {promise}",
    }
