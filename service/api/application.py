"""The FastAPI application without its routes: the docs pages, the OpenAPI document, problems for strangers.

`OTP_DOCS=false` leaves the pages out, with `/openapi.json`. An address nobody has, or a method it
does not take, is a problem like every other.
"""

from functools import cache
from typing import Any

from fastapi import FastAPI, Request
from pydantic_core import to_json
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Lifespan

from service.api.openapi import TAGS, complete, flow
from service.api.pages import docs_routes
from service.http.problems import MEDIA_TYPE, HttpProblem
from service.http.response import JSON
from service.http.route import DirectRoute

_CODES = {404: "not_found", 405: "method_not_allowed"}


def new_application(*, version: str, lifespan: Lifespan[FastAPI], with_docs: bool) -> FastAPI:
    """Build the application without its routes."""
    app = FastAPI(
        title="otp-service",
        version=version,
        summary="Sends one-time codes, decides what people type, and tells Twilio which messages arrived.",
        description=flow(),
        license_info={"name": "MIT", "identifier": "MIT"},
        servers=[{"url": "/", "description": "The service that serves this document"}],
        openapi_tags=TAGS,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        routes=docs_routes() if with_docs else [],
        lifespan=lifespan,
        exception_handlers={HTTPException: _stranger, Exception: _stranger},
        redirect_slashes=False,
    )
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            complete(plain(), [route for route in app.routes if isinstance(route, DirectRoute)])
        return plain()

    app.openapi = openapi  # type: ignore[method-assign] # the way FastAPI documents for extending the schema
    if with_docs:
        app.router.routes.append(_document_route(app))
    return app


def _document_route(app: FastAPI) -> Route:
    """Serve the OpenAPI document. FastAPI would write it anew for every request, which takes milliseconds."""
    written = cache(lambda: to_json(app.openapi()))

    async def show(_: Request) -> Response:
        return Response(written(), media_type=JSON)

    return Route("/openapi.json", show)


async def _stranger(_: Request, refusal: Exception) -> Response:
    status = refusal.status_code if isinstance(refusal, HTTPException) else 500
    problem = HttpProblem(_CODES.get(status, "internal_error"))
    headers = dict(refusal.headers or {}) if isinstance(refusal, HTTPException) else {}
    if headers.get("Allow") == "GET":  # as the framework knows our routes
        headers["Allow"] = "GET, HEAD"
    return Response(problem.body, problem.status, headers, MEDIA_TYPE)
