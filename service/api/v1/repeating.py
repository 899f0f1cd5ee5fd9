"""Repeating a request: how an Idempotency-Key is read, how an answer is kept under it, and what is said of it.

What a key means, and for how long, is the business of `core.idempotency` and, for a check, of the
script that decides.
"""

from typing import Any

from pydantic_core import from_json, to_json

from service.http.problems import HttpProblem
from service.http.request import Request
from service.http.response import Response

_LONGEST_KEY = 255


def idempotency_key(request: Request) -> str | None:
    """Read the key of a request; None when it brings none."""
    key = request.header(b"idempotency-key")
    if key is None:
        return None
    if not 1 <= len(key) <= _LONGEST_KEY or not key.isascii() or not key.isprintable() or " " in key:
        raise HttpProblem("invalid_idempotency_key")
    return key


def pack(response: Response) -> bytes:
    """Write an answer as it is kept for its key."""
    return to_json([response.status, dict(response.headers), response.media_type, response.body.decode()])


def unpack(kept: bytes) -> Response:
    """Read a kept answer; it says of itself that it is not the first."""
    status, headers, media_type, body = from_json(kept)
    return Response(status, body.encode(), {**headers, "idempotent-replayed": "true"}, media_type)


def describe_same_answer(status: str) -> dict[str, Any]:
    """Describe the key of a request whose answer is kept, and the header by which a kept answer can be told."""
    replayed = {"headers": {"Idempotent-Replayed": {"$ref": "#/components/headers/Idempotent-Replayed"}}}
    promise = "The same key and request get the first answer again for 24 hours, and no second message is sent."
    return {"parameters": [_parameter(promise)], "responses": {status: replayed}}


def describe_same_verdict() -> dict[str, Any]:
    """Describe the key of a check."""
    promise = "The same key and request get the same verdict again for 60 seconds: a lost answer costs no attempt."
    return {"parameters": [_parameter(promise)]}


def _parameter(promise: str) -> dict[str, Any]:
    return {
        "in": "header",
        "name": "Idempotency-Key",
        "required": False,
        "schema": {"type": "string", "minLength": 1, "maxLength": _LONGEST_KEY, "pattern": "^[!-~]+$"},
        # The example stands in the text: as one of its own it would be filled in, and the second try be a repetition.
        "description": f"Visible ASCII, for example `login-4711`. {promise}",
    }
