"""What the OpenAPI document allows, and what it forbids (A9, A14): schemathesis plays both against a real process.

It checks that there is no 5xx, that every answer has a status, headers and a body that the document names, that
what is valid is accepted and what is not is refused, and that no route opens without its credential (`ignored_auth`).
`make fuzz` plays longer.
"""

import asyncio
import os
import sys
from pathlib import Path

import pytest

SECONDS = int(os.environ.get("FUZZ_SECONDS", "15"))
PROGRAM = Path(sys.executable).with_name("schemathesis")
HERE = Path(__file__).parent


async def schemathesis(url, folder, *, key, seconds=SECONDS):
    """Run schemathesis as its users do; give its exit code and what it wrote."""
    run = await asyncio.create_subprocess_exec(
        PROGRAM, f"--config-file={HERE / 'schemathesis.toml'}", "--no-color",
        "run", f"{url}/openapi.json", f"--max-time={seconds}",
        cwd=folder,
        env={"PATH": os.environ["PATH"], "FUZZ_KEY": key, "SCHEMATHESIS_HOOKS": str(HERE / "fresh_requests.py")},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    written, _ = await run.communicate()
    return run.returncode, written.decode()


@pytest.mark.slow
@pytest.mark.timeout(SECONDS + 120)
async def test_requests_drawn_from_the_document_find_no_fault(start, launch, tmp_path):
    """A9, A14: thousands of valid and invalid requests, with and without a credential, find nothing."""
    process = await launch(await start(otp_worker=False), OTP_LOG_LEVEL="error")
    status, written = await schemathesis(process.client.url, tmp_path, key=process.client.key)
    assert status == 0, written
    assert "unexpected_error" not in process.log
    assert (
        len({message.to for message in process.client.sandbox.ledger.messages()}) > 1
    )  # the key did open the endpoints


# Endpoints that ask for a key or a token, with the lock taken out.
OPEN_ENDPOINTS = """
from dataclasses import replace
from service.http.authentication import Authenticator

key_or_token = Authenticator.key_or_token

async def let_in(call, path):
    pass

Authenticator.key_or_token = lambda self, scope: replace(key_or_token(self, scope), authorize=let_in)
"""


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_schemathesis_notices_an_endpoint_without_a_lock(start, launch, tmp_path):
    """Control of A14: the same run fails where verify, resend and read are open to strangers, and says why."""
    (tmp_path / "sitecustomize.py").write_text(OPEN_ENDPOINTS)
    process = await launch(await start(otp_worker=False), python_path=[tmp_path])
    status, written = await schemathesis(process.client.url, tmp_path, key=process.client.key, seconds=5)
    assert status == 1
    assert "accepts requests without authentication" in written, written
