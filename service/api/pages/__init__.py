"""The pages: Swagger UI at `/docs`, ReDoc at `/redoc`, and the description of each problem at `/docs/problems`.

All files come from this service, without another host. Each is read once and then kept in memory, because anyone may
request it, however often. Those of Swagger UI and ReDoc come with `fastapi_offline`; the pages and the scripts that
start them are our own, because FastAPI's pages start them with inline scripts, which a strict content security policy
refuses. Each policy allows no more than its page needs. All pages follow a dark system, and link to each other.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from functools import cache, partial
from html import escape
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import PurePath

from starlette.routing import BaseRoute

from service.http.endings import EVERY_ENDING
from service.http.problem_catalogue import CATALOGUE, PROBLEMS_PATH
from service.http.problems import HttpProblem
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
_MEDIA_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".png": "image/png"}
_REDOC_LOGO = b"https://cdn.redoc.ly/redoc/logo-mini.svg"  # every page requests it; a missing image is not shown
_PAGES = {"docs": "API docs", "redoc": "Reference", PROBLEMS_PATH.removeprefix("/"): "Problems"}


def docs_routes(home: str | None = None) -> list[BaseRoute]:
    """List the pages and their files. `home` is the path of a page to link to, if the application has one."""
    pages = ({home.removeprefix("/"): "Home"} if home else {}) | _PAGES
    page = partial(DirectRoute, access=None, wire=HTML_WIRE, in_flight_share=None, include_in_schema=False)
    return [
        page("/docs", _shows(_linked("docs", _file("docs.html"), pages), _STYLE_FILES)),
        page("/redoc", _shows(_linked("redoc", _file("redoc.html"), pages), _REDOC_POLICY)),
        page(PROBLEMS_PATH, _shows(_linked(PROBLEMS_PATH.removeprefix("/"), _problems_page(), pages), _STYLE_FILES)),
        page("/docs/assets/{name}", _shows_asset()),
    ]


def _shows_asset() -> Callable[..., Awaitable[Response]]:
    assets = _assets()

    @cache
    def read(name: str) -> Response:
        content = assets[name].read_bytes()
        if name == _REDOC:
            content = content.replace(_REDOC_LOGO, b"data:,")
        return Response(200, content, media_type=_MEDIA_TYPES[PurePath(name).suffix])

    async def show(request: Request, name: str) -> Response:  # noqa: ARG001 - every endpoint gets the request
        if name not in assets:
            raise HttpProblem("not_found")
        return read(name)

    return show


def _assets() -> Mapping[str, Traversable]:
    folders = (files("fastapi_offline").joinpath("static"), files("service.api.pages").joinpath("assets"))
    return {file.name: file for folder in folders for file in folder.iterdir()}


def _linked(path: str, content: str, pages: Mapping[str, str]) -> str:
    """Put links to all pages into a page. They are relative: a proxy may serve the service under a prefix."""
    up = "../" * path.count("/")
    links = (
        f'<a href="{up + other or "./"}"{" aria-current=page" if other == path else ""}>{name}</a>'
        for other, name in pages.items()
    )
    return content.replace("<!-- pages -->", f'<nav class="pages" aria-label="Pages">{"".join(links)}</nav>')


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
    details = EVERY_ENDING if code == "not_pending" else filter(None, [detail])
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
