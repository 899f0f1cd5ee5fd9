"""The promises of the proxy examples: the client's true address arrives, a forged one does not; only the API is public.

The real nginx and Caddy run with the example files; only ports, certificate and log differ.
"""

import asyncio
import re
import ssl
from contextlib import asynccontextmanager, suppress
from fnmatch import fnmatch

import aiohttp
import pytest
from twilio.request_validator import RequestValidator
from yarl import URL

from service.config.settings import Settings
from tests.conftest import eventually
from tests.free_ports import free_port
from tests.link_paths import TOKEN, requests_for_a_link
from tests.proxies import DEPLOY, new_proxy, proxy_before


@pytest.fixture(params=["nginx", "caddy"])
async def proxied(request, start, tmp_path):
    """Start a service behind a real proxy: (service, proxy). Client tokens get 3 requests a minute per address."""
    proxy = new_proxy(request.param)
    service = await start(otp_limit_peer="3/1m", otp_trusted_proxies=1, otp_public_url=proxy.public)
    with proxy_before(int(service.url.rpartition(":")[2]), proxy, tmp_path):
        yield service, proxy


async def request_from(url, method="GET", *, source="127.0.0.1", **options):
    """Send a request from an address of this machine on a new connection; return (status, text)."""
    trust = ssl.create_default_context()
    trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE  # the certificate is self-signed
    connector = aiohttp.TCPConnector(local_addr=(source, 0), ssl=trust, force_close=True)
    async with (
        aiohttp.ClientSession(connector=connector) as http,
        http.request(method, url, allow_redirects=False, **options) as response,
    ):
        return response.status, await response.text()


def test_the_proxies_close_idle_connections_first():
    """Both examples close idle connections sooner than the service does, also while it drains."""
    kept = [
        int(re.search(r"keepalive_timeout ([0-9]+)s;", (DEPLOY / "nginx.conf").read_text("utf-8"))[1]),
        int(re.search(r"\skeepalive ([0-9]+)s\n", (DEPLOY / "Caddyfile").read_text("utf-8"))[1]),
    ]
    fields = Settings.model_fields
    assert max(kept) < min(fields["otp_keep_alive"].default, fields["otp_drain_seconds"].default)


@pytest.mark.slow
async def test_limits_count_by_the_address_of_the_client(proxied):
    """Each client address has its own limit, and a forged X-Forwarded-For neither evades it nor harms others."""
    service, proxy = proxied
    issued = await service.issue()
    url = f"{proxy.public}/v1/verifications/{issued['id']}"
    token = {"Authorization": f"Bearer {issued['client_token']}"}

    async def read(source, *forged):
        headers = [*token.items(), *(("X-Forwarded-For", value) for value in forged)]
        return (await request_from(url, source=source, headers=headers))[0]

    assert [await read("127.0.0.2") for _ in range(4)] == [200, 200, 200, 429]
    assert [await read("127.0.0.2", f"192.0.2.{number}") for number in range(4)] == [429] * 4
    assert await read("127.0.0.2", "127.0.0.4", "127.0.0.5") == 429
    assert [await read("127.0.0.3", "127.0.0.4") for _ in range(4)] == [200, 200, 200, 429]
    assert await read("127.0.0.4") == 200  # this address was forged above, and its limit is untouched


@pytest.mark.slow
async def test_only_the_api_and_the_callbacks_are_public(proxied):
    """What is for operators is 404 from outside, however its path is written; without TLS nothing is served."""
    service, proxy = proxied
    for path in (
        *("/metrics", "/readyz", "/livez", "/docs", "/redoc", "/openapi.json", "/", "//metrics"),
        *("/dashboard", "/dashboard/session", "/dashboard/files/main.js", "/v1/../dashboard"),
        *("/v1/../metrics", "/v1/%2e%2e/metrics", "/v1"),
    ):
        status, text = await request_from(URL(proxy.public + path, encoded=True))
        assert status == 404, path
        assert "otp_" not in text
    key = {"Authorization": f"Bearer {service.key}"}
    issue = {"json": {"to": "+14155550123"}, "headers": key}
    assert (await request_from(f"{proxy.plain}/v1/verifications", "POST", **issue))[0] == 403
    assert service.messages() == []
    assert (await request_from(f"{proxy.public}/v1/verifications", "POST", **issue))[0] == 201
    assert len(service.messages()) == 1


@pytest.mark.slow
async def test_a_callback_keeps_the_url_that_twilio_signed(proxied):
    """Path and query arrive unchanged, so that Twilio's signature over OTP_PUBLIC_URL holds."""
    service, proxy = proxied
    issued = await service.issue()
    url = f"{proxy.public}/twilio/status/{issued['id']}/1?tenant=a%2Fb&blank="
    fields = {"MessageSid": service.messages()[0].sid, "MessageStatus": "delivered", "RawDlrDoneDate": ""}
    signature = RequestValidator(service.sandbox.settings.auth_token).compute_signature(url, fields)
    sent = {"data": fields, "headers": {"X-Twilio-Signature": signature}}
    assert (await request_from(URL(url, encoded=True), "POST", **sent))[0] == 204
    assert (await request_from(URL(url + "x", encoded=True), "POST", **sent))[0] == 403
    assert (await service.read(issued["id"]))["sends"][0]["status"] == "delivered"
    # The test request of docs/production.md: curl --data ""
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    status, text = await request_from(f"{proxy.public}/twilio/status/probe/1", "POST", data=b"", headers=form)
    assert (status, "bad_signature" in text) == (403, True)


@pytest.mark.slow
@pytest.mark.parametrize("is_chunked", [False, True], ids=["announced", "chunked"])
async def test_a_large_body_does_not_reach_the_service(proxied, is_chunked):
    """A body that is larger than the service accepts gets a 413, from the proxy or from the service, never a 502.

    Caddy before 2.7 has passed on the head by then, and the service needs only the head to refuse.
    """
    service, proxy = proxied
    headers = {"Authorization": f"Bearer {service.key}", "Content-Type": "application/json"}

    async def parts():
        for _ in range(100):
            yield b" " * 1000

    for _ in range(5):
        body = parts() if is_chunked else b" " * 100_000
        status, text = await request_from(f"{proxy.public}/v1/verifications", "POST", data=body, headers=headers)
        assert status == 413
        assert proxy.name != "nginx" or '"code"' not in text  # the service's own 413 has a problem code


@asynccontextmanager
async def recording_server():
    """Serve as the service would: yield (port, the requests byte for byte); each gets a 204."""
    arrived, under_way = [], set()

    async def respond(reader, writer):
        under_way.add(asyncio.current_task())
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                end = await reader.readuntil(b"0\r\n\r\n") if b"chunked" in head else await reader.readexactly(2)
                arrived.append(head + end)
                writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    async with await asyncio.start_server(respond, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1], arrived
        await asyncio.wait(under_way)  # the connections end with the proxy


HOP_BY_HOP = {
    "Connection": "Upgrade, HTTP2-Settings, close",
    "Upgrade": "h2c, websocket",
    "HTTP2-Settings": "AAMAAABk",
    "Keep-Alive": "timeout=5",
    "Proxy-Connection": "keep-alive",
    "Proxy-Authorization": "Basic eA==",
    "TE": "trailers",
    "Expect": "100-continue",
}


async def status_through(proxy, lines, body):
    """Send one request to a proxy; return the status of its response."""
    trust = ssl.create_default_context()
    trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
    tls = trust if proxy.name == "nginx" else None
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.public_port, ssl=tls)
    writer.write(b"POST /v1/verifications HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Own: 1\r\n" + lines + b"\r\n" + body)
    status = b"100"
    while status == b"100":
        status = (await reader.readuntil(b"\r\n\r\n")).split()[1]
    writer.close()
    await writer.wait_closed()
    return status


@pytest.mark.slow
@pytest.mark.parametrize("without_connection", [False, True], ids=["named in Connection", "not named there"])
@pytest.mark.parametrize("name", ["nginx", "caddy"])
async def test_hop_by_hop_headers_do_not_reach_the_service(tmp_path, name, without_connection):
    """No hop-by-hop header of the client arrives, with or without Connection naming it, whatever the body's framing."""
    proxy = new_proxy(name)
    named = {key: value for key, value in HOP_BY_HOP.items() if not (without_connection and key == "Connection")}
    lines = "".join(f"{key}: {value}\r\n" for key, value in named.items()).encode()
    framings = [
        (b"Content-Length: 2\r\n", b"{}"),
        (b"Transfer-Encoding: chunked\r\n", b"2\r\n{}\r\n0\r\n\r\n"),
    ]
    async with recording_server() as (port, arrived):
        with proxy_before(port, proxy, tmp_path):
            for framing, body in framings:
                assert await status_through(proxy, lines + framing, body) == b"204"
    assert len(arrived) == len(framings)
    for request in arrived:
        lines = request.partition(b"\r\n\r\n")[0].lower().split(b"\r\n")[1:]
        names = {line.partition(b":")[0].decode() for line in lines}
        assert {"host", "x-own", "x-forwarded-for"} <= names
        assert not names & {key.lower() for key in HOP_BY_HOP}


async def test_the_examples_pass_on_every_endpoint(running):
    """Both examples pass on exactly the endpoints of the API document that are not for operators."""
    [pattern] = re.findall(r"location ~ (\S+) {", (DEPLOY / "nginx.conf").read_text("utf-8"))
    [globs] = re.findall(r"@public path (.+)", (DEPLOY / "Caddyfile").read_text("utf-8"))
    _, document, _ = await running.call("GET", "/openapi.json")
    for path, methods in document["paths"].items():
        is_public = all("operations" not in method["tags"] for method in methods.values())
        assert bool(re.search(pattern, path)) == is_public, path
        assert any(fnmatch(path, glob) for glob in globs.split()) == is_public, path


async def status_of(port, request, tls):
    """Send the bytes of a request on a new connection; return the status of the response."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
    writer.write(request)
    with suppress(ConnectionError):
        async with asyncio.timeout(30):
            received = await reader.read(12)
    writer.transport.abort()  # the proxy may wait for the body, and logs the request at its end
    return received[9:]


async def visit_in_every_spelling(proxy):
    """Send every spelling of the path to both ports, with a referrer, in several ways; return the statuses."""
    trust = ssl.create_default_context()
    trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
    ports = ((proxy.plain_port, None), (proxy.public_port, trust if proxy.name == "nginx" else None))
    return [await status_of(port, request, tls) for port, tls in ports for request in requests_for_a_link()]


def logs_of(folder):
    """Read all logs of a proxy."""
    return "".join(each.read_text("utf-8") for each in folder.glob("*log"))


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_links_are_let_in_and_no_log_has_their_path(proxied, tmp_path):
    """The page of a link and its style sheet are public; no spelling of a link's path gets a token into a log."""
    _, proxy = proxied
    for path in (f"/l/{TOKEN}", "/l/style.css", f"/%6c/{TOKEN}", f"/v1/x/l/{TOKEN}"):
        status, _ = await request_from(URL(proxy.public + path, encoded=True))
        assert status == (404 if "/v1/" in path else 200), path
    statuses = await visit_in_every_spelling(proxy)
    assert set(statuses) >= {b"200", b"400", b"403", b"404"}
    await request_from(f"{proxy.public}/v1/logged")
    if proxy.name == "nginx":  # Caddy logs no requests unless told to
        access_log = tmp_path / "access.log"
        assert await eventually(lambda: access_log.read_text("utf-8").count("\n") > len(statuses), seconds=30)
        assert "GET /v1/logged HTTP/1.1" in access_log.read_text("utf-8")
    assert TOKEN[1:] not in logs_of(tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize("name", ["nginx", "caddy"])
async def test_no_log_has_the_path_of_a_link_while_the_service_is_down(tmp_path, name):
    """A proxy that cannot reach the service logs that, with the path of the API, but never with that of a link."""
    proxy = new_proxy(name)
    with proxy_before(free_port(), proxy, tmp_path):
        assert (await request_from(f"{proxy.public}/l/{TOKEN}"))[0] == 502
        assert (await request_from(f"{proxy.public}/v1/down"))[0] == 502
        assert b"502" in await visit_in_every_spelling(proxy)
    logs = logs_of(tmp_path)
    assert "/v1/down" in logs
    assert TOKEN[1:] not in logs
