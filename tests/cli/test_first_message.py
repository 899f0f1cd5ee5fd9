"""`check --send-to` sends one message through the whole loop, on a terminal; each failure names its fix."""

import asyncio
import os
import pty
import re
import sys

import pytest

from service.cli import first_message
from service.config.settings import isolated_settings
from service.core.phone import mask
from service.first_message import failures
from service.sandbox import FaultPlan
from tests.conftest import NUMBER, eventually, serving
from tests.journey.conftest import code_in as _code_in  # noqa: F401 - a fixture
from tests.journey.conftest import wrong as _wrong  # noqa: F401 - likewise
from tests.records import field_of


@pytest.fixture
def terminal(monkeypatch):
    """Yield a pseudo-terminal: what a test writes to it is what the operator types."""
    keyboard, screen = pty.openpty()
    with os.fdopen(screen, "r") as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        yield keyboard
    os.close(keyboard)


@pytest.fixture
def send_to(cli, terminal, environment_of):
    """Return `send_to(running, typed=…, …)`: run the command, type `typed(code)`, return status and output."""

    async def run(running, *arguments, number=NUMBER, typed=lambda code: [code], **environment):
        command = asyncio.create_task(
            asyncio.to_thread(
                cli,
                "check",
                "--send-to",
                number,
                *arguments,
                **environment_of(running.settings)
                | {"OTP_PUBLIC_URL": running.settings.otp_public_url or ""}
                | environment,
            )
        )
        sent = len(running.messages())
        if await eventually(lambda: command.done() or len(running.messages()) > sent) and not command.done():
            for line in typed(running.codes()[-1]):
                os.write(terminal, line.encode() + b"\n")
        status, out, err = await command
        assert NUMBER not in out + err
        for code in running.codes():
            assert code not in out + err
        return status, out

    return run


@pytest.fixture
def environment_of():
    """Return `environment_of(settings)`, which writes settings as an environment."""
    from tests.cli.test_commands import environment_of

    return environment_of


def steps(out):
    """Return the names of the steps shown, in order."""
    _, found, rest = out.partition(" fine\nOK ")  # the last group of `check`
    assert found
    shown = re.sub(r"\nType the code that arrived \(\d+ s\): ", "", rest.partition("\n\n")[2])  # echoed Enter
    return re.findall(r"^ *([A-Za-z][A-Za-z ]*?)  (?=\S)", shown, re.MULTILINE)


async def test_the_loop_closes_step_by_step(start, send_to):
    """All steps succeed: the exit status is 0, and exactly this message is confirmed to Twilio."""
    running = await start()
    status, out = await send_to(running)
    [message] = running.messages()
    assert status == 0, out
    assert steps(out) == ["accepted", "callback", "approved", "confirmed", "closed"] or steps(out) == [
        "accepted", "callback", "callback", "approved", "confirmed", "closed",
    ]  # fmt: skip
    assert message.sid in out
    assert mask(NUMBER) in out
    assert running.confirmed() == {message.sid}
    assert running.sandbox.ledger.message(message.sid).feedback_posts == 1


async def test_without_a_worker_the_command_confirms_by_itself(start, send_to):
    """If no worker is alive, the command posts the confirmation itself, and says so."""
    running = await start(otp_worker=False)
    status, out = await send_to(running)
    assert status == 0, out
    assert steps(out)[0] == "worker"
    assert running.confirmed() == {running.messages()[0].sid}


async def test_wrong_codes_cost_attempts_and_other_lines_cost_none(start, send_to, redis):
    """After a wrong code the operator may try again; input that is not a code is not checked."""
    running = await start()
    status, out = await send_to(
        running, typed=lambda code: ["hello", f"{(int(code) + 1) % 10 ** len(code):0{len(code)}}", f" {code} "]
    )
    assert status == 0, out
    assert [step for step in steps(out) if step in {"not a code", "wrong code", "approved"}] == [
        "not a code", "wrong code", "approved",
    ]  # fmt: skip
    assert "Attempts left: 4" in out
    [key] = redis.scan_iter("otp:{*}:v:*")
    assert (redis.hget(key, field_of("attempts")), redis.hget(key, field_of("purpose"))) == (b"2", b"check")


async def test_too_many_wrong_codes_end_the_command(start, send_to):
    """After five wrong codes the command fails, as for any verification."""
    running = await start()
    wrong = lambda code: [f"{(int(code) + 1) % 10 ** len(code):0{len(code)}}"] * 5  # noqa: E731
    status, out = await send_to(running, typed=wrong)
    assert (status, steps(out)[-1]) == (1, "FAILED")
    assert running.confirmed() == set()


async def test_a_missing_code_times_out(start, send_to):
    """If no code is typed in time, the command fails and says where to look."""
    running = await start()
    status, out = await send_to(running, "--timeout", "1", typed=lambda _: [])
    assert status == 1
    assert "No code was typed within 1 s" in out


async def test_a_closed_input_is_named(start, send_to, terminal):
    """Ctrl-D at the prompt ends the command at once, and is not reported as a time-out."""
    running = await start()
    status, out = await send_to(running, typed=lambda _: os.write(terminal, b"\x04") and [])
    assert status == 1
    assert "The input was closed (Ctrl-D)" in out
    assert "No code was typed" not in out


async def test_without_a_terminal_nothing_is_sent(start, cli, environment_of, monkeypatch):
    """Without a terminal the command exits with 2 before it sends anything."""
    running = await start()
    reading, writing = os.pipe()
    os.close(writing)
    with os.fdopen(reading) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        status, out, err = await asyncio.to_thread(
            cli, "check", "--send-to", NUMBER, **environment_of(running.settings)
        )
    assert (status, out) == (2, "")
    assert "terminal" in err
    assert running.messages() == []


async def test_errors_of_check_come_first(start, send_to):
    """With an error in the settings nothing is sent."""
    running = await start()
    status, out = await send_to(running, TWILIO_AUTH_TOKEN="wrong-token")
    assert status == 1
    assert out.endswith("\n\nNothing was sent.\nNext: fix the error above, then run check again.\n")
    assert running.messages() == []


@pytest.mark.parametrize(
    ("settings", "number", "expected"),
    [
        ({}, "+1415555012", "Nothing was sent: "),
        ({"OTP_COUNTRIES": "DE"}, NUMBER, "OTP_COUNTRIES"),
        ({"OTP_LIMIT_NUMBER": "", "OTP_LIMIT_DAY": "1/1d"}, NUMBER, "the limit day is reached"),
        ({"OTP_TEST_NUMBERS": f"{NUMBER}:493027"}, NUMBER, "OTP_TEST_NUMBERS"),
    ],
    ids=["no number", "country", "limit", "test number"],
)
async def test_refusals_before_sending_are_reported(start, send_to, settings, number, expected):
    """Numbers, countries and limits are checked as for any caller, and the message names the fix."""
    running = await start(otp_limit_day="1/1d")
    await running.issue()
    before = len(running.messages())
    status, out = await send_to(running, number=number, **settings)
    assert (status, steps(out)) == (1, ["FAILED"])
    assert expected in out
    assert len(running.messages()) == before


@pytest.mark.parametrize(
    ("plan", "expected"),
    [
        ({"endpoint": "messages", "kind": "refuse", "code": 21608}, "error 21608"),
        ({"endpoint": "messages", "kind": "unauthorized"}, "TWILIO_ACCOUNT_SID"),
        ({"endpoint": "callbacks", "kind": "fail", "code": 30034}, "error 30034"),
        ({"endpoint": "feedback", "kind": "503"}, "Twilio does not accept the confirmation"),
        ({"endpoint": "feedback", "kind": "not_found"}, "outbox failed"),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{value['endpoint']} {value['kind']}",
)
async def test_refusals_by_twilio_are_reported(start, send_to, plan, expected):
    """A refused message, a failed message and a refused confirmation are reported, with exit status 1."""
    running = await start(otp_worker=False)
    running.sandbox.faults.plan(FaultPlan(**plan))
    status, out = await send_to(running, "--timeout", "3")
    assert (status, steps(out)[-1]) == (1, "FAILED")
    assert expected in out.rpartition("FAILED")[2]


async def test_without_a_delivery_report_the_loop_is_not_closed(start, send_to):
    """If no callback comes, the command fails and says why, although the confirmation was posted."""
    running = await start(otp_public_url="")
    status, out = await send_to(running, "--timeout", "2")
    assert status == 1
    assert steps(out) == ["accepted", "no callback", "approved", "confirmed", "FAILED"]
    assert "OTP_PUBLIC_URL is not set" in out
    assert running.confirmed() == {running.messages()[0].sid}


async def test_a_message_with_lost_response_and_callbacks_is_reported(start, send_to):
    """If the SID is unknown, the command says so, and that the worker searches for it."""
    running = await start()
    running.sandbox.faults.plan(FaultPlan(endpoint="messages", kind="lost_response"))
    running.sandbox.faults.plan(FaultPlan(endpoint="callbacks", kind="drop"))
    status, out = await send_to(running, "--timeout", "2")
    assert status == 1
    assert steps(out) == ["unknown", "no callback", "approved", "FAILED"]
    assert "its SID is unknown" in out


async def test_the_command_writes_an_audit_line(start, send_to, cli):
    """The audit line has the operator and the number's tag, but not the number."""
    await send_to(await start())
    [line] = cli.audited
    assert (line["operation"], line["outcome"], len(line["number_tag"])) == ("check send-to", "done", 8)


async def respond_with(status, text):
    """Return an application that sends every request the same response."""

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            for word in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{word}.complete"})
            return
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": text})

    return app


async def test_the_public_address_is_probed(running):
    """Nothing, another program, or the service at the public address: three different fixes."""
    assert "answers 404" in await probe_of(404, b"not here")
    assert "answers 403; the service" in await probe_of(403, b"forbidden by the proxy")
    assert "signature" in await failures._probe(running.url)
    assert "does not answer" in await failures._probe("http://127.0.0.1:1")


async def probe_of(status, text):
    """Probe an address whose server sends every request the same response."""
    async with serving(await respond_with(status, text)) as url:
        return await failures._probe(url)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (None, "is not set"),
        ("http://localhost:8000", "not public"),
        ("https://127.0.0.1", "not public"),
        ("http://otp.example.com", "plain http"),
    ],
)
async def test_an_address_that_twilio_cannot_call_is_reported(url, expected):
    """If the address is unset, local or without TLS, it is not probed; the message names the setting."""
    text = await failures.why_no_callback(isolated_settings(otp_public_url=url))
    assert expected in text
    assert "OTP_PUBLIC_URL" in text


def test_the_prompt_ends_when_the_terminal_is_closed(terminal):
    """A closed terminal ends the prompt at once."""
    os.write(terminal, b"\x04")  # end of input, as Ctrl-D
    with pytest.raises(EOFError):
        asyncio.run(first_message._ask("Type", 5))


async def test_number_and_code_may_be_typed_with_separators(start, send_to):
    """The operator may type number and code with spaces, dashes and parentheses, as any person may."""
    running = await start()
    status, out = await send_to(running, number="+1 (415) 555-0123", typed=lambda code: [f"{code[:3]} {code[3:]}"])
    assert status == 0, out
    assert len(running.messages(NUMBER)) == 1
