"""The example of docs/message-feedback.md is true: its back end, copied as printed, and each row of its table."""

import asyncio
import re

import pytest

from service.core.actions import ACTIONS, Action
from tests.conftest import NUMBER, eventually
from tests.documents import ROOT, blocks

PAGE = ROOT / "docs" / "message-feedback.md"
TABLE = re.search(r"^\| what happens \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", PAGE.read_text("utf-8"), re.MULTILINE)[1]
ROWS = [line.strip("|").split("|") for line in TABLE.splitlines()]


@pytest.fixture
async def running(start, monkeypatch):
    """Start a service where the example expects it."""
    service = await start()
    monkeypatch.setenv("OTP_URL", service.url)
    monkeypatch.setenv("OTP_KEY", service.key)
    return service


@pytest.fixture
async def back_end(running):
    """Return `back_end(name, …)`, which calls a function of the example in a thread."""
    names = {}
    exec(compile(blocks(PAGE, "python")[0], PAGE.name, "exec"), names)  # noqa: S102 - the page is ours

    async def call(name, *given):
        return await asyncio.to_thread(names[name], *given)

    return call


async def send(running, path, method, **form):
    """Open the page of a link, or send its form."""
    async with running.http.request(method, path, data=form or None) as response:
        assert response.status in {200, 422}


async def begun(running, back_end, key="one-key"):
    """Begin a login; return (its session, what the page gets, the path of the link)."""
    session = {}
    started = await back_end("begin", session, NUMBER, "192.0.2.7", key)
    [token] = ACTIONS[Action.LINK].found_in(running.messages()[-1].body)
    return session, started, f"/l/{token}"


async def shows(running, started, row):
    """Wait until service and simulator have what a row of the table says; the last word of a column counts."""
    status, feedback, outcome = (re.findall(r"`(\w+)`", column)[-1] for column in row[1:])

    async def is_so():
        found = await running.read(started["id"])
        now = (found["status"], found["sends"][0]["feedback"], running.messages()[0].outcome)
        return now == (status, feedback, outcome)

    assert await eventually(is_so, seconds=30), row


async def test_every_step_of_the_table_is_as_the_page_says(running, back_end):
    """Sent, scanned, wrong digits, right digits: status, feedback and outcome are those of the table; one report."""
    session, started, path = await begun(running, back_end)
    wrong = f"{(int(started['match']) + 1) % 100:02d}"
    sent, scanned, mistyped, answered = ROWS
    await shows(running, started, sent)
    for method, form in (("HEAD", {}), ("GET", {}), ("POST", {"match": ""})):
        await send(running, path, method, **form)
    await shows(running, started, scanned)
    await send(running, path, "POST", match=wrong)
    await shows(running, started, mistyped)
    assert await back_end("finish", session) is None
    await send(running, path, "POST", match=started["match"])
    await shows(running, started, answered)
    assert running.messages()[0].feedback_posts == 1
    assert await back_end("finish", session) == NUMBER


async def test_one_approval_is_one_login_where_it_began(running, back_end):
    """The session that began signs in once, whatever pages ask at the same time; any other session does not."""
    session, started, path = await begun(running, back_end)
    assert set(started) == {"id", "client_token", "action", "match"}
    await send(running, path, "POST", match=started["match"])
    for other in ({}, {"login": session["login"] | {"to": "+14155550124"}}, {"login": {"id": "ve_1", "to": NUMBER}}):
        assert await back_end("finish", other) is None
    finished = await asyncio.gather(*(back_end("finish", session) for _ in range(5)))
    assert sorted(finished, key=str) == [NUMBER, None, None, None, None]
    assert await back_end("finish", session) is None


async def test_a_repeated_request_sends_no_second_link(running, back_end):
    """With the same key the page gets the same digits, and the phone one message."""
    _, first, _ = await begun(running, back_end)
    _, again, _ = await begun(running, back_end)
    assert (first, len(running.messages())) == (again, 1)
