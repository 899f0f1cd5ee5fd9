"""The promises of the `Makefile`: it names the cause when it cannot work, and hides no failure."""

import os
import shutil
import ssl
import subprocess
import sys
import threading
import zipfile
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

MAKEFILE = Path(__file__).parent.parent / "Makefile"


@pytest.fixture
def make_demo(tmp_path):
    """Return a function that runs `make demo` with a given interpreter, which must fail; it returns the output."""
    shutil.copy(MAKEFILE, tmp_path)
    for needed in ("pyproject.toml", "uv.lock"):
        (tmp_path / needed).touch()

    def run(python):
        command = ["make", "--no-print-directory", "demo", f"PYTHON={python}"]
        ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=30)
        assert ended.returncode != 0
        assert not (tmp_path / ".venv").exists()
        return ended.stdout

    return run


def script(path, text):
    """Write a shell script with this command; return its path."""
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_the_help_fits_a_terminal():
    """`make help` lists the targets with aligned texts, in at most 80 columns."""
    command = ["make", "--no-print-directory", "-f", str(MAKEFILE), "help"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout.splitlines()
    assert [line for line in lines if len(line) > 80 or line[16] != " " or line[17] == " "] == []
    assert len(lines) > 15


def test_a_broken_interpreter_is_named(make_demo, tmp_path):
    """If PYTHON is empty, unknown, broken or another program, one line names it and says what to do."""
    broken = script(tmp_path / "broken", "exit 1")
    for python in ("", "no-such-python", "true", "echo", broken):
        [line] = make_demo(python).splitlines()
        assert line.startswith(f"PYTHON is '{python}'")
        assert "make PYTHON=" in line


def test_an_old_interpreter_is_named_with_its_version(make_demo, tmp_path):
    """A Python before 3.11 is refused with its version, even if it prints that to standard error, as Python 2 does."""
    behaviour = 'case "$*" in *"print(1)") echo 1;; --version) echo Python 2.7.18 >&2;; *) exit 1;; esac'
    [line] = make_demo(script(tmp_path / "old", behaviour)).splitlines()
    assert "Python 2.7.18;" in line
    assert "make PYTHON=" in line


@pytest.fixture
def installed(tmp_path):
    """Return a function that runs a target in a complete installation where each tool is a script that succeeds."""
    shutil.copy(MAKEFILE, tmp_path)
    shutil.copytree(MAKEFILE.parent / ".ci", tmp_path / ".ci")
    for needed in ("pyproject.toml", "uv.lock"):
        shutil.copy(MAKEFILE.parent / needed, tmp_path)
    tools = tmp_path / ".venv" / "bin"
    tools.mkdir(parents=True)
    for done in ("uv", "service", "installed"):
        (tools.parent / done).touch()
    for tool in ("ruff", "mypy", "lint-imports", "uv", "mutmut"):
        script(tools / tool, "exit 0")
    script(tools / "python", f'exec {sys.executable} "$@"')

    def run(target, **environment):
        command = ["make", "--no-print-directory", target]
        return subprocess.run(
            command, cwd=tmp_path, env=environment or None, capture_output=True, text=True, check=False, timeout=60
        )

    run.tools = tools
    return run


@pytest.mark.parametrize("tool", ["ruff", "mypy", "lint-imports"])
def test_make_check_fails_if_any_check_fails(installed, tool):
    """`make check` passes only if lint, types and import contracts all pass."""
    assert installed("check").returncode == 0
    script(installed.tools / tool, "exit 1")
    assert installed("check").returncode != 0


def test_make_mutants_fails_if_mutmut_fails(installed):
    """A failing mutmut is reported as the cause; a mutmut without results is a failure, too."""
    ended = installed("mutants")
    assert (ended.returncode != 0, "service/core/actions/code.py" in ended.stdout) == (True, True)
    script(installed.tools / "mutmut", "exit 3")
    ended = installed("mutants")
    assert (ended.returncode != 0, "mutants.log" in ended.stdout) == (True, True)


@pytest.fixture
def bare(installed, tmp_path):
    """Return a function that installs the service with only PATH, HOME and the given environment."""
    for done in ("service", "installed"):
        (installed.tools.parent / done).unlink()

    def run(pip_configuration="", **environment):
        (tmp_path / "pip.conf").write_text(pip_configuration)
        known = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PIP_CONFIG_FILE": str(tmp_path / "pip.conf")}
        return installed("install-service", **known, **environment)

    run.tools = installed.tools
    return run


def test_uv_trusts_the_certificates_of_the_system(bare, tmp_path):
    """By default uv trusts the certificates of the system; UV_SYSTEM_CERTS overrides that."""
    script(bare.tools / "uv", f'echo "$UV_SYSTEM_CERTS" >>{tmp_path}/used; exit 1')
    for environment in ({}, {"UV_SYSTEM_CERTS": "false"}):
        assert bare(**environment).returncode != 0
    assert (tmp_path / "used").read_text().split() == ["true", "false"]


@pytest.mark.parametrize(
    ("configuration", "environment", "used"),
    [
        ("[global]\ncert = /a.pem\nproxy = http://p:1\n", {}, "/a.pem http://p:1"),
        ("[global]\ncert = /a.pem\nproxy = o:1\n[install]\ncert = /b.pem\nproxy = p:1\n", {}, "/b.pem p:1"),
        ("[install]\ncert = /b.pem\nproxy = p:1\n", {"PIP_CERT": "/c.pem"}, "/c.pem p:1"),
        ("[global]\ncert = /a.pem\nproxy = p:1\n", {"SSL_CERT_FILE": "/d.pem", "ALL_PROXY": "q:1"}, "/d.pem q:1"),
    ],
)
def test_uv_uses_the_certificates_and_proxy_of_pip(bare, tmp_path, configuration, environment, used):
    """The certificates and the proxy of pip's configuration reach uv, in pip's order; uv's own variables win."""
    script(bare.tools / "uv", f'echo "${{SSL_CERT_FILE:--}} ${{ALL_PROXY:--}}" >{tmp_path}/used')
    assert bare(configuration, **environment).returncode == 0
    assert (tmp_path / "used").read_text().strip() == used


def test_a_package_that_cannot_be_fetched_names_the_proxy(bare):
    """The last line names the variables that help behind a proxy and behind one that inspects TLS."""
    script(bare.tools / "uv", "exit 2")
    last = bare().stdout.splitlines()[-1]
    assert all(name in last for name in ("HTTPS_PROXY", "SSL_CERT_FILE"))


@pytest.fixture
def index(tmp_path):
    """Serve a package index over TLS with a certificate that no store contains; yield its address and CA file."""
    served = tmp_path / "served"
    (served / "simple" / "tiny").mkdir(parents=True)
    wheel = "tiny-1-py3-none-any.whl"
    with zipfile.ZipFile(served / wheel, "w") as archive:
        archive.writestr("tiny.py", "")
        archive.writestr("tiny-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1\n")
        archive.writestr("tiny-1.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("tiny-1.dist-info/RECORD", "")
    (served / "simple" / "tiny" / "index.html").write_text(f'<a href="/{wheel}">{wheel}</a>')
    certificate = own_certificate(tmp_path)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=served))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    yield f"https://127.0.0.1:{server.server_port}/simple", certificate
    server.shutdown()
    serving.join()
    server.server_close()


def own_certificate(folder):
    """Write a key and a self-signed certificate for 127.0.0.1, as a private CA does."""
    key, name = (
        ec.generate_private_key(ec.SECP256R1()),
        x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "own")]),
    )
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "own.pem").write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return folder / "own.pem"


@pytest.mark.slow
def test_a_certificate_that_pip_trusts_is_trusted_by_uv(bare, index, tmp_path):
    """The real uv fetches from an index whose certificate only pip's configuration trusts."""
    url, certificate = index
    project = '[project]\nname = "x"\nversion = "1"\nrequires-python = ">=3.11"\ndependencies = ["tiny"]\n'
    own_index = f'[tool.uv]\npackage = false\n[[tool.uv.index]]\nurl = "{url}"\ndefault = true\n'
    (tmp_path / "pyproject.toml").write_text(project + own_index)
    (tmp_path / "uv.lock").unlink()
    shutil.rmtree(bare.tools)
    subprocess.run([sys.executable, "-m", "venv", tmp_path / ".venv"], check=True, timeout=60)
    uv = Path(sys.executable).parent / "uv"
    (bare.tools / "uv").symlink_to(uv)
    trusting = {**os.environ, "SSL_CERT_FILE": str(certificate)}
    subprocess.run([uv, "lock", "--no-cache"], cwd=tmp_path, env=trusting, check=True, capture_output=True, timeout=60)
    untrusted = bare(UV_NO_CACHE="1", SSL_CERT_FILE="/etc/ssl/certs/ca-certificates.crt")
    assert (untrusted.returncode != 0, "UnknownIssuer" in untrusted.stderr) == (True, True), untrusted
    ended = bare(f"[install]\ncert = {certificate}\n", UV_NO_CACHE="1")
    assert ended.returncode == 0, ended
    assert list(tmp_path.glob(".venv/lib/python*/site-packages/tiny.py"))


FAILS_ONCE = """
from pathlib import Path

def test_passes():
    pass

def test_waits():
    seen = Path(__file__).with_name("seen")
    ran_before = seen.exists()
    seen.touch()
    assert ran_before
"""


@pytest.mark.parametrize(
    ("tests", "status"), [(FAILS_ONCE, 0), (FAILS_ONCE + "\ndef test_fails():\n    assert False\n", 2)]
)
def test_a_failed_test_runs_a_second_time_and_is_named(tmp_path, tests, status):
    """`make test` runs only what failed once more and names it; what fails twice fails the run."""
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = alone\n")
    (tmp_path / "test_some.py").write_text(
        tests + "\nimport pytest\n\n@pytest.mark.alone\ndef test_alone():\n    pass\n"
    )
    command = [
        "make",
        "--no-print-directory",
        "-f",
        str(MAKEFILE),
        "-o",
        "install",
        "test",
        f"BIN={Path(sys.executable).parent}",
    ]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == status, ended.stdout
    _, second = ended.stdout.split("a second time")
    assert ("test_waits" in second, "test_passes" in second) == (True, False)
