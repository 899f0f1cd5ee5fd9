"""Reads a Redis URL, without connecting.

    redis://  rediss://  unix://                                    one server, redis-py's own forms and options
    redis+sentinel://[user:pass@]h1:26379,h2:26379/service[/db]     the primary that Sentinel names
    redis+cluster://[user:pass@]h1:7000,h2:7001                     a cluster, discovered from any of its nodes

`rediss+…` is the same over TLS. User and password are those of the data nodes; the options `sentinel_username` and
`sentinel_password` are for Sentinel itself. An error is a ValueError in one sentence without the password.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

from redis.exceptions import RedisError

from service.redis_client import redis_py

Address = tuple[str, int]
Options = dict[str, Any]

_SENTINEL_PORT = 26379
_SERVER_PORT = 6379


@dataclass(frozen=True)
class Target:
    """What a URL names: the kind, the first addresses, and the options of redis-py's Connection, password included."""

    kind: Literal["server", "sentinel", "cluster"]
    options: Mapping[str, Any] = field(repr=False)
    sentinel_options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    addresses: tuple[Address, ...] = ()
    service: str = ""

    @property
    def timeout_seconds(self) -> float:
        """The time that connecting, and each command, may take."""
        seconds: float = self.options["socket_timeout"]
        return seconds


def read_url(url: str, *, timeout_seconds: float = 1.0) -> Target:
    """Return what a URL names; raise ValueError if it can never work."""
    scheme, mark, rest = url.partition("://")
    if not mark:
        raise ValueError(_NOT_UNDERSTOOD)
    transport, _, kind = scheme.partition("+")
    if kind == "sentinel":
        return _read_sentinel(transport, rest, timeout_seconds)
    if kind == "cluster":
        return _read_cluster(transport, rest, timeout_seconds)
    options = _read_server(url, timeout_seconds)
    _refuse_unknown(options)
    return Target("server", options)


def url_without_secrets(url: str) -> str:
    """Write what a URL names without user, password and options, to show it. Raises ValueError as `read_url` does."""
    target = read_url(url)
    options = target.options
    if target.kind == "server" and redis_py.is_unix_socket(options):
        return f"unix://{options['path']}"
    addresses = target.addresses or ((str(options.get("host", "localhost")), int(options.get("port", _SERVER_PORT))),)
    hosts = ",".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in addresses)
    path = "/".join(part for part in (target.service, str(options.get("db") or "")) if part)
    return f"{url.partition('://')[0]}://{hosts}" + (f"/{path}" if path else "")


def _read_sentinel(transport: str, rest: str, timeout_seconds: float) -> Target:
    user, hosts, path, query = _split(rest)
    service, _, database = path.partition("/")
    if not service:
        raise ValueError("the Redis URL names no Sentinel service: redis+sentinel://host:26379/service")
    if re.fullmatch(r"[A-Za-z0-9._-]+", service) is None:  # sentinel.conf: "the valid charset is …"
        raise ValueError("the Redis URL has an invalid Sentinel service name: use letters, digits, dots, - and _")
    urls = [f"{transport}://{user}{host}/{database}{query}" for host in hosts]
    options, addresses = _read_many(urls, _SENTINEL_PORT, timeout_seconds)
    own = {name.removeprefix("sentinel_"): options.pop(name) for name in list(options) if name.startswith("sentinel_")}
    # Timeouts and TLS apply to Sentinel too; user, password and database are those of the data nodes.
    shared = {name: value for name, value in options.items() if name not in {"username", "password", "db"}}
    sentinel_options = {**shared, **own}
    _refuse_unknown(options)
    _refuse_unknown(sentinel_options)
    return Target("sentinel", options, sentinel_options, addresses, service)


def _read_cluster(transport: str, rest: str, timeout_seconds: float) -> Target:
    user, hosts, path, query = _split(rest)
    urls = [f"{transport}://{user}{host}/{path}{query}" for host in hosts]
    options, addresses = _read_many(urls, _SERVER_PORT, timeout_seconds)
    if options.get("db"):
        raise ValueError("the Redis URL chooses a database, but a Redis Cluster has only database 0")
    _refuse_unknown(options)
    return Target("cluster", options, addresses=addresses)


def _split(rest: str) -> tuple[str, list[str], str, str]:
    location, mark, query = rest.partition("?")
    user, at, place = location.rpartition("@")
    hosts, _, path = place.partition("/")
    if not all(hosts.split(",")):
        raise ValueError("the Redis URL has an empty entry in its list of hosts")
    return user + at, hosts.split(","), path, mark + query


def _read_many(urls: list[str], port: int, timeout_seconds: float) -> tuple[Options, tuple[Address, ...]]:
    each = [_read_server(url, timeout_seconds) for url in urls]
    addresses = tuple((str(options.pop("host", "localhost")), int(options.pop("port", port))) for options in each)
    return each[0], addresses


def _read_server(url: str, timeout_seconds: float) -> Options:
    try:
        options = redis_py.options_of_url(url, timeout_seconds=timeout_seconds)
    except ValueError:
        # redis-py's message can quote part of a password that contains a slash or a hash.
        raise ValueError(_NOT_UNDERSTOOD) from None
    parts = urlsplit(url)
    if redis_py.is_unix_socket(options):
        # redis-py would read `unix://run/redis.sock` as /redis.sock and ignore the host `run`.
        is_understood = bool(options.get("path")) and not parts.hostname
    else:
        has_one_host = re.fullmatch(r"[^\s,]*", str(options.get("host", ""))) is not None
        is_understood = has_one_host and parts.port != 0 and re.fullmatch("/?[0-9]*", parts.path) is not None
    if not is_understood or "#" in url or not url.isprintable():  # urlsplit drops line breaks silently
        raise ValueError(_NOT_UNDERSTOOD)
    return options


_NOT_UNDERSTOOD = (
    "the Redis URL is not understood: it begins with redis://, rediss://, unix://, redis+sentinel:// or "
    "redis+cluster://, port and database are whole numbers, unix:// has three slashes before its path, "
    "and special characters of the password are written as %xx"
)


def _refuse_unknown(options: Mapping[str, Any]) -> None:
    for name in ("ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile"):
        if name in options and not os.access(options[name], os.R_OK):
            raise ValueError(f"the Redis URL names a file in {name} that does not exist or cannot be read")
    try:
        if redis_py.is_tls(options):
            redis_py.tls_context(options)  # reads the certificates, which would otherwise fail at each connection
        else:
            redis_py.new_connection(options)
    except OSError:
        raise ValueError("the Redis URL names a TLS file without a matching certificate or key") from None
    except (TypeError, ValueError, RedisError):
        raise ValueError("the Redis URL has an option that redis-py's Connection does not know or accept") from None
