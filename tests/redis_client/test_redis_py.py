"""The internals of redis-py that the client depends on: a new version that changes one of them fails here."""

import ast
import asyncio
import re
import ssl
import tomllib
from pathlib import Path

import pytest
from redis.asyncio.connection import Connection, SSLConnection, UnixDomainSocketConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import MovedError, NoScriptError, ReadOnlyError, ResponseError

from service.redis_client import redis_py
from tests.redis_client.servers import server

ROOT = Path(__file__).parents[2]
PUBLIC = {"redis.crc", "redis.exceptions"}


@pytest.fixture
def node(tmp_path):
    with server(tmp_path / "redis") as running:
        yield running


async def connected(url):
    connection = redis_py.new_connection(redis_py.options_of_url(url, timeout_seconds=1))
    await connection.connect()
    return connection


async def test_a_stream_that_was_taken_works_without_its_connection(node):
    """After `take_stream` redis-py reads nothing from the stream and closing its Connection does not close it."""
    connection = await connected(node.url)
    await connection.send_command("PING")
    assert await connection.read_response() == b"PONG"
    reader = connection._reader
    writer = redis_py.take_stream(connection)
    await connection.disconnect(nowait=True)
    del connection
    writer.write(b"PING\r\n")
    assert await asyncio.wait_for(reader.readline(), 5) == b"+PONG\r\n"
    writer.close()


async def test_a_stream_that_has_ended_is_not_taken(node):
    """A connection that the server has closed, or that was never open, is a ConnectionError."""
    connection = await connected(node.url)
    node.admin.client_kill_filter(_type="normal", skipme=True)
    assert await asyncio.wait_for(connection._reader.read(), 5) == b""
    with pytest.raises(RedisConnectionError):
        redis_py.take_stream(connection)
    with pytest.raises(RedisConnectionError):
        redis_py.take_stream(redis_py.new_connection({}))
    await connection.disconnect(nowait=True)


def test_a_url_gives_the_arguments_of_a_connection():
    """`parse_url` names each argument as Connection does, and its class for TLS or a Unix domain socket."""
    plain, tls, unix = (
        redis_py.options_of_url(url, timeout_seconds=1)
        for url in ("redis://u:p@h:7/2", "rediss://h?ssl_check_hostname=no", "unix:///run/s?db=3")
    )
    wanted = {"host": "h", "port": 7, "db": 2, "username": "u", "password": "p"}
    assert {name: plain[name] for name in wanted} == wanted
    assert (unix["path"], unix["db"]) == ("/run/s", 3)
    assert [redis_py.is_tls(options) for options in (plain, tls, unix)] == [False, True, False]
    assert [redis_py.is_unix_socket(options) for options in (plain, tls, unix)] == [False, False, True]
    kinds = [type(redis_py.new_connection(options)) for options in (plain, tls, unix, redis_py.tcp_options(unix))]
    assert kinds == [Connection, SSLConnection, UnixDomainSocketConnection, Connection]


def test_tls_options_give_their_context():
    """`ssl_context` of an SSLConnection follows the options, and verifies the certificate and the host by default."""
    options = redis_py.options_of_url("rediss://h", timeout_seconds=1)
    context = redis_py.tls_context(options)
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    lax = redis_py.options_of_url("rediss://h?ssl_cert_reqs=none&ssl_check_hostname=no", timeout_seconds=1)
    assert redis_py.tls_context(lax).verify_mode == ssl.CERT_NONE


@pytest.mark.parametrize(
    ("line", "kind", "code", "text"),
    [
        ("NOSCRIPT No matching script.", NoScriptError, "NOSCRIPT", "No matching script."),
        ("READONLY You can't write", ReadOnlyError, "READONLY", "You can't write"),
        ("MOVED 7 h:1", MovedError, "MOVED", "7 h:1"),
        ("WRONGTYPE x", ResponseError, None, "WRONGTYPE x"),
    ],
)
def test_an_error_reply_gives_its_exception(line, kind, code, text):
    """`parse_error` removes a code that it knows from the text, and keeps it as `status_code`."""
    error = redis_py.error_of_reply(line)
    assert (type(error), error.status_code, str(error)) == (kind, code, text)


def test_internals_of_redis_py_are_used_in_one_module():
    """The other modules of the client import only public modules of redis-py, and read no private attribute of it."""
    modules = [path for path in (ROOT / "service" / "redis_client").glob("*.py") if path.name != "redis_py.py"]
    assert len(modules) > 8
    for path in modules:
        tree = ast.parse(path.read_text("utf-8"))
        imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        imported |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        assert {name for name in imported if name.split(".")[0] == "redis"} <= PUBLIC, path.name
        assert "SLF001" not in path.read_text("utf-8"), path.name


def test_the_next_minor_version_of_redis_py_is_not_admitted():
    """The internals may change in any minor version, so pyproject.toml admits one of them only."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    [redis] = [each for each in project["dependencies"] if re.match(r"redis\b", each)]
    least, most = re.fullmatch(r"redis>=([\d.]+),<([\d.]+)", redis).groups()
    major, minor = map(int, least.split(".")[:2])
    assert most == f"{major}.{minor + 1}"
