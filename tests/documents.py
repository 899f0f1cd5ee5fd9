"""Read the documents of the project for the tests: pages, headings, code blocks and curl commands."""

import itertools
import json
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
PAGES = [
    README,
    ROOT / "CONTRIBUTING.md",
    ROOT / "SECURITY.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").glob("*.md")),
    ROOT / "clients" / "web" / "README.md",
]
DEMO = "http://127.0.0.1:8000"
_CALL = re.compile(r"```sh\n(curl .*?)```(?:\n+```json\n(.*?)```)?", re.DOTALL)
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def name_of(path):
    """Return the path of a page relative to the project."""
    return path.relative_to(ROOT).as_posix()


def blocks(path, language):
    """Return the code blocks of a page in one language."""
    return [code for found, code in _BLOCK.findall(path.read_text("utf-8")) if found == language]


def anchors(path):
    """Return the anchors of a page's headings, as GitHub generates them."""
    headings = re.findall(r"^#+ (.+)$", _BLOCK.sub("", path.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def curl_calls(path):
    """Return each curl command of a page with the response shown below it, or None."""
    calls = _CALL.findall(path.read_text("utf-8"))
    return [(command, json.loads(response) if response else None) for command, response in calls]


def read_curl(command, values):
    """Parse a curl command into (method, path, headers, body); replace `$NAME` and `$(…)` as a shell would."""
    script = command.replace("curl ", "printf '%s\\n' ", 1)
    words = subprocess.run(
        ["sh", "-c", script], env={"PATH": "/usr/bin:/bin", **values}, capture_output=True, check=True
    )
    words = words.stdout.decode().splitlines()
    headers = dict(word.split(": ", 1) for flag, word in itertools.pairwise(words) if flag == "-H")
    body = next((json.loads(word) for flag, word in itertools.pairwise(words) if flag == "-d"), None)
    [url] = [word for word in words if word.startswith(DEMO)]
    method = "POST" if body is not None or "POST" in words else "GET"
    return method, url.removeprefix(DEMO), headers, body
