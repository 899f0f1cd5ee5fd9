"""What the OpenAPI document allows and forbids (A9, A14): schemathesis tries both against a real process.

It checks that there is no 5xx, that every response has a documented status, headers and body, that valid requests are
accepted and invalid ones refused, and that no route works without its credential (`ignored_auth`). `make fuzz` runs
longer.
"""

import asyncio
import os
import sys
from pathlib import Path

import pytest

SECONDS = int(os.environ.get("FUZZ_SECONDS", "80"))  # on a slow machine the phase before the links takes most of it
PROGRAM = Path(sys.executable).with_name("schemathesis")
HERE = Path(__file__).parent


async def schemathesis(url, folder, *, key, seconds=SECONDS):
    """Run schemathesis as its users do; return its exit status and output."""
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
@pytest.mark.timeout(5 * SECONDS + 180)
async def test_requests_generated_from_the_document_find_no_error(start, launch, tmp_path):
    """A9, A14: thousands of valid and invalid requests, with and without a credential, find no error."""
    process = await launch(await start(otp_worker=False), OTP_LOG_LEVEL="error")
    status, written = await schemathesis(process.client.url, tmp_path, key=process.client.key)
    if "Missing test data" in written:  # a slow machine did not come to what others had created
        status, written = await schemathesis(process.client.url, tmp_path, key=process.client.key, seconds=4 * SECONDS)
    assert status == 0, written
    assert "unexpected_error" not in process.log
    assert (
        len({message.to for message in process.client.sandbox.ledger.messages()}) > 1
    )  # the key was accepted by the endpoints


# Endpoints that require a key or a token, with authentication removed.
OPEN_ENDPOINTS = """
from dataclasses import replace
from service.http.authentication import Authenticator

key_or_token = Authenticator.key_or_token

async def let_in(request):
    pass

Authenticator.key_or_token = lambda self, scope: replace(key_or_token(self, scope), authorize=let_in)
"""


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_schemathesis_detects_an_unprotected_endpoint(start, launch, tmp_path):
    """Control of A14: the same run fails if verify, resend and read need no credential, and says why."""
    (tmp_path / "sitecustomize.py").write_text(OPEN_ENDPOINTS)
    process = await launch(await start(otp_worker=False), python_path=[tmp_path])
    status, written = await schemathesis(process.client.url, tmp_path, key=process.client.key, seconds=20)
    assert status == 1
    assert "accepts requests without authentication" in written, written
