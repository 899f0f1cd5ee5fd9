"""The front end examples of README.md and docs/message-feedback.md work in a browser as printed."""

import re

import pytest
import requests

from tests.documents import README, ROOT, blocks

NUMBER = "+17735550100"
pytestmark = pytest.mark.slow
[EXAMPLE] = blocks(README, "js")
[WAITING] = blocks(ROOT / "docs" / "message-feedback.md", "js")


def test_the_example_checks_codes_with_the_client_token_alone(page, demo, complaints):
    """An invalid code returns a sentence, a wrong one its verdict, and the right one, with a blank, is approved.

    A repeat has the same key: a wrong code costs no second attempt, and the right one is approved again.
    """
    headers = {"Authorization": f"Bearer {demo.key}"}
    login = requests.post(f"{demo.url}/v1/verifications", json={"to": NUMBER}, headers=headers, timeout=10).json()
    [message] = requests.get(f"{demo.url}/sandbox/_/messages", params={"to": NUMBER}, timeout=30).json()
    [code] = re.findall(r"\b[0-9]{6}\b", message["body"])
    wrong = "000000" if code != "000000" else "111111"
    page.goto(f"{demo.url}/sandbox/phone")  # any page of the same origin
    example = f"const OTP_URL = location.origin; {EXAMPLE};"
    run = f"async ([login, code]) => {{ {example} return check(login, code); }}"
    twice = f"async ([login, code]) => {{ {example} return [await check(login, code), await check(login, code)]; }}"
    login = {name: login[name] for name in ("id", "client_token")}
    assert page.evaluate(run, [login, "12"]) == "The code has 4 to 8 digits."
    assert "422" in complaints.pop()  # the browser's own message
    assert page.evaluate(twice, [login, wrong]) == ["wrong_code, 4 attempts left"] * 2
    assert page.evaluate(twice, [login, f"{code[:3]} {code[3:]}"]) == ["approved"] * 2


@pytest.mark.parametrize("is_right", [True, False])
def test_the_page_of_the_link_example_waits_for_the_answer(page, demo, is_right):
    """It shows the two digits, and finishes once they are typed on the link's page; ended there, it says so."""
    number = f"+177355501{10 + is_right}"
    headers = {"Authorization": f"Bearer {demo.key}"}
    asked = {"to": number, "action": "link"}
    started = requests.post(f"{demo.url}/v1/verifications", json=asked, headers=headers, timeout=10).json()
    [message] = requests.get(f"{demo.url}/sandbox/_/messages", params={"to": number}, timeout=5).json()
    link = re.search(r"http\S+/l/\w+", message["body"])[0]
    page.goto(f"{demo.url}/sandbox/phone")  # any page of the same origin
    as_module = WAITING.replace('from "./otp.js"; // clients/web', "= module;").replace("import {", "const {")
    page.evaluate(
        f"""async (started) => {{
            const OTP_URL = location.origin, module = await import("/demo/pages/otp.js");
            {as_module}
            globalThis.said = [];
            globalThis.ended = waitForLink(started, (text) => said.push(text), async () => true);
        }}""",
        {name: started[name] for name in ("id", "client_token", "action", "match")},
    )
    [shown] = page.evaluate("said")
    assert shown == f"Open the link in the message, and type {started['match']} there."
    form = {"match": started["match"]} if is_right else {"decline": "confirmed"}
    assert requests.post(link, data=form, timeout=5).status_code == 200
    assert page.evaluate("ended.then(() => said.at(-1))") == ("You are signed in." if is_right else "Start again.")
