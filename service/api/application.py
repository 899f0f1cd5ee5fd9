"""The FastAPI application before any door is hung in it: docs pages, OpenAPI components, problems for strangers.

The docs are served from files on disk, so that they need no network; `OTP_DOCS=false` leaves them
out, with `/openapi.json`. An address nobody has, or a method it does not take, is a problem like
every other.
"""

from typing import Any

from fastapi import FastAPI, Request
from fastapi_offline import FastAPIOffline
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Lifespan

from service.api.auth import SECURITY_SCHEMES
from service.api.problems import MEDIA_TYPE, Problem, ProblemAnswer

_DESCRIPTION = """
Sends one-time codes, judges what people type, and tells Twilio which messages arrived.

Issue a verification, show the person a field, send what they type to `verify`. Only the verdict
`approved` proves anything. Errors are RFC 9457 problems with a stable `code`.
"""
_CODES = {404: "not_found", 405: "method_not_allowed"}


def new_application(*, version: str, lifespan: Lifespan[FastAPI], with_docs: bool) -> FastAPI:
    """Build the application without its routes."""
    described: dict[str, Any] = {
        "title": "otp-service",
        "version": version,
        "description": _DESCRIPTION,
        "lifespan": lifespan,
        "exception_handlers": {HTTPException: _stranger, Exception: _stranger},
        "redirect_slashes": False,
    }
    app = (
        FastAPIOffline(**described)
        if with_docs
        else FastAPI(docs_url=None, redoc_url=None, openapi_url=None, **described)
    )
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = plain()
            _forget_the_frameworks_422(document)
            components = document.setdefault("components", {})
            components["securitySchemes"] = SECURITY_SCHEMES
            problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
            components.setdefault("schemas", {}).update(problem.pop("$defs"), Problem=problem)
        return plain()

    app.openapi = openapi  # type: ignore[method-assign] # the way FastAPI documents for extending the schema
    return app


def _forget_the_frameworks_422(document: dict[str, Any]) -> None:
    """Take out the answer that FastAPI adds to every route with parameters: a lean route never gives it."""
    for operations in document["paths"].values():
        for operation in operations.values():
            if MEDIA_TYPE not in operation["responses"].get("422", {}).get("content", {MEDIA_TYPE: {}}):
                del operation["responses"]["422"]
    schemas = document.get("components", {}).get("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)


async def _stranger(_: Request, refusal: Exception) -> Response:
    status = refusal.status_code if isinstance(refusal, HTTPException) else 500
    problem = ProblemAnswer(_CODES.get(status, "internal_error"))
    headers = dict(refusal.headers or {}) if isinstance(refusal, HTTPException) else {}
    return Response(problem.body, problem.status, headers, MEDIA_TYPE)
