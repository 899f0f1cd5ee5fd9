"""The README is true: its commands exist, its curl calls work, its answers have the fields that it shows."""

import asyncio
import itertools
import json
import re
import shlex
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"
NUMBER = "+14155550123"
BLOCK = re.compile(r"```sh\n(curl .*?)```(?:\n+```json\n(.*?)```)?", re.DOTALL)


def calls():
    """Give each curl call of the README with the answer shown below it, or None."""
    return [(command, json.loads(answer) if answer else None) for command, answer in BLOCK.findall(README.read_text())]


def parse(command, values):
    """Read a curl command as (method, path, headers, body), with `$NAME` filled in as a shell would."""
    for name, value in values.items():
        command = command.replace(f"'${name}'", value).replace(f"${name}", value)
    words = shlex.split(command.replace("\\\n", " "))
    headers = dict(word.split(": ", 1) for flag, word in itertools.pairwise(words) if flag == "-H")
    body = next((json.loads(word) for flag, word in itertools.pairwise(words) if flag == "-d"), None)
    [url] = [word for word in words if word.startswith("http://127.0.0.1:8000")]
    method = "POST" if body is not None or "POST" in words else "GET"
    return method, url.removeprefix("http://127.0.0.1:8000"), headers, body


async def test_every_curl_call_works_and_answers_what_the_readme_shows(start):
    """A reader who copies the README's calls gets what it promises, field by field."""
    running = await start()
    values = {"OTP_KEY": running.key}
    seen = set()
    for command, shown in calls():
        method, path, headers, body = parse(command, values)
        async with running.http.request(method, path, headers=headers, json=body) as answer:
            content = await answer.json() if "json" in answer.content_type else await answer.text()
        # The README tells one story: by the time it shows resend, the verification has been approved.
        assert answer.status in ((409,) if path.endswith("/resend") else (200, 201)), (command, content)
        if shown is not None:
            assert list(content) == list(shown)
            assert [list(send) for send in content.get("sends", [])] == [list(send) for send in shown.get("sends", [])]
        if answer.status == 201:
            values |= {"ID": content["id"], "CLIENT_TOKEN": content["client_token"], "CODE": running.codes()[0]}
        seen.add(path.rsplit("/", 1)[-1])
    assert {"verifications", "verify", "resend", "cancel", "livez", "readyz", "metrics"} <= seen


async def test_the_example_of_a_back_end_signs_in_whom_the_service_has_proven(start, monkeypatch):
    """The README's Python, run as it stands: begun, typed, proven; nothing else is, and a refusal raises its code."""
    running = await start()
    monkeypatch.setenv("OTP_URL", running.url)
    monkeypatch.setenv("OTP_KEY", running.key)
    [example] = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    names = {}
    exec(compile(example, "README.md", "exec"), names)  # noqa: S102 - the README is ours
    login = await asyncio.to_thread(names["begin"], NUMBER, "192.0.2.7", "one-wish")
    again = await asyncio.to_thread(names["begin"], NUMBER, "192.0.2.7", "one-wish")
    assert (again["id"], len(running.codes())) == (login["id"], 1)
    assert not await asyncio.to_thread(names["is_proven"], login["id"], NUMBER)
    await running.verify(login["id"], running.codes()[0])
    assert await asyncio.to_thread(names["is_proven"], login["id"], NUMBER)
    assert not await asyncio.to_thread(names["is_proven"], login["id"], "+14155550124")
    assert not await asyncio.to_thread(names["is_proven"], "ve_" + 32 * "0", NUMBER)
    with pytest.raises(ValueError, match="invalid_number"):
        await asyncio.to_thread(names["begin"], "+1415", "192.0.2.7", "another")


def test_the_two_commands_are_targets_of_the_makefile():
    """`make demo` and `make test` exist, and so does every other target that the README names."""
    makefile = (README.parent / "Makefile").read_text()
    for target in set(re.findall(r"\bmake ([a-z]+)\b", README.read_text())):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_every_file_that_the_readme_names_exists():
    """The README points at nothing that is not there."""
    named = re.findall(r"`((?:service|deploy)/[\w./-]*|[\w.-]+\.(?:md|yml|example))`", README.read_text())
    missing = [name for name in named if not (README.parent / name).exists()]
    assert named
    assert missing == []
