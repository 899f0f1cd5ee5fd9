"""The pages: Swagger UI at `/docs`, ReDoc at `/redoc`, and the description of each problem at `/docs/problems`.

All files are served from disk, without another host. Those of Swagger UI and ReDoc come with `fastapi_offline`; the
pages and the scripts that start them are our own, because FastAPI's pages start them with inline scripts, which a
strict content security policy refuses. Each policy allows no more than its page needs.
"""

import re
from collections.abc import Awaitable, Callable
from functools import partial
from html import escape
from importlib.resources import files

from starlette import requests, responses
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from service.http.problem_catalogue import CATALOGUE, ENDED, PROBLEMS_PATH
from service.http.request import Request
from service.http.response import Response
from service.http.route import DirectRoute
from service.http.wire import HTML_WIRE, render_page

_ONLY_OURS = (
    "default-src 'none'; script-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
)
_STYLE_FILES = _ONLY_OURS + "style-src 'self'"
# ReDoc writes its styles into the page, and searches in a worker that it creates from a blob.
_REDOC_POLICY = _ONLY_OURS + "style-src 'self' 'unsafe-inline'; worker-src blob:"
_REDOC = "redoc.standalone.js"
_REDOC_LOGO = "https://cdn.redoc.ly/redoc/logo-mini.svg"  # every page requests it; a missing image is not shown


def docs_routes() -> list[BaseRoute]:
    """List the pages and their files."""
    page = partial(DirectRoute, access=None, wire=HTML_WIRE, in_flight_share=None, include_in_schema=False)
    return [
        page("/docs", _shows(_file("docs.html"), _STYLE_FILES)),
        page("/redoc", _shows(_file("redoc.html"), _REDOC_POLICY)),
        page(PROBLEMS_PATH, _shows(_problems_page(), _STYLE_FILES)),
        Route(f"/docs/assets/{_REDOC}", _redoc_without_its_logo),
        Mount("/docs/assets", StaticFiles(packages=[("service.api.pages", "assets"), ("fastapi_offline", "static")])),
    ]


def _redoc_without_its_logo(_: requests.Request) -> responses.Response:
    script = files("fastapi_offline").joinpath("static", _REDOC).read_text("utf-8")
    return responses.Response(script.replace(_REDOC_LOGO, "data:,"), media_type="text/javascript")


def _file(name: str) -> str:
    return files("service.api.pages").joinpath(name).read_text("utf-8")


def _shows(content: str, policy: str) -> Callable[[Request], Awaitable[Response]]:
    response = render_page(content, 200)._replace(headers={"content-security-policy": policy})

    async def show(request: Request) -> Response:  # noqa: ARG001 - every endpoint gets the request
        return response

    return show


def _problems_page() -> str:
    """Write the page that the `type` of each problem leads to, from the catalogue."""
    return _file("problems.html").replace("<!-- problems -->", "\n".join(map(_problem_section, CATALOGUE)))


def _problem_section(code: str) -> str:
    status, title, detail, fix = CATALOGUE[code]
    details = ENDED.values() if code == "not_pending" else filter(None, [detail])
    lines = [f"<blockquote>{escape(one)}</blockquote>" for one in details]
    fix = re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(fix))
    return "\n".join(
        [
            f'<section id="{code}">',
            f'<h2><a href="#{code}"><code>{code}</code></a> <span>{status}</span></h2>',
            f"<p>{escape(title)}.</p>",
            *lines,
            f"<p><strong>Fix:</strong> {fix}</p>",
            "</section>",
        ]
    )
