"""The page at `/dashboard` and its files. They hold no data, so anyone who reaches the port may load them.

Nothing is built and nothing comes from another host: the scripts are modules of ours, and uPlot, which draws the
charts, is in `vendor` with its licence. The policy allows only these files; markup made from text is refused by the
browser too (trusted types), so no figure or reason can become a script.
"""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import PurePath

from starlette.routing import BaseRoute

from service.http.problems import HttpProblem
from service.http.request import Request
from service.http.response import HTML, Response
from service.http.route import DirectRoute
from service.http.wire import HTML_WIRE

PAGE_PATH = "/dashboard"
_HEADERS: Mapping[str, str] = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'",
    "referrer-policy": "no-referrer",
    "x-robots-tag": "noindex",
    "cross-origin-opener-policy": "same-origin",
}
_MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


def page_routes() -> list[BaseRoute]:
    """List the page and its files."""
    page = partial(DirectRoute, access=None, wire=HTML_WIRE, in_flight_share=None, include_in_schema=False)
    return [page(PAGE_PATH, _shows_page()), page(f"{PAGE_PATH}/files/{{name}}", _shows_file())]


def _shows_page() -> Callable[[Request], Awaitable[Response]]:
    response = Response(200, _folder("page").joinpath("dashboard.html").read_bytes(), _HEADERS, HTML)

    async def show(request: Request) -> Response:  # noqa: ARG001 - every endpoint gets the request
        return response

    return show


def _shows_file() -> Callable[..., Awaitable[Response]]:
    responses = {
        file.name: Response(200, file.read_bytes(), media_type=_MEDIA_TYPES[PurePath(file.name).suffix])
        for folder in (_folder("page"), _folder("vendor").joinpath("uplot"))
        for file in folder.iterdir()
        if PurePath(file.name).suffix in _MEDIA_TYPES
    }

    async def show(request: Request, name: str) -> Response:  # noqa: ARG001
        if name not in responses:
            raise HttpProblem("not_found")
        return responses[name]

    return show


def _folder(name: str) -> Traversable:
    return files("service.api.dashboard").joinpath(name)
