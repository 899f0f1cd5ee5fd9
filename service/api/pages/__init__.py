"""The docs pages: Swagger UI at `/docs`, ReDoc at `/redoc`, both from files on disk and without a foreign host.

The libraries' files come with `fastapi_offline`; the two pages and the scripts that start them are
ours, because FastAPI's start their libraries with a script in the page, which a strict content
security policy refuses. What each policy still allows, its library cannot do without.
"""

from collections.abc import Awaitable, Callable
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

_ONLY_OURS = (
    "default-src 'none'; script-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
)
_SWAGGER_POLICY = _ONLY_OURS + "style-src 'self'"
# ReDoc writes its styles into the page, and searches in a worker that it makes of a text of its own.
_REDOC_POLICY = _ONLY_OURS + "style-src 'self' 'unsafe-inline'; worker-src blob:"
_REDOC = "redoc.standalone.js"
_REDOC_LOGO = "https://cdn.redoc.ly/redoc/logo-mini.svg"  # asked for by every page; an image that fails is not shown


def docs_routes() -> list[BaseRoute]:
    """List the pages and their files."""
    return [
        Route("/docs", _page("docs.html", _SWAGGER_POLICY)),
        Route("/redoc", _page("redoc.html", _REDOC_POLICY)),
        Route(f"/docs/assets/{_REDOC}", _redoc_without_its_logo),
        Mount("/docs/assets", StaticFiles(packages=[("service.api.pages", "assets"), ("fastapi_offline", "static")])),
    ]


def _redoc_without_its_logo(_: Request) -> Response:
    script = files("fastapi_offline").joinpath("static", _REDOC).read_text("utf-8")
    return Response(script.replace(_REDOC_LOGO, "data:,"), media_type="text/javascript")


def _page(name: str, policy: str) -> Callable[[Request], Awaitable[HTMLResponse]]:
    content = files("service.api.pages").joinpath(name).read_text("utf-8")

    async def show(_: Request) -> HTMLResponse:
        return HTMLResponse(content, headers={"content-security-policy": policy})

    return show
