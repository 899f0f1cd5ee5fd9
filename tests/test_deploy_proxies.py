"""The promises of the proxy examples: the caller's true address arrives, a forged one does not, only the API is public.

The real nginx and Caddy run with the example files; only ports, certificate and log are a test's.
"""

import os
import re
import shutil
import socket
import ssl
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import aiohttp
import pytest
from twilio.request_validator import RequestValidator
from yarl import URL

from tests.absent import absent

DEPLOY = Path(__file__).parent.parent / "deploy"
PLACES = f"{os.environ.get('PATH', '')}:/usr/sbin"  # Debian's nginx is where only root looks


@dataclass
class Proxy:
    """A proxy that runs with its example: where the doors are, plain and public."""

    name: str
    plain: str
    public: str


def free_port():
    """Find a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def replaced(text, changes):
    """Put in what is a test's own; each pattern must be there, so that a changed example is noticed."""
    for pattern, new in changes.items():
        text, count = re.subn(pattern, new, text, flags=re.MULTILINE)
        assert count, pattern
    return text


def nginx(folder, service, plain, public):
    """Write nginx's configuration for a test; give the command that runs it."""
    (folder / "temp").mkdir()
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=otp.example.com", "-keyout", folder / "key.pem", "-out", folder / "cert.pem"],
        check=True, capture_output=True, timeout=30,
    )  # fmt: skip
    site = replaced(
        (DEPLOY / "nginx.conf").read_text("utf-8"),
        {
            r"127\.0\.0\.1:8000": f"127.0.0.1:{service}",
            r"^ *listen \[::\]:.*\n": "",
            "listen 80;": f"listen 127.0.0.1:{plain};",
            "listen 443 ssl;": f"listen 127.0.0.1:{public} ssl;",
            r"/etc/letsencrypt/live/otp\.example\.com/fullchain\.pem": str(folder / "cert.pem"),
            r"/etc/letsencrypt/live/otp\.example\.com/privkey\.pem": str(folder / "key.pem"),
        },
    )
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    own = "".join(f"{kind}_temp_path {folder}/temp/{kind};\n" for kind in kinds)
    main = folder / "main.conf"
    main.write_text(
        f"daemon off; master_process off; pid {folder}/pid; error_log stderr;\n"
        f"events {{}}\nhttp {{ access_log off;\n{own}{site}}}\n"
    )
    return ["nginx", "-p", str(folder), "-e", "stderr", "-c", str(main)]


def caddy(folder, service, plain, public):
    """Write Caddy's configuration for a test, with no TLS (a certificate comes from outside); give its command."""
    site = replaced(
        (DEPLOY / "Caddyfile").read_text("utf-8"),
        {
            r"127\.0\.0\.1:8000": f"127.0.0.1:{service}",
            r"^\{\n": "{\n\tadmin off\n\tauto_https off\n\tdefault_bind 127.0.0.1\n",
            r"^http://otp\.example\.com": f"http://127.0.0.1:{plain}",
            r"^otp\.example\.com": f"http://127.0.0.1:{public}",
        },
    )
    (folder / "Caddyfile").write_text(site)
    return ["caddy", "run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")]


@contextmanager
def running(command, port, folder):
    """Run a proxy until the block ends; wait until it listens."""
    environment = {"PATH": PLACES, "HOME": str(folder), "XDG_DATA_HOME": str(folder)}
    program = shutil.which(command[0], path=PLACES)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, *command[1:]], stdout=log, stderr=log, env=environment)
    try:
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline and process.poll() is None:
            with socket.socket() as knock:
                if knock.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.02)
        else:
            pytest.fail((folder / "log").read_text())
        yield
    finally:
        process.kill()  # not asked: Caddy would wait for connections that idle
        process.wait(timeout=15)


@pytest.fixture(params=["nginx", "caddy"])
async def proxied(request, start, tmp_path):
    """Start a service behind a real proxy: (service, proxy). Client tokens get 3 requests a minute per address."""
    for needed in (request.param, "openssl"):
        if shutil.which(needed, path=PLACES) is None:
            absent(f"there is no {needed} here, so the example for {request.param} is not tried")
    plain, public = free_port(), free_port()
    scheme = "https" if request.param == "nginx" else "http"
    url = f"{scheme}://127.0.0.1:{public}"
    service = await start(otp_limit_peer="3/1m", otp_trusted_proxies=1, otp_public_url=url)
    port = int(service.url.rpartition(":")[2])
    command = {"nginx": nginx, "caddy": caddy}[request.param](tmp_path, port, plain, public)
    with running(command, public, tmp_path):
        yield service, Proxy(request.param, f"http://127.0.0.1:{plain}", url)


async def ask(url, method="GET", *, source="127.0.0.1", **options):
    """Make one call from an address of this machine, on a connection of its own; give (status, text)."""
    trust = ssl.create_default_context()
    trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE  # the certificate is the test's own
    connector = aiohttp.TCPConnector(local_addr=(source, 0), ssl=trust, force_close=True)
    async with (
        aiohttp.ClientSession(connector=connector) as http,
        http.request(method, url, allow_redirects=False, **options) as answer,
    ):
        return answer.status, await answer.text()


@pytest.mark.slow
async def test_each_caller_is_limited_by_the_address_it_called_from(proxied):
    """Behind the example, addresses have limits of their own, and a forged X-Forwarded-For neither frees nor harms."""
    service, proxy = proxied
    issued = await service.issue()
    url = f"{proxy.public}/v1/verifications/{issued['id']}"
    token = {"Authorization": f"Bearer {issued['client_token']}"}

    async def read(source, *forged):
        headers = [*token.items(), *(("X-Forwarded-For", value) for value in forged)]
        return (await ask(url, source=source, headers=headers))[0]

    assert [await read("127.0.0.2") for _ in range(4)] == [200, 200, 200, 429]
    assert [await read("127.0.0.2", f"192.0.2.{number}") for number in range(4)] == [429] * 4
    assert await read("127.0.0.2", "127.0.0.4", "127.0.0.5") == 429
    assert [await read("127.0.0.3", "127.0.0.4") for _ in range(4)] == [200, 200, 200, 429]
    assert await read("127.0.0.4") == 200  # was named by a forger, and is as free as before


@pytest.mark.slow
async def test_only_the_api_and_the_callbacks_are_public(proxied):
    """Metrics, probes and docs are 404 from outside, however their paths are written; without TLS nothing is served."""
    service, proxy = proxied
    for path in ("/metrics", "/readyz", "/livez", "/docs", "/redoc", "/openapi.json", "/", "//metrics",
                 "/v1/../metrics", "/v1/%2e%2e/metrics", "/v1"):  # fmt: skip
        status, text = await ask(URL(proxy.public + path, encoded=True))
        assert status == 404, path
        assert "otp_" not in text
    key = {"Authorization": f"Bearer {service.key}"}
    issue = {"json": {"to": "+14155550123"}, "headers": key}
    assert (await ask(f"{proxy.plain}/v1/verifications", "POST", **issue))[0] == 403
    assert service.messages() == []
    assert (await ask(f"{proxy.public}/v1/verifications", "POST", **issue))[0] == 201
    assert len(service.messages()) == 1


@pytest.mark.slow
async def test_a_callback_keeps_the_address_that_twilio_signed(proxied):
    """Path and query arrive as Twilio called them, so that the signature over OTP_PUBLIC_URL holds."""
    service, proxy = proxied
    issued = await service.issue()
    url = f"{proxy.public}/twilio/status/{issued['id']}/1?tenant=a%2Fb&blank="
    fields = {"MessageSid": service.messages()[0].sid, "MessageStatus": "delivered", "RawDlrDoneDate": ""}
    signature = RequestValidator(service.sandbox.settings.auth_token).compute_signature(url, fields)
    sent = {"data": fields, "headers": {"X-Twilio-Signature": signature}}
    assert (await ask(URL(url, encoded=True), "POST", **sent))[0] == 204
    assert (await ask(URL(url + "x", encoded=True), "POST", **sent))[0] == 403
    assert (await service.read(issued["id"]))["sends"][0]["status"] == "delivered"
    # The README's probe: curl --data ""
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    status, text = await ask(f"{proxy.public}/twilio/status/probe/1", "POST", data=b"", headers=form)
    assert (status, "bad_signature" in text) == (403, True)


@pytest.mark.slow
async def test_a_large_body_does_not_reach_the_service(proxied):
    """What is larger than anything that the service takes is refused by the proxy (502 by Caddies before 2.7)."""
    service, proxy = proxied
    key = {"Authorization": f"Bearer {service.key}"}
    status, text = await ask(f"{proxy.public}/v1/verifications", "POST", data=b"x" * 100_000, headers=key)
    assert status in (413, 502)
    assert '"code"' not in text  # the service's own 413 is a problem with a code


async def test_the_examples_know_every_door(running):
    """Both examples let in what the API document lists, the operators' doors excepted: a new door is not forgotten."""
    [pattern] = re.findall(r"location ~ (\S+) {", (DEPLOY / "nginx.conf").read_text("utf-8"))
    [globs] = re.findall(r"@public path (.+)", (DEPLOY / "Caddyfile").read_text("utf-8"))
    _, document, _ = await running.call("GET", "/openapi.json")
    for path, methods in document["paths"].items():
        is_public = all("operations" not in method["tags"] for method in methods.values())
        assert bool(re.search(pattern, path)) == is_public, path
        assert any(fnmatch(path, glob) for glob in globs.split()) == is_public, path
