"""The FastAPI application without the routes of the API: pages, the OpenAPI document, and problems for unknown paths.

`OTP_DOCS=false` leaves out the pages and `/openapi.json`. An unknown path, or a wrong method, is a problem like any
other.
"""

from functools import cache
from typing import Any

import orjson
from fastapi import FastAPI
from starlette import requests, responses
from starlette.exceptions import HTTPException
from starlette.routing import Match, Route
from starlette.types import Lifespan

from service.api.openapi import TAGS, complete, flow
from service.api.pages import docs_routes
from service.http.problems import HttpProblem
from service.http.request import REQUEST, Request
from service.http.response import Response, problem_response, with_request_id
from service.http.route import DirectRoute, answered_methods

_CODES = {404: "not_found", 405: "method_not_allowed"}


def new_application(*, version: str, lifespan: Lifespan[FastAPI], with_docs: bool, home: str | None = None) -> FastAPI:
    """Build the application without the routes of the API. The docs link to the page `home`, if there is one."""
    app = FastAPI(
        title="otp-service",
        version=version,
        summary="Sends one-time codes, checks what people type, and tells Twilio which messages arrived.",
        description=flow(),
        license_info={"name": "MIT", "identifier": "MIT"},
        servers=[{"url": "/", "description": "The service that serves this document"}],
        openapi_tags=TAGS,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        routes=docs_routes(home) if with_docs else [],
        lifespan=lifespan,
        exception_handlers={HTTPException: _problem, Exception: _problem},
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


def _document_route(app: FastAPI) -> DirectRoute:
    """Serve the OpenAPI document. It is written once, since that takes milliseconds."""
    written = cache(lambda: orjson.dumps(app.openapi()))

    async def show(request: Request) -> Response:  # noqa: ARG001 - every endpoint gets the request
        return Response(200, written())

    return DirectRoute("/openapi.json", show, access=None, in_flight_share=None, include_in_schema=False)


async def _problem(request: requests.Request, failure: Exception) -> responses.Response:
    status = failure.status_code if isinstance(failure, HTTPException) else 500
    headers = dict(failure.headers or {}) if isinstance(failure, HTTPException) else {}
    if "Allow" in headers:  # FastAPI names the methods of the first route of a path, and knows nothing of our HEAD
        headers["Allow"] = ", ".join(sorted(_methods_at(request)))
    problem = problem_response(HttpProblem(_CODES.get(status, "internal_error"), headers=headers))
    written = with_request_id(problem, request.scope[REQUEST].id)
    return responses.Response(written.body, written.status, written.headers, written.media_type)


def _methods_at(request: requests.Request) -> set[str]:
    """List the methods of all routes that have the path of a request."""
    routes = (route for route in request.app.routes if isinstance(route, Route))
    return set().union(*(answered_methods(route) for route in routes if route.matches(request.scope)[0] != Match.NONE))
