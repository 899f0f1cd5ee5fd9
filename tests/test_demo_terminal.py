"""The promises of `service.demo.terminal`: while the demo serves, each event is one line that a person understands."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from service.demo import stage
from tests.conftest import eventually
from tests.free_ports import free_port

ROOT = Path(__file__).parent.parent
LINE = re.compile(r"^\d\d:\d\d:\d\d  (\S+) +(\S.*)$", re.MULTILINE)
KEY = re.compile(r"otp_sk_[\w-]{43}")
SECONDS = 20  # for what takes two at most when the machine is idle
NUMBER = "+14155550123"


class Demo:
    """A running demo, and what it has printed."""

    def __init__(self, http, capsys):
        self._http = http
        self._capsys = capsys
        self.printed = ""

    def read(self):
        """Read what the demo has printed."""
        self.printed += self._capsys.readouterr().out
        return self.printed

    def lines(self):
        """Return the word and the text of each line."""
        return LINE.findall(self.read())

    async def shows(self, *expected):
        """Wait for lines that begin with these words and contain these texts; return whether all came."""
        return await eventually(
            lambda: all(any(word == w and text in t for w, t in self.lines()) for word, text in expected),
            seconds=SECONDS,
        )

    async def call(self, path, **body):
        """Post a body; return the response."""
        headers = {"Authorization": f"Bearer {KEY.search(self.read())[0]}", "Connection": "close"}
        async with self._http.post(path, json=body, headers=headers) as response:
            return await response.json() if response.content_type.endswith("json") else None

    async def answer(self, page, **form):
        """Press a button on the page of a link."""
        async with self._http.post(page, data=form, headers={"Connection": "close"}) as response:
            assert response.status == 200

    async def messages(self, number):
        """Return what the simulator has for a number."""
        async with self._http.get("/sandbox/_/messages", params={"to": number}) as response:
            return await response.json()

    async def issue(self, number=NUMBER):
        """Request a code; return the address of the verification."""
        return f"/v1/verifications/{(await self.call('/v1/verifications', to=number))['id']}"

    async def newest_code(self, number=NUMBER):
        """Read the newest code of a number from the lines, as a person does."""

        def codes():
            found = [
                re.search(r"\b\d{6}\b", text)[0]
                for word, text in self.lines()
                if (word, number in text) == ("SMS", True)
            ]
            return found[-1:]

        return (await eventually(codes, seconds=SECONDS))[0]


@pytest.fixture
def demo(capsys):
    """Return a context manager that runs a demo in this process."""

    @asynccontextmanager
    async def run():
        port = free_port()
        running = asyncio.create_task(stage.run_demo(host="127.0.0.1", port=port, once=False))
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http:
            shown = Demo(http, capsys)
            try:
                assert await eventually(lambda: "Press Ctrl-C" in shown.read() or running.done(), seconds=SECONDS)
                yield shown
            finally:
                running.cancel()
                status = await running
        assert status == 0

    return run


async def test_a_person_without_a_browser_closes_the_loop(demo):
    """The code is read from the terminal and checked; delivery, verdicts and the confirmation follow, a line each."""
    async with demo() as shown:
        before = shown.lines()
        verification = await shown.issue()
        code = await shown.newest_code()
        await shown.call(f"{verification}/verify", code="000000" if code != "000000" else "111111")
        await shown.call(f"{verification}/verify", code=code)
        assert await shown.shows(
            ("delivered", NUMBER), ("confirmed", NUMBER), ("approved", f"{NUMBER}: the code is right")
        )
        assert before == [], "nothing is told of the walk, which has shown itself"
        assert [word for word, _ in shown.lines() if word not in {"delivered", "confirmed"}] == [
            "SMS", "wrong_code", "approved",
        ]  # fmt: skip
        assert len(shown.lines()) == 5
        assert "\033" not in shown.printed


async def test_a_password_closes_the_loop_and_a_link_leads_to_the_demo(demo):
    """Both come by SMS; the password confirms its message, and the link has the address that the demo printed."""
    async with demo() as shown:
        issued = await shown.call("/v1/verifications", to=NUMBER, action="password")
        assert await shown.shows(("SMS", f"to {NUMBER}: “"))
        [password] = re.findall(r"(?:[0-9A-Z]{5}-)+[0-9A-Z]{1,5}", shown.lines()[0][1])
        assert (await shown.call(f"/v1/verifications/{issued['id']}/verify", password=password.lower()))["valid"]
        assert await shown.shows(("confirmed", NUMBER), ("approved", f"{NUMBER}: the password is right"))
        other = "+14155550124"
        await shown.call("/v1/verifications", to=other, action="link")
        url = re.search(r"Serving on (\S+)\. ", shown.read())[1]
        assert await shown.shows(("SMS", f"{url}/l/"))


async def test_whatsapp_and_a_call_tell_the_code(demo):
    """A message by WhatsApp has a line of its own; a call has one when it rings, for each sentence, and at its end."""
    async with demo() as shown:
        other = "+14155550124"
        await shown.call("/v1/verifications", to=NUMBER, channel="whatsapp", locale="de")
        issued = await shown.call("/v1/verifications", to=other, channel="voice")
        assert await shown.shows(
            ("WhatsApp", f"to {NUMBER}: “"), ("delivered", NUMBER), ("call", f"to {other}: answer it")
        )
        async with shown._http.get("/sandbox/_/calls", headers={"Connection": "close"}) as response:
            [call] = await response.json()
        await shown.call(f"/sandbox/_/calls/{call['sid']}/answer")
        assert await shown.shows(("said", "Press any key"))
        await shown.call(f"/sandbox/_/calls/{call['sid']}/keys", keys="1")
        code = re.compile(r"((?:\d ){5}\d)")
        assert await eventually(lambda: any(code.search(text) for _, text in shown.lines()), seconds=SECONDS)
        [digits] = {found[0] for _, text in shown.lines() if (found := code.search(text))}
        verified = await shown.call(f"/v1/verifications/{issued['id']}/verify", code=digits.replace(" ", ""))
        assert verified["valid"]
        async with shown._http.delete(f"/sandbox/_/calls/{call['sid']}", headers={"Connection": "close"}) as response:
            assert response.status == 200
        assert await shown.shows(("approved", other), ("called", f"to {other}: completed, keyed 1"))


async def test_each_answer_to_a_link_has_a_line(demo):
    """A scanner's visit, wrong digits, right digits, and "It wasn't me" are told, and who was asked."""
    async with demo() as shown:
        issued = await shown.call("/v1/verifications", to=NUMBER, action="link")
        [message] = await shown.messages(NUMBER)
        page = re.search(r"/l/\w+", message["body"])[0]
        await shown.call(f"/sandbox/_/messages/{message['sid']}/scan")
        wrong = f"{(int(issued['match']) + 1) % 100:02d}"
        for match in (wrong, issued["match"]):
            await shown.answer(page, match=match)
        other = "+14155550124"
        await shown.call("/v1/verifications", to=other, action="link")
        [message] = await shown.messages(other)
        await shown.answer(re.search(r"/l/\w+", message["body"])[0], decline="confirmed")
        assert await shown.shows(
            ("scanned", f"A scanner opened the link to {NUMBER}: HEAD 200, GET 200"),
            ("wrong_code", f"{NUMBER}: the two digits on the link's page are wrong"),
            ("approved", f"{NUMBER}: the two digits on the link's page are right"),
            ("confirmed", NUMBER),
            ("canceled", other),
            ("confirmed", other),
        )


async def test_replies_and_calls_have_lines(demo):
    """What a person answers, and that a person calls, is told; the simulator alone knows it."""
    async with demo() as shown:
        number = "+15005550006"
        await shown.call("/sandbox/_/messages", **{"from": NUMBER, "to": number, "body": "Hello"})
        await shown.call("/sandbox/_/calls", **{"from": NUMBER, "to": number})
        assert await shown.shows(("reply", f"from {NUMBER}: “Hello”"), ("call", f"from {NUMBER}"))
        assert await shown.shows(("called", "keyed nothing"))


async def test_cancellations_and_refusals_have_lines(demo):
    """Cancellations and refused requests are named with their reason."""
    async with demo() as shown:
        await shown.call("/v1/verifications", to="+1415")
        verification = await shown.issue()
        await shown.call(f"{verification}/cancel")
        await shown.call(f"{verification}/resend")
        assert await shown.shows(
            ("refused", "POST /v1/verifications: 422 "),
            ("canceled", NUMBER),
            ("refused", "POST /v1/verifications/{verification_id}/resend: 409 "),
        )


@pytest.mark.slow
async def test_a_second_message_is_told_from_the_first(demo):
    """The line of a resent code says which message of the verification it is."""
    async with demo() as shown:
        verification = await shown.issue()
        refused = await shown.call(f"{verification}/resend")
        await asyncio.sleep(refused["retry_after"])  # the limit of the number
        await shown.call(f"{verification}/resend")
        assert await shown.shows(("SMS", f"to {NUMBER}: “"), ("SMS", f"to {NUMBER} (message 2): “"))


@pytest.mark.parametrize(
    ("fault", "trouble", "end"),
    [
        (
            {"endpoint": "messages", "kind": "lost_response"},
            "its answer with the message's SID was lost",
            "brought the SID",
        ),
        ({"endpoint": "feedback", "kind": "503"}, "Twilio refused the report (503", "until Twilio took it"),
        ({"endpoint": "callbacks", "kind": "drop"}, "status callbacks were lost", "shows that the message arrived"),
    ],
    ids=lambda part: part["kind"] if isinstance(part, dict) else "",
)
async def test_a_fault_and_how_it_was_survived_have_lines(demo, fault, trouble, end):
    """A fault is told once when it is simulated, and once more when the service has survived it."""
    async with demo() as shown:
        await shown.call("/sandbox/_/faults", **fault, count=1)
        verification = await shown.issue()
        await shown.call(f"{verification}/verify", code=await shown.newest_code())
        assert await shown.shows(("fault", trouble), ("survived", end), ("confirmed", NUMBER))
        words = [word for word, _ in shown.lines()]
        assert (words.count("fault"), words.count("survived")) == (1, 1)
        assert all(text.startswith(f"{NUMBER}: ") for word, text in shown.lines() if word in {"fault", "survived"})
        assert not {"warning", "error"} & set(words)


async def test_a_fault_that_keeps_a_message_from_being_sent_names_its_number(demo):
    """A refused message never reaches the phone; its line says all the same whose it was, and nothing is survived."""
    async with demo() as shown:
        await shown.call("/sandbox/_/faults", endpoint="messages", kind="refuse", code=21610, count=1)
        await shown.call("/v1/verifications", to=NUMBER)
        assert await shown.shows(("fault", f"{NUMBER}: Twilio refused the message (21610)."))
        assert "survived" not in [word for word, _ in shown.lines()]


@pytest.mark.slow
def test_a_reader_that_stops_does_not_stop_the_demo():
    """If nobody reads the lines, requests are still answered, and Ctrl-C still ends the demo."""
    port = free_port()
    demo = subprocess.Popen(
        [sys.executable, "-m", "service", "demo", "--port", str(port)], cwd=ROOT, env=os.environ, stdout=subprocess.PIPE
    )
    with demo:
        while b"Press Ctrl-C" not in demo.stdout.readline():
            assert demo.poll() is None
        for _ in range(1500):  # a line each, together more than a pipe holds
            request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/verifications", b"{}")
            with pytest.raises(urllib.error.HTTPError, match="401"):
                urllib.request.urlopen(request, timeout=5)  # noqa: S310 - ours
        demo.send_signal(signal.SIGINT)
        assert demo.wait(10) == 0
