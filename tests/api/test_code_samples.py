"""The promises of `service.api.code_samples`: every operation has samples in three languages, and they run."""

import asyncio
import os
import re
import shutil
import subprocess
import sys

import pytest
from twilio.request_validator import RequestValidator

from tests.absent import absent
from tests.npm import node

LABELS = ["curl", "Python", "JavaScript"]
PROBLEM = "/docs/problems#"


def test_every_operation_has_samples_in_three_languages(operations):
    """Each operation has one sample in curl, Python and JavaScript, without a key, an id or an address in it."""
    for _, path, operation in operations:
        samples = operation["x-codeSamples"]
        assert [sample["label"] for sample in samples] == LABELS, path
        for sample in samples:
            assert "OTP_URL" in sample["source"]
            assert not [word for word in ("otp_sk_", "vt_", "ve_", "http://") if word in sample["source"]]


def run(label, source, folder, variables):
    """Run a sample with the program of its language; return what it printed."""
    environment = {**os.environ, **variables}
    if label == "JavaScript":
        (folder / "sample.mjs").write_text(source, "utf-8")
        ran = node("sample.mjs", folder=folder, **variables)
    else:
        if label == "curl" and shutil.which("curl") is None:
            absent("there is no curl here")
        command = ["sh", "-c", source] if label == "curl" else [sys.executable, "-c", source]
        ran = subprocess.run(command, check=False, env=environment, capture_output=True, text=True, timeout=30)
    assert ran.returncode == 0, (label, ran.stdout, ran.stderr)
    return ran.stdout


@pytest.mark.slow
@pytest.mark.parametrize("label", LABELS)
async def test_every_sample_runs_and_gets_no_problem(running, operations, tmp_path, label):
    """Copied as it is, with the variables set, each sample gets the documented response."""
    for _, path, operation in operations:
        issued = await running.issue()
        variables = {"OTP_URL": running.url, "OTP_KEY": running.key, "ID": issued["id"]}
        if "twilio" in path:
            [content] = operation["requestBody"]["content"].values()
            form = next(iter(content["examples"].values()))["value"]
            filled = re.sub(r"\{\w+_number\}", "1", path.replace("{verification_id}", issued["id"]))
            address = running.url + filled
            variables["SIGNATURE"] = RequestValidator("sandbox-auth-token").compute_signature(address, form)
        [source] = [sample["source"] for sample in operation["x-codeSamples"] if sample["label"] == label]
        printed = await asyncio.to_thread(run, label, source, tmp_path, variables)
        assert PROBLEM not in printed, (path, printed)
        if label != "curl":  # curl prints no status
            assert printed[:3] in operation["responses"], (path, printed)
