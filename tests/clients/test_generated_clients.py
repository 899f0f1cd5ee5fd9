"""The promises of the OpenAPI document to those who generate a client: common generators make clients that work.

Each login issues with a number alone, sends a wrong code and the right one with the client token, reads, and gets a
problem for a resend that is too late.
"""

import asyncio
import copy
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.absent import absent
from tests.npm import node, packages

HERE = Path(__file__).parent
UV = Path(sys.executable).parent / "uv"
NUMBER = "+14155550123"
RESULTS = ["wrong_code", "approved", "approved", "not_pending", "approved"]
SECONDS = 150
TSC = (
    "--noEmit",
    "--strict",
    "--target",
    "es2022",
    "--lib",
    "es2023,dom",
    "--module",
    "es2022",
    "--moduleResolution",
    "bundler",
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2 * SECONDS)]


@pytest.fixture
async def service(start):
    """Run a service; it has `document`, its OpenAPI document, and `variables` for the login."""
    service = await start()
    _, service.document, _ = await service.call("GET", "/openapi.json")
    service.variables = {
        "OTP_URL": service.url, "OTP_KEY": service.key, "SIMULATOR_URL": service.sandbox_url, "NUMBER": NUMBER,
    }  # fmt: skip
    return service


def compile_login(document, folder):
    """Make types of a document and compile the login with them; return the compiler's process."""
    folder.mkdir()
    (folder / "openapi.json").write_text(json.dumps(document), "utf-8")
    (folder / "login.ts").write_bytes((HERE / "login.ts").read_bytes())
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "node_modules").symlink_to(packages())
    made = node("node_modules/openapi-typescript/bin/cli.js", "openapi.json", "-o", "schema.ts", folder=folder)
    assert made.returncode == 0, made.stdout
    return node("node_modules/typescript/bin/tsc", *TSC, "login.ts", folder=folder)


async def test_a_login_in_typescript_compiles_and_works(service, tmp_path):
    """With openapi-typescript's defaults and `tsc --strict`, a login compiles, and with openapi-fetch it works."""
    compiled = await asyncio.to_thread(compile_login, service.document, tmp_path / "login")
    assert compiled.returncode == 0, compiled.stdout
    ran = await asyncio.to_thread(node, "login.ts", folder=tmp_path / "login", **service.variables)
    assert ran.returncode == 0, ran.stdout
    assert json.loads(ran.stdout.splitlines()[-1]) == RESULTS


async def test_a_default_on_a_property_would_break_the_login(service, tmp_path):
    """The compiler does look: with a `default` on `purpose`, a request with a number alone no longer compiles."""
    document = copy.deepcopy(service.document)
    document["components"]["schemas"]["IssueBody"]["properties"]["purpose"]["default"] = "login"
    compiled = await asyncio.to_thread(compile_login, document, tmp_path / "login")
    assert compiled.returncode != 0
    assert "Property 'purpose' is missing" in compiled.stdout


def run_python_login(folder, variables):
    """Generate the Python client and run its login; return the process."""
    words = [UV, "run", "--no-config", "--no-python-downloads", "--python", sys.executable, "--locked", "--script"]
    environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"} | variables
    return subprocess.run(
        [*words, HERE / "login.py"], check=False, cwd=folder, env=environment | {"UV_SYSTEM_CERTS": "true"},
        capture_output=True, text=True, timeout=SECONDS,
    )  # fmt: skip


async def test_a_login_in_python_works(service, tmp_path):
    """openapi-python-client generates a client without a warning, and a login with it works."""
    (tmp_path / "openapi.json").write_text(json.dumps(service.document), "utf-8")
    (tmp_path / "config.json").write_text('{"post_hooks": []}')
    ran = await asyncio.to_thread(run_python_login, tmp_path, service.variables)
    if "Failed to fetch" in ran.stderr or "dns error" in ran.stderr:
        absent("the index of packages is not reachable, so openapi-python-client cannot be installed")
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == RESULTS
