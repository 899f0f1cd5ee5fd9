"""Redis URLs: every form reaches its server, and the error for a wrong one does not contain its password."""

import asyncio
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from service.redis_client import ServerWithoutTls, open_redis_client
from service.redis_client.connecting import Connector
from service.redis_client.url import read_url
from tests.free_ports import free_port
from tests.redis_client.proxy import Proxy
from tests.redis_client.servers import opened, server

SECRET = "s3cret"


@pytest.mark.parametrize(
    "url",
    [
        f"http://u:{SECRET}@host",
        f"u:{SECRET}@host",
        SECRET,
        "",
        f"redis:u:{SECRET}@host",
        f"redis://:{SECRET}/x@host/0",
        f"redis://:12#{SECRET}@host/0",
        f"redis://:{SECRET}@host:port",
        f"redis://:{SECRET}@host/zero",
        f"redis://:12/{SECRET}@host",
        f"redis://:{SECRET}@host?db=zero",
        f"redis://:{SECRET}@host?no_such_option=1",
        f"redis://:{SECRET}@host?sentinel_password=x",
        f"rediss://:{SECRET}@host?ssl_cert_reqs=maybe",
        f"unix://:{SECRET}@",
        f"redis+sentinel://:{SECRET}@host",
        f"redis+sentinel://:{SECRET}@host/",
        f"redis+sentinel://:{SECRET}@a,,b/main",
        f"redis+sentinel://:{SECRET}@a/main/zero",
        f"redis+cluster://:{SECRET}@a,b/1",
        f"redis+cluster://:{SECRET}@a,b?db=1",
        f"redis+cluster://:{SECRET}@",
        f"http+cluster://:{SECRET}@a",
        f"redis+mesh://:{SECRET}@a",
        f"foo://:{SECRET}@a",
        f"redis://:{SECRET}@host:99999",
        f"redis://:{SECRET}@host:0",
        f"redis://:{SECRET}@ho st",
        f"redis://:{SECRET}@a,b:6379",
        f"redis://:{SECRET}@host\n",
        f"unix://:{SECRET}@run/redis.sock",
        "unix://run/redis.sock",
        f"redis+sentinel://:{SECRET}@a:0/main",
        f"redis+sentinel://:{SECRET}@a:99999/main",
        f"redis+sentinel://:{SECRET}@a/ma%20in",
        f"redis+sentinel://:{SECRET}@a/my main",
        f"redis+cluster://:{SECRET}@a:0,b",
        f"rediss://:{SECRET}@host?ssl_ca_certs=/no/such/file",
        f"rediss://:{SECRET}@host?ssl_certfile=/no/such/file",
        f"rediss://:{SECRET}@host?ssl_ca_certs={__file__}",
        f"rediss+cluster://:{SECRET}@a,b?ssl_ca_path=/no/such/folder&ssl_ca_certs=/no/such/file",
    ],
)
async def test_a_wrong_url_is_refused_without_its_password(url):
    """A wrong URL is a ValueError with a sentence; neither it nor its traceback contains the password."""
    with pytest.raises(ValueError, match=" ") as caught:
        await open_redis_client(url, client_name="tests")
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_each_form_is_read():
    """Hosts, ports, service, database and credentials are read from the URL; ports have their usual defaults."""
    single = read_url("rediss://u:p%2Fq@host:1/2?ssl_check_hostname=no", timeout_seconds=1)
    assert (single.kind, single.options["password"], single.options["db"]) == ("server", "p/q", 2)
    sentinel = read_url("redis+sentinel://u:p@a,b:7/main/3?sentinel_password=q", timeout_seconds=1)
    assert (sentinel.kind, sentinel.service, sentinel.addresses) == ("sentinel", "main", (("a", 26379), ("b", 7)))
    assert (sentinel.options["password"], sentinel.options["db"]) == ("p", 3)
    assert sentinel.sentinel_options["password"] == "q"
    assert not {"db", "username"} & set(sentinel.sentinel_options)
    cluster = read_url("redis+cluster://:p@a,[::1]:7", timeout_seconds=1)
    assert (cluster.kind, cluster.addresses, cluster.options["password"]) == ("cluster", (("a", 6379), ("::1", 7)), "p")
    assert all("p" not in repr(target.options) or "Target" in repr(target) for target in (single, sentinel, cluster))
    assert "p/q" not in repr(single)


def test_a_url_cannot_turn_on_retries_or_decoding():
    """redis-py retries nothing and returns RESP2 as raw bytes, whatever options the URL has."""
    url = "redis://h?protocol=3&retry_on_timeout=yes&socket_timeout=60&health_check_interval=9&decode_responses=yes"
    options = read_url(url, timeout_seconds=1).options
    assert (options["protocol"], options["socket_timeout"], options["socket_connect_timeout"]) == (2, 1, 1)
    assert (options["retry_on_timeout"], options["health_check_interval"]) == (False, 0)
    assert options["decode_responses"] is False
    assert options["retry"].get_retries() == 0


async def test_a_unix_socket_and_a_database(tmp_path):
    """unix:// connects to the socket, and `db` selects the database."""
    path = tmp_path / "s"
    with server(tmp_path / "redis", "--unixsocket", str(path)) as node:
        async with opened(f"unix://{path}?db=2") as redis:
            await redis.command("SET", "n", 1)
            assert node.admin.info("keyspace")["db2"]["keys"] == 1


async def test_an_acl_user_with_few_rights_is_enough(tmp_path):
    """A user with permission for one command only can connect: CLIENT SETNAME may be refused."""
    with server(tmp_path / "redis") as node:
        node.admin.execute_command("ACL", "SETUSER", "otp", "on", ">p@ss", "~*", "-@all", "+get")
        async with opened(f"redis://otp:p%40ss@127.0.0.1:{node.port}") as redis:
            assert await redis.command("GET", "n") is None


async def test_tls_verifies_the_certificate(tmp_path):
    """rediss:// trusts only the given authority; a certificate of another one is a ConnectionError."""
    certificate, tls = certificate_for_127_0_0_1(tmp_path)
    with server(tmp_path / "redis") as node:
        async with Proxy(node.port, tls=tls) as proxy:
            async with opened(
                f"rediss://127.0.0.1:{proxy.port}?ssl_ca_certs={certificate}", timeout_seconds=30
            ) as redis:
                words = [b"x" * size for size in range(0, 100_000, 1000)]
                assert await asyncio.gather(*(redis.command("ECHO", word) for word in words)) == words
                for _ in range(10):
                    node.admin.client_kill_filter(_type="normal", skipme=True)
                    await asyncio.sleep(0.05)  # until the proxy has forwarded the end
                    await redis.ping()
            async with opened(f"rediss://127.0.0.1:{proxy.port}", timeout_seconds=30) as untrusting:
                with pytest.raises(RedisConnectionError, match="certificate"):
                    await untrusting.ping()
        async with opened(f"rediss://127.0.0.1:{node.port}") as no_tls:
            with pytest.raises(
                (RedisConnectionError, RedisTimeoutError)
            ):  # Redis waits for the end of a line, or closes
                await no_tls.ping()


async def test_a_silent_server_without_tls_is_named_at_once(tmp_path, monkeypatch):
    """A server that waits for more of what it does not understand is asked without TLS, before the time is over."""
    monkeypatch.setattr("service.redis_client.tls_mismatch._SILENT_SHARE", 0.01)

    async def wait_for_a_line(reader, writer):
        line = await reader.readline()
        writer.write(b"+PONG\r\n" if line == b"PING\r\n" else b"")
        await reader.read()
        writer.close()

    async with await asyncio.start_server(wait_for_a_line, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        with pytest.raises(ServerWithoutTls):
            await Connector(read_url(f"rediss://127.0.0.1:{port}", timeout_seconds=30), client_name="tests").connect()
    certificate, tls = certificate_for_127_0_0_1(tmp_path)
    with server(tmp_path / "redis") as node:
        async with Proxy(node.port, tls=tls) as proxy:
            monkeypatch.setattr("service.redis_client.tls_mismatch._SILENT_SHARE", 0.0)  # it is asked at once
            url = f"rediss://127.0.0.1:{proxy.port}?ssl_ca_certs={certificate}"
            connected = await Connector(read_url(url, timeout_seconds=30), client_name="tests").connect()
            connected.close()


@pytest.mark.parametrize("scenario", [test_a_unix_socket_and_a_database, test_tls_verifies_the_certificate])
def test_the_forms_work_on_uvloop(scenario, tmp_path):
    """The forms also work on uvloop, which has its own TLS and its own sockets."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(scenario(tmp_path))


async def test_a_server_that_is_not_there_is_a_connection_error():
    """A refused connection, an unknown host and a missing socket each raise ConnectionError."""
    for url in (f"redis://127.0.0.1:{free_port()}", "redis://no-such-host.invalid", "unix:///no/such/socket"):
        with pytest.raises(RedisConnectionError):
            await Connector(read_url(url), client_name="tests").connect()


def certificate_for_127_0_0_1(folder):
    """Make a self-signed certificate; return its file and a TLS context for a server."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path, key_path = folder / "certificate.pem", folder / "key.pem"
    path.write_bytes(certificate.public_bytes(Encoding.PEM))
    key_path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(path, key_path)
    return path, tls
