"""Hosts of web pages on which a browser may fill in a code: as the last line of a message names them."""

import re
from ipaddress import ip_address

_LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
# The last label begins with a letter: browsers take a host that ends in a number (127.1, 0x7f) for an IP address.
HOST_PATTERN = rf"(?:{_LABEL}\.)*[a-z](?:[a-z0-9-]{{0,61}}[a-z0-9])?"
LONGEST_HOST = 64  # a longer one would not fit into one message
SCHEME = "https://"


def read_host(value: str) -> str:
    """Read a host, or an origin with https://. Raises `ValueError` with a sentence that says why."""
    host = value.removeprefix(SCHEME)
    if len(host) > LONGEST_HOST or re.fullmatch(HOST_PATTERN, host) is None:
        raise ValueError(f"This is not a host: {_why_no_host(value)}. Write one such as login.example.com.")
    return host


def _why_no_host(value: str) -> str:  # noqa: PLR0911 - one for each reason
    """Say what keeps a text from being a host: the first thing to change."""
    if not value.isascii():
        return "it is not in ASCII, as DNS has it, with xn--"
    host = value.lower().removeprefix(SCHEME)
    if host.startswith("http://"):
        return "it begins with http://, and browsers fill in codes on https:// pages only"
    name, _, port = host.partition("/")[0].rpartition(":")
    if _is_ip_address(host.partition("/")[0]) or _is_ip_address(name if port.isdigit() and name else host):
        return "it is an IP address"
    if "/" in host:
        return "it has a slash"
    if name and port.isdigit():
        return "it has a port"
    if len(host) > LONGEST_HOST:
        return f"it has more than {LONGEST_HOST} characters"
    if not value.islower() and re.fullmatch(HOST_PATTERN, host):
        return "it has capital letters"
    return "it has other characters than a-z, 0-9, - and ., or one of them is in the wrong place"


def _is_ip_address(host: str) -> bool:
    """Tell whether browsers take a host for an IP address: also if it ends in a number, as 127.1 does."""
    try:
        return bool(ip_address(host.strip("[]")))
    except ValueError:
        return re.fullmatch(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)", host) is not None
