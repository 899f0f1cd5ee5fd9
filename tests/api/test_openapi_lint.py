"""A common linter finds nothing in the OpenAPI document: Redocly's, with `.ci/redocly.yaml`.

It comes from npm. Without access to npm's registry this test is skipped; `test_openapi.py` validates the document
against the specification everywhere.
"""

import asyncio
import json
from pathlib import Path

import pytest

from tests.npm import SECONDS, node, packages

RULES = Path(__file__).parents[2] / ".ci" / "redocly.yaml"
SILENT = {"REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true"}


@pytest.mark.slow
@pytest.mark.timeout(2 * SECONDS)
async def test_the_document_passes_redoclys_linter(document, tmp_path):
    """Redocly's linter finds no error in the document, and does find one that is inserted."""
    redocly = (await asyncio.to_thread(packages)) / ".bin" / "redocly"
    for name, content, sound in (("sound", document, True), ("faulty", {**document, "servers": []}, False)):
        file = tmp_path / f"{name}.json"
        file.write_text(json.dumps(content), "utf-8")
        words = (redocly, "lint", "--config", RULES, file.name)
        looked = await asyncio.to_thread(node, *words, folder=tmp_path, **SILENT)
        assert (looked.returncode == 0) == sound, looked.stdout
