"""The promise that a common linter finds nothing in the OpenAPI document: Redocly's, with `.ci/redocly.yaml`.

It comes from npm into a temporary folder. Where npm or its registry is away, this is skipped; `test_openapi.py`
holds the document to the specification everywhere.
"""

import asyncio
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

LINTER = "@redocly/cli@2.77.0"
RULES = Path(__file__).parents[2] / ".ci" / "redocly.yaml"
SECONDS = 150


def run(*command, folder):
    """Run a command of npm's world that leaves nothing behind outside the folder, and tells nobody about it."""
    quiet = {
        "npm_config_cache": str(folder / "cache"), "npm_config_update_notifier": "false",
        "REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true",
    }  # fmt: skip
    return subprocess.run(
        command, cwd=folder, env={**os.environ, **quiet}, timeout=SECONDS,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip


def linter(folder):
    """Install the linter in a folder; skip where that cannot be done."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("no npm here, so Redocly's linter cannot be had")
    installed = run(npm, "install", "--no-audit", "--no-fund", "--prefix", str(folder), LINTER, folder=folder)
    if installed.returncode:
        pytest.skip(f"npm could not install {LINTER}: {installed.stdout[-500:]}")
    return folder / "node_modules" / ".bin" / "redocly"


@pytest.mark.slow
@pytest.mark.timeout(2 * SECONDS)
async def test_the_document_passes_redoclys_linter(document, tmp_path):
    """Redocly's linter finds nothing in the document, and does find a fault that is put in."""
    redocly = await asyncio.to_thread(linter, tmp_path)
    for name, content, sound in (("sound", document, True), ("faulty", {**document, "servers": []}, False)):
        file = tmp_path / f"{name}.json"
        file.write_text(json.dumps(content), "utf-8")
        looked = await asyncio.to_thread(run, str(redocly), "lint", "--config", str(RULES), file.name, folder=tmp_path)
        assert (looked.returncode == 0) == sound, looked.stdout
