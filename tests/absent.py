"""What a test does where a program or a network that it needs is away: skip, but fail in CI.

A skip is for the machine of somebody who has not everything. Where everything must hold (CI=true), a test that does
not run would look like one that passed.
"""

import os
from typing import NoReturn

import pytest


def absent(sentence: str) -> NoReturn:
    """End the test with a sentence on what is not there: skipped, but failed where CI=true."""
    (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(sentence)
