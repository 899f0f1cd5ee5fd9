"""What a browser says of a request to the dashboard: over which scheme, by which page, and with which cookie.

A key or a cookie must not cross a network unencrypted. The service itself serves plain http, so it accepts a sign-in
in two cases: a trusted proxy says that it got the request over https, or the browser says that it is on this machine,
which is also how the end of an SSH tunnel looks to it. A client that lies about either harms only itself.

Browsers accept a `__Host-` cookie only with `Secure`, and some of them store no such cookie from http://localhost.
There the cookie has another name, which is not read over https: so the page of another port of this machine cannot
set the cookie of a deployment. A browser sends a cookie to all ports of a host, so the name ends with the port: those
who open two services through two tunnels stay signed in to both.
"""

from ipaddress import ip_address
from urllib.parse import urlsplit

from service.core.sessions import LIFE_SECONDS
from service.http.request import Request

_SECURE_COOKIE = "__Host-otp_dashboard"
_LOCAL_COOKIE = "otp_dashboard_local"


class Browser:
    """A request, as the browser that sent it describes it."""

    def __init__(self, request: Request, *, trusted_proxies: int) -> None:
        self._request = request
        forwarded = (request.header(b"x-forwarded-proto") or "").rpartition(",")[2].strip().lower()
        self.is_encrypted = trusted_proxies > 0 and forwarded == "https"

    @property
    def may_sign_in(self) -> bool:
        """Tell whether a key may be sent over this connection."""
        return self.is_encrypted or _is_this_machine(self._host)

    @property
    def is_own_page(self) -> bool:
        """Tell whether a page of this service made the request, by headers that pages cannot change.

        `SameSite` is not enough: to a browser, all ports of a machine and all hosts of a domain are one site. Every
        browser sends at least one of the headers; a program that sends neither is not a browser, and is refused.
        """
        origin, site = self._request.header(b"origin"), self._request.header(b"sec-fetch-site")
        own = f"{'https' if self.is_encrypted else 'http'}://{self._host}"
        return (origin or site) is not None and origin in (None, own) and site in (None, "same-origin")

    @property
    def token(self) -> str:
        """The token of the session; "" if there is none, or if two cookies have the name, one of which is not ours."""
        cookies = (part.strip().partition("=") for part in (self._request.header(b"cookie") or "").split(";"))
        found = [value for name, _, value in cookies if name == self._cookie]
        return found[0] if len(found) == 1 else ""

    def keep(self, token: str) -> dict[str, str]:
        """Make the header that sets the cookie."""
        return self._set_cookie(token, LIFE_SECONDS)

    def forget(self) -> dict[str, str]:
        """Make the header that deletes the cookie."""
        return self._set_cookie("", 0)

    def _set_cookie(self, value: str, seconds: int) -> dict[str, str]:
        secure = "; Secure" if self.is_encrypted else ""
        return {"set-cookie": f"{self._cookie}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}"}

    @property
    def _cookie(self) -> str:
        name, port = _SECURE_COOKIE if self.is_encrypted else _LOCAL_COOKIE, self._host.rpartition(":")[2]
        return f"{name}_{port}" if port.isdecimal() else name

    @property
    def _host(self) -> str:
        return self._request.header(b"host") or ""


def _is_this_machine(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ip_address(name).is_loopback
    except ValueError:
        return False
