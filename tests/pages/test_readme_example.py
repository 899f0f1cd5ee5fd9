"""The front end example of the README works in a browser as printed."""

import re

import pytest
import requests

from tests.documents import README, blocks

NUMBER = "+17735550100"
pytestmark = pytest.mark.slow
[EXAMPLE] = blocks(README, "js")


def test_the_example_checks_codes_with_the_client_token_alone(page, demo, complaints):
    """An invalid code returns a sentence, a wrong one its verdict, and the right one, with a blank, is approved."""
    headers = {"Authorization": f"Bearer {demo.key}"}
    login = requests.post(f"{demo.url}/v1/verifications", json={"to": NUMBER}, headers=headers, timeout=10).json()
    [message] = requests.get(f"{demo.url}/sandbox/_/messages", params={"to": NUMBER}, timeout=30).json()
    [code] = re.findall(r"\b[0-9]{6}\b", message["body"])
    wrong = "000000" if code != "000000" else "111111"
    page.goto(f"{demo.url}/sandbox/phone")  # any page of the same origin
    run = f"async ([login, code]) => {{ const OTP_URL = location.origin; {EXAMPLE}; return check(login, code); }}"
    login = {name: login[name] for name in ("id", "client_token")}
    assert page.evaluate(run, [login, "12"]) == "The code has 4 to 8 digits."
    assert "422" in complaints.pop()  # the browser's own message
    assert page.evaluate(run, [login, wrong]) == "wrong_code, 4 attempts left"
    assert page.evaluate(run, [login, f"{code[:3]} {code[3:]}"]) == "approved"
