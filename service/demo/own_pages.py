"""What a sample site answers to: its own pages alone, under its own addresses.

A browser sends a site's cookies along whoever has made it ask. These checks are what a login of your own needs too:

    under_own_names  the name under which a page was opened is one of ours
    own_pages_only   a request that changes something was made by one of our pages

Programs that are no browser carry nobody's cookies; they need the same headers.
"""

from collections.abc import Awaitable, Callable, Collection, Iterable
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

Endpoint = Callable[[Request], Awaitable[Response]]


def under_own_names(routes: Iterable[BaseRoute], names: Collection[str]) -> list[BaseRoute]:
    """Let routes answer only where the Host header is an address, or one of these names."""
    guarded = list(routes)
    for route in guarded:
        if not isinstance(route, Route | Mount):
            raise TypeError("only a Route or a Mount can be guarded")
        route.app = _only_under(names, route.app)
    return guarded


def _only_under(names: Collection[str], app: ASGIApp) -> ASGIApp:
    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if _is_own_host(Request(scope).headers.get("Host", ""), names):
            await app(scope, receive, send)
        else:
            await JSONResponse({"detail": "This site has another name."}, 421)(scope, receive, send)

    return answer


def _is_own_host(host: str, names: Collection[str]) -> bool:
    """Tell whether a Host header names this machine.

    Whoever owns a name can let it point to this machine after his page was opened (DNS rebinding). His page then is, to
    the browser, of the same origin as ours, and may read all we answer. An address cannot be made to point elsewhere.
    """
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name in names or bool(ip_address(name))
    except ValueError:
        return False


def own_pages_only(endpoint: Endpoint) -> Endpoint:
    """Refuse what no page of this site has asked for.

    SameSite alone is not enough: to a browser all ports of a machine, and all hosts of a domain, are one site.
    """

    async def answer(request: Request) -> Response:
        # No form can send JSON. A script elsewhere may only after a preflight, which nobody here answers.
        media_type = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if media_type != "application/json":
            return JSONResponse({"detail": "Send `Content-Type: application/json`."}, 415)
        if not _is_asked_by_own_page(request):
            return JSONResponse({"detail": "This request was not made by a page of this site."}, 403)
        return await endpoint(request)

    return answer


def _is_asked_by_own_page(request: Request) -> bool:
    """Tell by what browsers say of themselves: no page can change these headers. Both are absent in no browser."""
    origin, site = request.headers.get("Origin"), request.headers.get("Sec-Fetch-Site")
    own = f"{request.url.scheme}://{request.headers['Host']}"
    return (origin or site) is not None and origin in (None, own) and site in (None, "same-origin")
