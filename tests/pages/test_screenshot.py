"""The picture in README.md can be reproduced."""

import os
import struct
import subprocess
import sys

import pytest

from tests.pages.conftest import ROOT

pytestmark = pytest.mark.slow


def test_the_script_takes_the_picture_that_the_readme_shows(tmp_path):
    """`make screenshot` signs in to the demo and saves a PNG of the same size as the committed one, under 200 KB."""
    command = [sys.executable, ROOT / "docs" / "screenshot.py", tmp_path / "demo.png"]
    subprocess.run(command, check=True, timeout=50, env=os.environ | {"PYTHONPATH": str(ROOT)})
    for picture in (tmp_path / "demo.png", ROOT / "docs" / "images" / "demo.png"):
        content = picture.read_bytes()
        assert content[:8] == b"\x89PNG\r\n\x1a\n"
        assert len(content) < 200_000
        assert struct.unpack(">II", content[16:24]) == (1220, 820)
