"""`OtpClient` of `clients/web` in a real Chromium, against the demo's service: lost responses, time-outs, words.

Each test calls it as a page would, from an empty page of the service's origin.
"""

import re
from functools import partial

import pytest
import requests
from playwright.sync_api import expect

from tests.documents import ROOT, blocks

pytestmark = pytest.mark.slow
README = ROOT / "clients" / "web" / "README.md"
NUMBERS = iter(range(100, 200))
START = "const { OtpClient, OtpProblem, request } = await import('/demo/pages/otp.js');"
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
        self.number = f"+1619555{next(NUMBERS):04}"
        answer(page, {f"{demo.url}/own": "<!doctype html><title>Own</title>"})
        page.goto(f"{demo.url}/own")
        self.login = self._issue()

    def _issue(self):
        headers = {"Authorization": f"Bearer {self._demo.key}"}
        response = requests.post(
            f"{self._demo.url}/v1/verifications", json={"to": self.number}, headers=headers, timeout=10
        )
        assert response.status_code == 201, response.text
        return response.json()

    def messages(self):
        """Return the messages to this number."""
        return requests.get(f"{self._demo.url}/sandbox/_/messages", params={"to": self.number}, timeout=5).json()

    @property
    def code(self):
        """The newest code."""
        return re.search(r"\b\d{6}\b", self.messages()[-1]["body"])[0]

    @property
    def wrong_code(self):
        """A code that is wrong."""
        return "000000" if self.code != "000000" else "111111"

    def run(self, script, *, known=True, options="{}"):
        """Run a script that has `client`, and return its result; `known`: the page has the whole verification."""
        login = self.login if known else {name: self.login[name] for name in ("id", "client_token")}
        start = f"{START} {ENDING} const client = new OtpClient(login, {options});"
        return self.page.evaluate(f"async ([login, code]) => {{ {start} {script} }}", [login, self.code])


@pytest.fixture
def person(page, demo):
    """Issue a verification, and open a page for it."""
    requests.delete(f"{demo.url}/sandbox/_/faults", timeout=5)
    return Person(page, demo)


def lose(page, pattern, times, *, arrives=True):
    """Lose the first responses from an address; return the Idempotency-Keys of all requests."""
    keys = []

    def handle(route):
        keys.append(route.request.headers.get("idempotency-key"))
        if len(keys) > times:
            route.continue_()
            return
        if arrives:
            route.fetch()
        route.abort()

    page.route(pattern, handle)
    return keys


@pytest.mark.parametrize("known", [True, False])
def test_a_code_is_checked_in_any_digits(person, known):
    """A whole message with a code in it is checked, even by a page that has only id and token."""
    script = "if (!client.status) await client.read(); return client.check('\\u200fYour code is ' + code)"
    checked = person.run(script, known=known)
    assert (checked["valid"], checked["verdict"], checked["sentence"]) == (True, "approved", "")


def test_verdicts_come_in_words_and_an_incomplete_code_costs_nothing(person):
    """Wrong codes show the attempts left, the last one the need to start again; an incomplete code is no attempt."""
    wrong = person.wrong_code
    script = f"""
        const said_ = [await client.check('12').catch((problem) => problem.message)];
        for (let n = 0; n < 5; n += 1) said_.push((await client.check('{wrong}')).sentence);
        return said_"""
    assert person.run(script) == [
        "The code has 6 digits.",
        *("Wrong code. 4 attempts left.", "Wrong code. 3 attempts left.", "Wrong code. 2 attempts left."),
        *("Wrong code. 1 attempt left.", "Too many wrong codes. Start again."),
    ]


def test_a_lost_verdict_is_asked_for_again_with_the_same_key(person, complaints):
    """One lost response is repeated at once; after two, the next press reuses the key. The code is not used up."""
    keys = lose(person.page, "**/verify", 2)
    first, then = person.run("return [await client.check(code).catch(said), await client.check(code)]")
    assert first == ["unreachable", "We cannot reach the service. Check your connection and try again."]
    assert then["verdict"] == "approved"
    assert len(keys) == 3
    assert len(set(keys)) == 1
    complaints.clear()


def test_a_lost_resend_sends_one_message(person, complaints):
    """Whether or not the request arrived, the repeat has the same key, and one more message is sent."""
    keys = lose(person.page, "**/resend", 1)
    wait = "await new Promise((go) => setTimeout(go, client.resendIn * 1000 + 100));"
    sent = person.run(wait + "await client.resend(); return [client.verification.sends.length, client.resendIn > 4]")
    assert (sent, len(person.messages())) == ([2, True], 2)
    assert len(set(keys)) == 1
    complaints.clear()


def test_a_service_that_hangs_is_given_up_and_asked_again_once(person):
    """Without a response within the time-out there are two requests with one key, then an error message."""
    keys = []
    person.page.route("**/verify", lambda route: keys.append(route.request.headers["idempotency-key"]))
    assert person.run("return client.check(code).catch(said)", options="{ timeout: 300 }") == [
        "timeout",
        "The service takes too long. Try again in a moment.",
    ]
    assert len(keys) == 2
    assert len(set(keys)) == 1


def test_a_check_that_is_ended_is_not_repeated(person):
    """A signal ends the request at once, with AbortError, and no second request follows."""
    keys = []
    person.page.route("**/verify", lambda route: keys.append(route.request.headers["idempotency-key"]))
    script = "setTimeout(() => end.abort(), 300); return client.check(code, { signal: end.signal }).catch(said)"
    assert person.run(f"const end = new AbortController(); {script}")[0] == "AbortError"
    assert len(keys) == 1


def test_without_a_network_the_page_says_so_and_goes_on_later(person, complaints):
    """Offline, a check returns an error message; back online the same code is approved."""
    person.page.evaluate("async () => { await import('/demo/pages/otp.js') }")
    person.page.context.set_offline(True)
    # The module is already loaded; only the check fails.
    assert person.run("return client.check(code).catch(said)")[0] == "unreachable"
    person.page.context.set_offline(False)
    assert person.run("return client.check(code)")["verdict"] == "approved"
    complaints.clear()


def test_a_proxys_error_page_is_a_lost_response(person, complaints):
    """HTML instead of JSON is requested again; if it persists, the message says that the service is unreachable."""
    person.page.route("**/verify", lambda route: route.fulfill(status=502, body="<h1>Bad Gateway</h1>"))
    assert person.run("return client.check(code).catch(said)")[0] == "unreachable"
    complaints.clear()


def test_a_refusal_says_when_to_come_back(person, complaints):
    """A resend that is too early returns the seconds to wait, as a number and in words, and so does the client."""
    assert person.run("return client.resendIn <= 5 && client.resendIn > 3")
    code, message, seconds = person.run(
        "return client.resend().catch((problem) => [...said(problem), problem.retryAfter])"
    )
    assert (code, 0 < seconds <= 5) == ("rate_limited", True)
    assert re.fullmatch(r"Too many requests\. Try again in [1-5] s\.", message)
    complaints.clear()


def test_a_token_of_another_verification_is_over(person, complaints):
    """A wrong token is shown as the end of the verification, not in the words of the API."""
    person.login |= {"client_token": "vt_" + 32 * "A"}
    assert person.run("return client.read().catch(said)") == [
        "unauthenticated",
        "This verification is over. Start again.",
    ]
    complaints.clear()


def test_a_wrong_clock_shortens_no_code(page, demo):
    """On a machine whose clock is a day ahead the code is valid as long, and the countdown is as short."""
    page.add_init_script("const now = Date.now.bind(Date); Date.now = () => now() + 24 * 3600 * 1000")
    person = Person(page, demo)
    assert person.run("return [client.status, client.resendIn <= 5]") == ["pending", True]
    assert person.run("await client.read(); return [client.status, client.resendIn < 6]", known=False) == [
        "pending",
        True,
    ]


def test_a_client_survives_a_reload(person):
    """A client created from the JSON of another has the same state and checks with the same token."""
    kept = person.run("return JSON.stringify(client)")
    script = f"const again = new OtpClient(JSON.parse({kept!r})); "
    script += "return [again.status, again.verification.to, JSON.stringify(again), (await again.check(code)).valid]"
    assert person.run(script) == ["pending", person.number, kept, True]


def test_watching_ends_with_the_news(person):
    """`watch` reads until the message is delivered, sends `change` events, and ends then."""
    script = """
        let changes = 0;
        client.addEventListener('change', () => { changes += 1 });
        await client.watch({ after: [0.01, 1, 1, 1, 1, 1] });
        return [client.verification.sends[0].status, changes < 6, client.verification.to]"""
    assert person.run(script) == ["delivered", True, person.number]


def test_the_readmes_examples_work_as_they_stand(person, demo, complaints):
    """Form and script of the README sign a person in, with translated texts; a custom field checks, too."""
    [form], [enter, check, translate] = blocks(README, "html"), blocks(README, "js")
    own = f"""
        const OTP_URL = location.origin;
        globalThis.done = [];
        const signIn = async (id) => {{ done.push(id); }};
        const showStartAgain = () => {{ done.push("ended"); }};
        {enter.replace("./otp.js", "/demo/pages/otp.js")}
        {check}
        Object.assign(globalThis, {{ enterCode, check, OtpClient }});"""
    page = f'<!doctype html><html lang="en"><title>Own</title>{form}<script type="module" src="/own.js"></script>'
    script = own + translate.replace("./otp.js", "/demo/pages/otp.js")
    answer(person.page, {f"{demo.url}/own": page, f"{demo.url}/own.js": script})
    login = {name: person.login[name] for name in ("id", "client_token")}
    person.page.goto(f"{demo.url}/own")
    person.page.wait_for_function("!!globalThis.enterCode")
    run = "([login, typed]) => check(new OtpClient(login, { url: location.origin }), typed)"
    assert person.page.evaluate(run, [login, "12"]) == "The code has 4 to 8 digits."
    assert "422" in complaints.pop()  # the browser's own message
    person.page.evaluate("(login) => enterCode(login)", login)
    field = person.page.get_by_label("Der Code aus der Nachricht")
    expect(field).to_be_focused()
    expect(person.page.get_by_role("status")).to_contain_text("We sent 6 digits to")
    field.fill(person.wrong_code)
    expect(person.page.get_by_role("alert")).to_have_text("Falscher Code. Noch 4 Versuche.")
    field.fill(person.code)
    person.page.wait_for_function("done.length === 1")
    assert person.page.evaluate("done") == [person.login["id"]]
