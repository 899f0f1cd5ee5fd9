# /// script
# requires-python = ">=3.11"
# dependencies = ["openapi-python-client==0.29.1"]
# ///
"""A login written with the client that openapi-python-client makes of the OpenAPI document.

`test_generated_clients.py` runs it, in an environment of its own at the versions of `login.py.lock`; after a change of
the dependencies: `.venv/bin/uv lock --script tests/clients/login.py`.
"""

import json
import os
import re
import subprocess
import sys
import urllib.parse
import urllib.request
from importlib import import_module

GENERATE = ["-m", "openapi_python_client", "generate", "--path", "openapi.json", "--meta", "none", "--fail-on-warning"]
subprocess.run(
    [sys.executable, *GENERATE, "--output-path", "otp_client", "--config", "config.json"], check=True, stdout=sys.stderr
)
sys.path.insert(0, ".")
client = import_module("otp_client")
models = import_module("otp_client.models")
calls = {name: import_module(f"otp_client.api.verifications.{name}") for name in (
    "issue_verification", "verify_code", "read_verification", "resend_code", "cancel_verification"
)}  # fmt: skip


def newest_code(number: str) -> str:
    """Read the newest code from the simulator of Twilio."""
    query = urllib.parse.urlencode({"to": number})
    with urllib.request.urlopen(f"{os.environ['SIMULATOR_URL']}/_/messages?{query}") as response:  # noqa: S310
        return re.findall(r"\b\d{6}\b", json.load(response)[-1]["body"])[0]


url, number = os.environ["OTP_URL"], os.environ["NUMBER"]
back_end = client.AuthenticatedClient(base_url=url, token=os.environ["OTP_KEY"])
issued = calls["issue_verification"].sync(client=back_end, body=models.IssueBody(to=number))

front_end = client.AuthenticatedClient(base_url=url, token=issued.client_token)
verify = calls["verify_code"]
wrong = verify.sync(issued.id, client=front_end, body=models.CheckBody(code="0000"))
code = models.CheckBody(code=newest_code(number))
right = verify.sync(issued.id, client=front_end, body=code, idempotency_key="check-1")
read = calls["read_verification"].sync(issued.id, client=back_end)
resend = calls["resend_code"].sync(issued.id, client=back_end)
cancel = calls["cancel_verification"].sync(issued.id, client=back_end)
print(json.dumps([wrong.verdict, right.verdict, read.status, resend.code, cancel.status]))
