"""The promises of the package: what is in the wheel and the sdist, what PyPI shows, and that the wheel alone runs.

The wheel is built from the sdist, as in a release. Without an index of packages these tests are skipped.
"""

import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email import message_from_bytes
from pathlib import Path, PurePosixPath

import pytest
import yaml

from tests.absent import absent
from tests.free_ports import free_port

ROOT = Path(__file__).parent.parent
UV = Path(sys.executable).parent / "uv"
SECONDS = 120
# Behind a proxy uv needs these; nothing else of the environment is passed on.
PASSED_ON = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR", "UV_INDEX_URL")
UNREACHABLE = re.compile("dns error|Connection refused|Network is unreachable|timed out|tunnel error")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2 * SECONDS)]


def uv(*words, folder, **variables):
    """Run uv; return what it printed. Without a network the test ends."""
    environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    environment |= {"PATH": "/usr/bin:/bin", "UV_SYSTEM_CERTS": "true", **variables}
    ran = subprocess.run(
        [UV, "--no-config", "--no-python-downloads", *words],
        check=False, cwd=folder, env=environment, capture_output=True, text=True, timeout=SECONDS,
    )  # fmt: skip
    if away := UNREACHABLE.search(ran.stderr):
        absent(f"the index of packages is not reachable ({away[0]}), so nothing can be built or installed")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


@pytest.fixture(scope="module")
def cache():
    """Return uv's cache, so that packages are not downloaded again."""
    return subprocess.run([UV, "cache", "dir"], capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture(scope="module")
def built(tmp_path_factory, cache):
    """Build the sdist, and the wheel from it; return the paths of both."""
    folder = tmp_path_factory.mktemp("built")
    uv("build", "--python", sys.executable, "--out-dir", folder, folder=ROOT, UV_CACHE_DIR=cache)
    [sdist], [wheel] = folder.glob("*.tar.gz"), folder.glob("*.whl")
    return sdist, wheel


@pytest.fixture(scope="module")
def metadata(built):
    """Return the metadata in the wheel: what PyPI shows."""
    with zipfile.ZipFile(built[1]) as wheel:
        [name] = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
        return message_from_bytes(wheel.read(name))


def tracked(folder):
    """List the files of a folder that git tracks."""
    listed = subprocess.run(["git", "ls-files", folder], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return set(listed.splitlines())


def included():
    """Return the files of other folders that the wheel has too: {path in the wheel: path in the repository}."""
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]["targets"]["wheel"]
    return {inside: path for path, inside in wheel.get("force-include", {}).items()}


def test_the_wheel_contains_the_service_and_nothing_else(built):
    """The wheel has every tracked file of `service/` (pages, Lua scripts, py.typed), the licence, and nothing else."""
    with zipfile.ZipFile(built[1]) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
        assert [name for name in wheel.namelist() if name.endswith(".dist-info/licenses/LICENSE")]
        for inside, path in included().items():
            assert wheel.read(inside) == (ROOT / path).read_bytes()
    assert names == tracked("service") | set(included())
    assert {"service/py.typed", "service/demo/pages/otp.js"} <= names
    assert {PurePosixPath(name).suffix for name in names} >= {".py", ".lua", ".html", ".css", ".js", ".svg", ".md"}


def test_the_sdist_contains_only_what_the_wheel_is_built_from(built):
    """The sdist has the service, the browser package, the licence and the pages for readers; no tests, no tools."""
    with tarfile.open(built[0]) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    read = {
        "README.md",
        "CHANGELOG.md",
        "LICENSE",
        "pyproject.toml",
        "PKG-INFO",
        ".gitignore",
    }  # hatchling adds the last
    assert names == tracked("service") | tracked("clients/web") | read
    assert set(included().values()) <= names


def test_the_metadata_is_complete(metadata):
    """PyPI shows the README, the licence, keywords, and the versions of Python that CI runs."""
    assert metadata["License-Expression"] == "MIT"
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert metadata.get_payload(decode=True).decode() == (ROOT / "README.md").read_text("utf-8")
    assert {"otp", "twilio"} <= set(metadata["Keywords"].split(","))
    classifiers = metadata.get_all("Classifier")
    assert "Typing :: Typed" in classifiers
    versions = [name.rsplit(" ", 1)[1] for name in classifiers if re.search(r"Python :: 3\.\d+$", name)]
    matrix = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text("utf-8"))["jobs"]["test"]["strategy"]
    assert versions == matrix["matrix"]["python"]


def test_the_wheel_alone_runs_the_demo(built, cache, tmp_path):
    """With the wheel, uv and an empty environment, `uvx --from <wheel> otp-service demo --once` closes the loop."""
    home, work = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    work.mkdir()
    command = ("otp-service", "demo", "--once", "--port", str(free_port()))
    told = uv(
        "tool", "run", "--python", sys.executable, "--from", built[1], *command,
        folder=work, HOME=str(home), UV_CACHE_DIR=cache,
    )  # fmt: skip
    assert re.search(r"Twilio told\s+Outcome=confirmed for SM[0-9a-f]{32}", told), told
    assert list(work.iterdir()) == []
