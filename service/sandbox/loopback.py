"""Tells which hosts are this machine: the simulator sends nothing to public ones."""

from ipaddress import ip_address


def is_loopback(host: str | None) -> bool:
    """Check the host as written; names except localhost are not resolved: they could resolve differently later."""
    if host == "localhost":
        return True
    try:
        return ip_address(host or "").is_loopback
    except ValueError:
        return False
