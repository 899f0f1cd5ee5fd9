"""Normalizes the web addresses in settings, and refuses those that cannot work.

Origins are compared with the header that browsers send, and Twilio signs the public address exactly as it was given. So
both are normalized to the form that browsers and Twilio use: lower case, ASCII host names, no default port, no trailing
slash. An address that cannot work raises `ValueError`; the text does not repeat it, since it may contain a password.
"""

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

import idna

_PORTS = {"http": 80, "https": 443}
# Pages of hybrid apps and of browser extensions also have origins.
_APP_SCHEMES = frozenset({"capacitor", "ionic", "tauri", "chrome-extension", "moz-extension", "safari-web-extension"})
_PATH = re.compile(r"(?:/(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._~!$&'()*+,;=:@%-]+)*/?")
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_MOST_IN_A_NAME = 253
_NOT_PUBLIC = re.compile(r"[^.]+|.*\.(?:localhost|local|internal|test|invalid|home\.arpa)")


@dataclass(frozen=True, slots=True)
class WebAddress:
    """The normalized parts of an address."""

    scheme: str
    host: str  # without the brackets of IPv6
    port: int | None  # None: the default of the scheme
    path: str  # without a trailing slash

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}{'' if self.port is None else f':{self.port}'}{self.path}"


def read_web_address(text: str) -> WebAddress:
    """Read an address that may have a path, but no user, query or fragment. Raises `ValueError`."""
    # urlsplit would silently drop line breaks.
    if not text.isprintable() or any(letter.isspace() or letter == "\\" for letter in text):
        raise ValueError("it contains a space, a backslash or an invisible character")
    if "://" not in text:
        raise ValueError("begin it with https://")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError("its host or port is invalid; a port is a number from 1 to 65535") from None
    _refuse_odd_parts(text, parts)
    return WebAddress(
        parts.scheme, _host(parts.hostname or ""), None if port == _PORTS.get(parts.scheme) else port,
        parts.path.rstrip("/"),
    )  # fmt: skip


def read_public_url(text: str) -> str:
    """Read the public address, at which Twilio calls the service."""
    address = read_web_address(text)
    if address.scheme not in _PORTS:
        raise ValueError("write the address at which Twilio reaches this service, such as https://otp.example.com")
    if "_" in address.host:
        raise ValueError("Twilio refuses host names with an underscore (error 21609); use another name")
    return str(address)


def read_link_url(text: str) -> str:
    """Read the address under which links are: https on a short name of your own, or http on this machine."""
    address = read_web_address(text)
    if address.scheme == "https" or (address.scheme == "http" and is_loopback(address.host)):
        return str(address)
    raise ValueError("use https, or http on a loopback address; links carry a secret")


def read_return_url(text: str) -> str:
    """Read an address that a link's page leads back to. A link to it has no secret, and may have a query."""
    base, separator, query = text.partition("?")
    if re.fullmatch(r"[!$%&'()*+./0-9:;=?@A-Z_a-z~-]*", query) is None:
        raise ValueError("its query is invalid; write it in ASCII, without a fragment or commas")
    address = read_web_address(base)
    if address.scheme == "https" or (address.scheme == "http" and is_loopback(address.host)):
        return f"{address}{separator}{query}"
    raise ValueError("use https, or http on a loopback address")


def read_base_url(text: str) -> str:
    """Read the address used instead of Twilio's. It gets the credentials, so it needs TLS unless it is on loopback."""
    address = read_web_address(text)
    if address.scheme == "https" or (address.scheme == "http" and is_loopback(address.host)):
        return str(address)
    raise ValueError("use https, or http on a loopback address")


def read_origin(text: str) -> str:
    """Read a web origin in the form that browsers send: scheme, host, and port unless it is the default."""
    if text == "*":
        return text
    if "*" in text or text == "null":
        raise ValueError("write each origin in full, or only * to allow all; patterns are not supported")
    address = read_web_address(text)
    if address.scheme not in _PORTS.keys() | _APP_SCHEMES:
        raise ValueError("an origin begins with https:// or http://, such as https://app.example.com")
    if address.path:
        raise ValueError("an origin has no path; write it like https://app.example.com")
    return str(address)


def is_loopback(host: str | None) -> bool:
    """Return whether a host is this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def is_for_development(public_url: str | None) -> bool:
    """Return whether Twilio does not call this address: plain http, or a host that is not public."""
    if public_url is None:
        return False
    address = read_web_address(public_url)
    try:
        is_public = ipaddress.ip_address(address.host).is_global
    except ValueError:
        is_public = _NOT_PUBLIC.fullmatch(address.host) is None
    return address.scheme != "https" or not is_public


def _refuse_odd_parts(text: str, parts: SplitResult) -> None:
    if "@" in parts.netloc:
        raise ValueError("it contains a user or a password; remove both")
    if "?" in text or "#" in text:
        raise ValueError("it has a query or a fragment; remove both")
    if not parts.hostname:
        raise ValueError("it has no host")
    if parts.netloc.endswith(":") or parts.port == 0:
        raise ValueError("its port is invalid; a port is a number from 1 to 65535")
    if _PATH.fullmatch(parts.path) is None:
        raise ValueError("its path is invalid; write it in ASCII, without empty segments")


def _host(name: str) -> str:
    if ":" in name:
        if "%" in name:
            raise ValueError("its host is an address of one network interface only")
        return str(ipaddress.IPv6Address(name))
    try:
        ascii_name = name if name.isascii() else idna.encode(name, uts46=True).decode()
    except idna.IDNAError:
        raise ValueError("its host name cannot be converted to ASCII") from None
    labels = ascii_name.split(".")
    if labels[-1].isdecimal() or labels[-1].startswith("0x"):  # browsers parse such a name as an IPv4 address
        try:
            return str(ipaddress.IPv4Address(ascii_name))
        except ValueError:
            raise ValueError("its host is invalid: an IPv4 address has four numbers") from None
    if len(ascii_name) > _MOST_IN_A_NAME or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError("its host is not a valid DNS name")
    return ascii_name
