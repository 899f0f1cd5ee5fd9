"""The promises of `service.version`: one version, from the package's metadata, wherever a version is shown."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

from service.version import VERSION

ROOT = Path(__file__).parent.parent


def test_the_metadata_has_the_version_of_pyproject():
    """The installed package has the version of pyproject.toml; if not, run `make install`."""
    assert tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"] == VERSION


def test_the_version_is_shown_without_importing_the_service():
    """`otp-service --version` imports neither the commands nor any library."""
    code = "import sys\nfrom service.__main__ import main\nmain()\nprint(*sorted(sys.modules))"
    shown = subprocess.run(
        [sys.executable, "-c", code, "--version"], capture_output=True, text=True, check=True, timeout=60
    )
    first, modules = shown.stdout.splitlines()
    assert first == f"otp-service {VERSION}"
    assert not {"typer", "fastapi", "redis", "twilio", "asyncio", "service.cli"} & set(modules.split())


def test_the_changelog_starts_with_the_version():
    """The first heading of CHANGELOG.md is this version, with its date or `unreleased`."""
    first = re.search(r"^## (\S+) — (\S+)$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert first[1] == VERSION
    assert re.fullmatch(r"unreleased|\d{4}-\d\d-\d\d", first[2])


async def test_a_running_service_shows_the_version(start):
    """The OpenAPI document and the event `service_started` have this version."""
    events = []
    service = await start(event_log=lambda event, /, **fields: events.append((event, fields)))
    _, document, _ = await service.call("GET", "/openapi.json")
    assert document["info"]["version"] == VERSION
    assert [fields["version"] for event, fields in events if event == "service_started"] == [VERSION]
