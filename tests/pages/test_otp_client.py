"""`OtpClient` of `clients/web` in a real Chromium, against the demo's service: lost responses, time-outs, words.

Each test calls it as a page would, from an empty page of the service's origin.
"""

import re
import shutil
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests
from playwright.sync_api import expect

from tests.documents import ROOT, blocks
from tests.pages.conftest import running_demo
from tests.pages.person import FORM, START, Person, answer, show_field, told

pytestmark = pytest.mark.slow
README = ROOT / "clients" / "web" / "README.md"


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
    script = "return client.check('\\u200fYour code is ' + code)"
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
        "Type the whole code.",
        *("Wrong code. 4 attempts left.", "Wrong code. 3 attempts left.", "Wrong code. 2 attempts left."),
        *("Wrong code. 1 attempt left.", "Too many wrong tries. Start again."),
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


@pytest.mark.parametrize("end", ["approved", "canceled"])
def test_watching_a_link_ends_when_the_link_has_been_answered(person, demo, end):
    """`watch` goes on reading after the link's message was delivered, and ends with the verification."""
    person.issue(action="link")
    reads, answered = [], []

    def read(route):
        response = route.fetch()
        delivered = response.json()["sends"][0]["status"] == "delivered"
        reads.append(response.json()["status"])
        route.fulfill(response=response)
        if delivered and not answered:
            answered.append(end)
            if end == "approved":
                person.answer_link(match=person.login["match"])
            else:
                url, key = f"{demo.url}/v1/verifications/{person.login['id']}", f"Bearer {demo.key}"
                assert requests.post(f"{url}/cancel", headers={"Authorization": key}, timeout=30).ok

    person.page.route(f"**/v1/verifications/{person.login['id']}", read)
    script = "await client.watch({ after: Array(40).fill(0.25) }); return client.status"
    start = f"{START} const client = new OtpClient(login);"
    assert person.page.evaluate(f"async (login) => {{ {start} {script} }}", person.login) == end
    assert (reads[-2:], len(reads) < 40) == (["pending", end], True)


@pytest.mark.parametrize("waits", ["undefined", "Promise.resolve()"])
def test_an_accepted_code_finishes_the_field(person, waits):
    """Once the page is ready, Enter, the button and typing do nothing; the field is read-only and says why."""
    field = show_field(person, waits)
    field.fill(person.code)
    expect(person.page.get_by_role("status")).to_have_text("Confirmed.")
    expect(field).to_have_js_property("readOnly", value=True)
    for _ in range(2):
        field.press("Enter")
        person.page.get_by_role("button", name="Sign in").click()
    person.page.keyboard.type("9")
    field.evaluate("(i, code) => { i.value = code; i.dispatchEvent(new Event('input')) }", person.wrong_code)
    assert told(person) == ["otp-checked", "otp-approved"]
    person.page.evaluate("field.client = null")
    expect(field).to_have_js_property("readOnly", value=False)


@pytest.mark.parametrize("lost", ["new OtpProblem('unreachable')", "new Error()", "undefined"])
def test_a_sign_in_that_fails_is_repeated_without_a_check(person, lost):
    """The field says "Confirmed" and what failed; it takes no typing, and a press repeats the sign-in."""
    field = show_field(person, f"told.length < 3 ? Promise.reject({lost}) : null")
    field.fill(person.code)
    how = "We cannot reach the service." if "unreachable" in lost else "We cannot do this right now."
    expect(person.page.get_by_role("alert")).to_contain_text(f"Confirmed. {how}")
    person.page.keyboard.type("9")
    expect(field).to_have_value(person.code)
    field.press("Enter")
    expect(person.page.get_by_role("alert")).to_have_text("")
    expect(person.page.get_by_role("status")).to_have_text("Confirmed.")
    field.press("Enter")
    assert told(person) == ["otp-checked", "otp-approved", "otp-approved"]


def test_a_page_that_leaves_during_the_sign_in_starts_with_an_open_field(person, demo):
    """If the page takes the client away in `waitUntil`, the field takes the next verification's code."""
    field = show_field(person, "(async () => { field.client = null })()")
    field.fill(person.code)
    expect(field).to_have_value("")
    person.issue()
    person.page.evaluate(f"async (login) => {{ {START} field.client = new OtpClient(login) }}", person.login)
    field.fill(person.wrong_code)
    expect(person.page.get_by_role("alert")).to_have_text("Wrong code. 4 attempts left.")


def test_a_clock_that_is_set_right_closes_nothing(person):
    """If the clock of the machine jumps 11 minutes ahead, a fresh code stays fresh, and the field open."""
    field = show_field(person)
    person.page.evaluate("() => { const now = Date.now(); Date.now = () => now + 660_000; }")
    person.page.evaluate("field.client.dispatchEvent(new Event('change'))")
    expect(field).to_be_enabled()
    assert told(person) == []
    field.fill(person.code)
    expect(person.page.get_by_role("status")).to_have_text("Confirmed.")


def test_a_wrong_code_that_is_filled_in_again_costs_one_attempt(person):
    """The field checks a wrong code once by itself, however often it is filled in; Enter checks it again."""
    wrong, field = person.wrong_code, show_field(person)
    field.fill(wrong)
    alert = person.page.get_by_role("alert")
    expect(alert).to_have_text("Wrong code. 4 attempts left.")
    for text in ("", wrong, wrong):
        field.fill(text)
    expect(alert).to_have_text("Wrong code. 4 attempts left.")
    assert told(person) == ["otp-checked"]
    field.press("Enter")
    expect(alert).to_have_text("Wrong code. 3 attempts left.")


@pytest.mark.parametrize("during", ["**/verify", "**/resend"])
def test_a_code_that_arrives_during_a_request_is_checked_after_it(person, during):
    """A code that WebOTP delivers while the field checks or resends is not lost, also after Enter in an empty field.

    No protocol delivers a message to a headless Chromium, so here its API is replaced.
    """
    person.page.evaluate("""() => { navigator.credentials.get = ({ signal }) => new Promise((give, refuse) => {
        globalThis.deliver ??= (code) => give({ code });
        signal.addEventListener("abort", () => refuse(signal.reason));
    }) }""")
    field, held = show_field(person), []
    field.press("Enter")
    expect(person.page.get_by_role("alert")).to_have_text("Type the whole code.")
    resend = person.page.get_by_role("button", name="Send a new code")
    if "resend" in during:
        expect(resend).to_be_enabled(timeout=10_000)
    person.page.route(during, lambda route: held.append(route))  # noqa: PLW0108 - a marked callable
    with person.page.expect_request(during):
        resend.click() if "resend" in during else field.fill(person.wrong_code)
    person.page.evaluate("(code) => deliver(code)", person.code)
    expect(field).to_have_js_property("readOnly", value=True)
    person.page.unroute(during)
    held[0].continue_()
    expect(person.page.get_by_role("status")).to_have_text("Confirmed.")


def test_a_replayed_resend_shows_how_things_are_now(person, demo, complaints):
    """If a resend is answered again from its Idempotency-Key, the client has read what has happened since."""
    headers = {"Authorization": f"Bearer {demo.key}"}
    url = f"{demo.url}/v1/verifications/{person.login['id']}"

    def lose_the_first(route):
        route.fetch()
        requests.post(f"{url}/cancel", headers=headers, timeout=30)
        person.page.unroute("**/resend")
        route.abort()

    person.page.route("**/resend", lose_the_first)
    wait = "await new Promise((go) => setTimeout(go, client.resendIn * 1000 + 100));"
    assert person.run(wait + "await client.resend(); return client.status") == "canceled"
    complaints.clear()


def test_a_limit_at_the_field_counts_down_and_goes(person, complaints):
    """A refused check says how long to wait, counts it down, announces it once, and is gone afterwards."""
    problem = {"status": 429, "code": "rate_limited", "retry_after": 3}
    person.page.route("**/verify", lambda route: route.fulfill(status=429, json=problem))
    field = show_field(person)
    field.fill(person.wrong_code)
    alert = person.page.locator("[part=error]")
    expect(alert).to_have_text("Too many requests. Try again in 3 s.")
    expect(alert).to_have_text("Too many requests. Try again in 2 s.")
    expect(alert).to_have_attribute("aria-live", "off")
    expect(alert).to_have_text("")
    expect(field).not_to_have_attribute("aria-invalid", "true")
    complaints.clear()


@pytest.mark.parametrize("found", ["by reading", "by a right code", "by a wrong code", "by a resend"])
def test_a_canceled_verification_is_called_canceled(person, demo, complaints, found):
    """However the page finds out, the sentence is the same."""
    url = f"{demo.url}/v1/verifications/{person.login['id']}/cancel"
    resend = show_field(person).page.get_by_role("button", name="Send a new code")
    if found == "by a resend":
        expect(resend).to_be_enabled(timeout=10_000)
    requests.post(url, headers={"Authorization": f"Bearer {demo.key}"}, timeout=30)
    field = person.page.get_by_role("textbox")
    match found:
        case "by reading":
            person.page.evaluate("field.client.read()")
        case "by a resend":
            resend.click()
        case _:
            field.fill(person.wrong_code if "wrong" in found else person.code)
    expect(person.page.get_by_role("alert")).to_have_text("This verification was canceled. Start again.")
    expect(field).to_be_disabled()
    assert told(person)[-1] == "otp-ended"
    complaints.clear()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_countdown_to_the_next_code_is_readable(person, scheme):
    """The disabled button carries information: its contrast is at least 4.5 to 1, and each line starts at the edge."""
    person.page.emulate_media(color_scheme=scheme)
    person.page.set_viewport_size({"width": 120, "height": 800})
    person.page.evaluate("document.documentElement.style = 'color-scheme: light dark'")
    show_field(person)
    button = person.page.get_by_role("button", name="Send a new code (in")
    expect(button).to_be_disabled()
    contrast = button.evaluate("""(button) => {
        const paint = document.createElement("canvas").getContext("2d");
        const ground = document.createElement("i");
        ground.style.color = "Canvas";
        document.body.append(ground);
        const style = getComputedStyle(button);
        const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
          .map((c) => (c > 0.04045 ? ((c + 0.055) / 1.055) ** 2.4 : c / 12.92))
          .reduce((sum, c, at) => sum + c * [0.2126, 0.7152, 0.0722][at], 0);
        const layers = [[getComputedStyle(ground).color, 1], [style.color, style.opacity]];
        const [behind, front] = layers.map(([color, part]) => {
          paint.globalAlpha = part;
          paint.fillStyle = color;
          paint.fillRect(0, 0, 1, 1);
          return light(paint.getImageData(0, 0, 1, 1).data) + 0.05;
        });
        return Math.max(behind / front, front / behind);
    }""")
    assert contrast >= 4.5
    assert button.evaluate("""(button) => {
        const range = document.createRange();
        range.selectNodeContents(button);
        const starts = [...range.getClientRects()].map(({ left }) => left);
        return [starts.length > 1, new Set(starts).size];
    }""") == [True, 1]


def test_a_page_on_another_origin_may_be_tried_with_the_demo(page, tmp_path, complaints):
    """With `--cors-origin` a page of that origin checks a code; the sample site's own requests stay closed to it."""
    (tmp_path / "own.html").write_text(f'<!doctype html><html lang="en"><title>Own</title><body>{FORM}</body></html>')
    shutil.copy(ROOT / "clients" / "web" / "otp.js", tmp_path)
    serve = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), serve) as server:
        threading.Thread(target=server.serve_forever).start()
        origin = f"http://127.0.0.1:{server.server_port}"
        try:
            with running_demo("--cors-origin", origin) as demo:
                person = Person(page, demo)
                page.goto(f"{origin}/own.html")
                script = """async ([login, url, code]) => {
                    const { OtpClient } = await import("/otp.js");
                    const { valid } = await new OtpClient(login, { url }).check(code);
                    const body = { method: "POST", body: "{}", headers: { "Content-Type": "application/json" } };
                    return [valid, (await fetch(`${url}/demo/session`, body)).status];
                }"""
                assert page.evaluate(script, [person.login, demo.url, person.code]) == [True, 403]
                assert "403" in complaints.pop()
        finally:
            server.shutdown()


def test_the_readmes_examples_work_as_they_stand(person, demo):
    """Form and script of the README sign in by each action, with translated texts; a custom field checks, too."""
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
    assert person.page.evaluate(run, [login, "12"]) == "Type the whole code."
    person.page.evaluate("(login) => enterCode(login)", login)
    field = person.page.get_by_label("Der Code aus der Nachricht")
    expect(field).to_be_focused()
    expect(person.page.get_by_role("status")).to_contain_text("We sent a code to")
    field.fill(person.wrong_code)
    expect(person.page.get_by_role("alert")).to_have_text("Falscher Code. Noch 4 Versuche.")
    field.fill(person.code)
    person.page.wait_for_function("done.length === 1")
    password = person.issue(action="password")
    person.page.evaluate("(given) => enterCode(given)", {name: password[name] for name in ("id", "client_token")})
    field = person.page.get_by_label("Das Passwort aus der Nachricht")
    field.fill(person.code)
    field.press("Enter")
    person.page.wait_for_function("done.length === 2")
    link = person.issue(action="link")
    given = {name: link[name] for name in ("id", "client_token", "action", "match")}
    person.page.evaluate("(given) => enterCode(given)", given)
    sentence = f"Öffnen Sie den Link in der Nachricht, und geben Sie dort {link['match']} ein"
    expect(person.page.get_by_label(sentence)).to_have_value(link["match"])
    person.answer_link(match=link["match"])
    person.page.wait_for_function("done.length === 3")
    assert person.page.evaluate("done") == [login["id"], password["id"], link["id"]]
