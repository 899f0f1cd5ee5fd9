"""Run the real nginx and Caddy with the example files of deploy/; only ports, certificate and log differ."""

import os
import re
import shutil
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import pytest

from tests.absent import absent
from tests.free_ports import free_port, wait_until_listening

DEPLOY = Path(__file__).parent.parent / "deploy"
PLACES = f"{os.environ.get('PATH', '')}:/usr/sbin"  # Debian installs nginx in a folder that only root has in its PATH


UNLOCKED = {r"^\s*header_up -.*\n": ""}  # Caddy's example without the lines that remove Upgrade and similar headers


@dataclass
class Proxy:
    """A proxy that runs with its example: its plain and its public address, and the changes to the example."""

    name: str
    plain_port: int
    public_port: int
    changes: dict[str, str]

    @property
    def plain(self):
        """Return the address without TLS, where nothing is served."""
        return f"http://127.0.0.1:{self.plain_port}"

    @property
    def public(self):
        """Return the public address. Without TLS for Caddy, which would fetch its certificate from the Internet."""
        return f"{'https' if self.name == 'nginx' else 'http'}://127.0.0.1:{self.public_port}"


def new_proxy(name, changes=MappingProxyType({})):
    """Choose ports for a proxy; skip the test if its program is missing."""
    for needed in (name, "openssl"):
        if shutil.which(needed, path=PLACES) is None:
            absent(f"there is no {needed} here, so the example for {name} is not tried")
    return Proxy(name, free_port(), free_port(), changes)


@contextmanager
def proxy_before(service_port, proxy, folder, more=""):
    """Run a proxy in front of a service until the block ends; `more` is added to its configuration."""
    command = {"nginx": nginx, "caddy": caddy}[proxy.name](folder, service_port, proxy, more)
    with running(command, proxy.public_port, folder):
        yield


def replaced(text, changes):
    """Apply changes to an example; each pattern must match, so that a changed example is noticed."""
    for pattern, new in changes.items():
        text, count = re.subn(pattern, new, text, flags=re.MULTILINE)
        assert count, pattern
    return text


def nginx(folder, service, proxy, more):
    """Write nginx's configuration for a test; return the command that runs it."""
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
            "listen 80;": f"listen 127.0.0.1:{proxy.plain_port};",
            "listen 443 ssl;": f"listen 127.0.0.1:{proxy.public_port} ssl;",
            "/var/log/nginx/": f"{folder}/",
            r"/etc/letsencrypt/live/otp\.example\.com/fullchain\.pem": str(folder / "cert.pem"),
            r"/etc/letsencrypt/live/otp\.example\.com/privkey\.pem": str(folder / "key.pem"),
        },
    )
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    own = "".join(f"{kind}_temp_path {folder}/temp/{kind};\n" for kind in kinds)
    main = folder / "main.conf"
    main.write_text(
        f"daemon off; master_process off; pid {folder}/pid; error_log stderr;\n"
        f"events {{}}\nhttp {{ access_log off;\n{own}{site}{more}}}\n"
    )
    return ["nginx", "-p", str(folder), "-e", "stderr", "-c", str(main)]


def caddy(folder, service, proxy, more):
    """Write Caddy's configuration for a test, without TLS; return the command that runs it."""
    site = replaced(
        (DEPLOY / "Caddyfile").read_text("utf-8"),
        {
            r"127\.0\.0\.1:8000": f"127.0.0.1:{service}",
            r"^\{\n": "{\n\tadmin off\n\tauto_https off\n\tdefault_bind 127.0.0.1\n",
            r"^http://otp\.example\.com": f"http://127.0.0.1:{proxy.plain_port}",
            r"^otp\.example\.com": f"http://127.0.0.1:{proxy.public_port}",
            **proxy.changes,
        },
    )
    (folder / "Caddyfile").write_text(site + more)
    return ["caddy", "run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")]


@contextmanager
def running(command, port, folder):
    """Run a proxy until the block ends; enter the block once it listens."""
    environment = {"PATH": PLACES, "HOME": str(folder), "XDG_DATA_HOME": str(folder)}
    program = shutil.which(command[0], path=PLACES)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, *command[1:]], stdout=log, stderr=log, env=environment)
    try:
        if not wait_until_listening(process, port):
            pytest.fail((folder / "log").read_text())
        yield
    finally:
        process.kill()  # SIGTERM would let Caddy wait for idle connections
        process.wait(timeout=15)
