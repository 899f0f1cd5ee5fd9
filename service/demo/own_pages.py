"""Lets the sample site answer only its own pages, under its own host names.

A browser sends the cookies of a site with requests from other sites too. Your own login needs the same two checks:

    under_own_names  the Host header is one of the site's names
    own_pages_only   a request that changes something was made by a page of the site

Programs other than browsers need the same headers.
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
    """Make routes answer only if the Host header is an IP address or one of these names."""
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
    """Return whether a Host header names this machine.

    An attacker can make a DNS name point to this machine after a page under that name was opened (DNS rebinding). To
    the browser, that page then has the same origin as ours, and may read every response. IP addresses are safe.
    """
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name in names or bool(ip_address(name))
    except ValueError:
        return False


def own_pages_only(endpoint: Endpoint) -> Endpoint:
    """Refuse requests that were not made by a page of this site.

    SameSite is not enough: to a browser, all ports of a machine and all hosts of a domain are one site.
    """

    async def answer(request: Request) -> Response:
        # A form cannot send JSON. A script of another site needs a preflight request, which this site does not answer.
        media_type = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if media_type != "application/json":
            return JSONResponse({"detail": "Send `Content-Type: application/json`."}, 415)
        if not _is_asked_by_own_page(request):
            return JSONResponse({"detail": "This request was not made by a page of this site."}, 403)
        return await endpoint(request)

    return answer


def _is_asked_by_own_page(request: Request) -> bool:
    """Check headers that browsers set and pages cannot change. Every browser sends at least one of them."""
    origin, site = request.headers.get("Origin"), request.headers.get("Sec-Fetch-Site")
    own = f"{request.url.scheme}://{request.headers['Host']}"
    return (origin or site) is not None and origin in (None, own) and site in (None, "same-origin")
