"""A person with a verification and an open page of the service's origin, for the tests of `clients/web`."""

import re
from functools import partial

import requests

from service.core.actions import ACTIONS, Action

NUMBERS = iter(range(100, 1000))
START = "const { OtpClient, OtpProblem, request } = await import('/demo/pages/otp.js');"
FORM = "<form><otp-code-input></otp-code-input><button>Sign in</button></form>"
ENDING = "const said = (problem) => [problem.name === 'AbortError' ? problem.name : problem.code, problem.message];"


def answer(page, files):
    """Respond to these addresses instead of the demo."""
    for address, text in files.items():
        kind = "text/javascript" if address.endswith(".js") else "text/html"
        page.route(address, partial(fulfill, body=text, content_type=kind))


def fulfill(route, **response):
    """Respond to a request."""
    route.fulfill(**response)


class Person:
    """A person with a verification and an open page."""

    def __init__(self, page, demo):
        self.page, self._demo = page, demo
        answer(page, {f"{demo.url}/own": "<!doctype html><title>Own</title>"})
        page.goto(f"{demo.url}/own")
        self.issue()

    def issue(self, **asked):
        """Issue another verification, for another number, and return the response."""
        self.number = f"+1619555{next(NUMBERS):04}"
        headers = {"Authorization": f"Bearer {self._demo.key}"}
        response = requests.post(
            f"{self._demo.url}/v1/verifications", json={"to": self.number, **asked}, headers=headers, timeout=30
        )
        assert response.status_code == 201, response.text
        self.login = response.json()
        return self.login

    def messages(self):
        """Return the messages to this number."""
        return requests.get(f"{self._demo.url}/sandbox/_/messages", params={"to": self.number}, timeout=30).json()

    @property
    def code(self):
        """The newest code, password or token of a link."""
        [secret] = ACTIONS[Action(self.login["action"])].found_in(self.messages()[-1]["body"])
        return secret

    @property
    def link(self):
        """The address in the newest message."""
        return re.search(r"http\S+/l/\w+", self.messages()[-1]["body"])[0]

    def answer_link(self, **form):
        """Answer on the page of the link, as on the phone: with a `match`, or that it was somebody else."""
        assert requests.post(self.link, data=form, timeout=30).status_code == 200

    @property
    def wrong_code(self):
        """A code that is wrong."""
        return "000000" if self.code != "000000" else "111111"

    def run(self, script, *, known=True, options="{}"):
        """Run a script that has `client`, and return its result; `known`: the page has the whole verification."""
        login = self.login if known else {name: self.login[name] for name in ("id", "client_token")}
        start = f"{START} {ENDING} const client = new OtpClient(login, {options});"
        return self.page.evaluate(f"async ([login, code]) => {{ {start} {script} }}", [login, self.code])


def show_field(person, waits="undefined"):
    """Show a field for the person's verification. `told` gets its events, and `waits` is what the page does then."""
    script = f"""async ([login, form]) => {{
        {START}
        document.body.innerHTML = form;
        globalThis.field = document.querySelector("otp-code-input");
        globalThis.told = [];
        for (const name of ["otp-approved", "otp-checked", "otp-ended"]) field.addEventListener(name, (event) => {{
          told.push(name);
          if (name === "otp-approved") event.detail.waitUntil({waits});
        }});
        field.client = new OtpClient(login);
        field.focus();
    }}"""
    person.page.evaluate(script, [person.login, FORM])
    return person.page.get_by_role("textbox")


def told(person):
    """Return the names of the field's events so far."""
    return person.page.evaluate("told")
