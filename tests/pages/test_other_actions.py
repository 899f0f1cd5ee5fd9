"""`<otp-code-input>` waits for a link, and takes a password, in a real Chromium against the demo's service."""

import re

import pytest
import requests
from playwright.sync_api import expect

from tests.pages.person import START, show_field, told
from tests.pages.visitor import barriers, width_of

pytestmark = pytest.mark.slow
PASSWORD = "[0-9A-Z]{5}-[0-9A-Z]{5}-[0-9A-Z]{3}"


def status(person):
    """Return the line below the field."""
    return person.page.get_by_role("status")


def alert(person):
    """Return the line that says what is wrong."""
    return person.page.get_by_role("alert")


def test_a_link_shows_the_two_digits_large_and_tells_of_the_approval(person):
    """The text box has the two digits, and a name that says what to do; the answer on the phone signs in, once."""
    match = person.issue(action="link")["match"]
    field = show_field(person)
    expect(field).to_be_focused()
    expect(field).to_have_value(match)
    expect(field).to_have_accessible_name(f"Open the link in the message and type {match} there")
    expect(status(person)).to_have_text(f"We sent a message to \u2066{person.number}\u2069.")
    expect(field).to_have_accessible_description(re.compile("^We sent a message"))
    size = "(node) => parseFloat(getComputedStyle(node).fontSize)"
    assert field.evaluate(size) > 2 * person.page.locator("[part=label]").evaluate(size)
    person.page.keyboard.type("1")
    expect(field).to_have_value(match)
    person.answer_link(match=match)
    expect(status(person)).to_have_text("Confirmed.")
    field.press("Enter")
    assert told(person) == ["otp-approved"]
    form = "(field.setAttribute('name', 'code'), [...new FormData(document.forms[0])])"
    assert person.page.evaluate(form) == []  # nothing was typed


def test_the_button_of_the_form_asks_at_once_whether_the_link_was_answered(person):
    """Enter and the form's button read without waiting for the next turn; until the answer nothing happens."""
    person.issue(action="link")
    field = show_field(person)
    person.page.evaluate("field.client.watch = () => {}; field.client = field.client")
    for _ in range(2):
        with person.page.expect_response("**/v1/verifications/*"):
            field.press("Enter")
        expect(status(person)).to_contain_text("We sent a message")  # it is no longer checking
    assert told(person) == []
    person.answer_link(match=person.login["match"])
    person.page.get_by_role("button", name="Sign in").click()
    expect(status(person)).to_have_text("Confirmed.")
    assert told(person) == ["otp-approved"]


def test_a_wrong_answer_elsewhere_is_told(person):
    """A wrong answer is said here with the attempts that are left, each time, until the next message is asked for."""
    match = person.issue(action="link")["match"]
    field = show_field(person)
    wrong = "00" if match != "00" else "11"
    for left in (4, 3):
        person.answer_link(match=wrong)
        expect(alert(person)).to_have_text(f"Wrong answer. {left} attempts left.", timeout=30_000)
    expect(field).to_have_value(match)
    person.page.evaluate("field.client.resend().then(() => (field.value = ''))")
    expect(alert(person)).to_have_text("")
    expect(status(person)).to_have_text("A new message is on its way.")
    person.answer_link(match=match)
    expect(status(person)).to_have_text("Confirmed.", timeout=30_000)
    assert told(person) == ["otp-approved"]


@pytest.mark.parametrize(
    ("end", "sentence"),
    [("canceled", "This verification was canceled. Start again."), ("locked", "Too many wrong tries. Start again.")],
)
def test_the_end_of_a_link_is_told(person, end, sentence):
    """After "It wasn't me", or too many wrong digits, the field says so and takes no resend."""
    match = person.issue(action="link")["match"]
    field = show_field(person)
    if end == "canceled":
        person.answer_link(decline="confirmed")
    else:
        for _ in range(5):
            person.answer_link(match="00" if match != "00" else "11")
    expect(alert(person)).to_have_text(sentence)
    expect(field).to_be_disabled()
    expect(field).not_to_have_attribute("aria-invalid", "true")  # nothing is wrong with the digits
    expect(person.page.get_by_role("button", name="Send a new message", include_hidden=True)).to_be_hidden()
    assert told(person) == ["otp-ended"]


def test_a_new_link_has_the_same_two_digits(person):
    """Resending sends another link; the digits stay, and the answer to the new link signs in."""
    match = person.issue(action="link")["match"]
    field, first = show_field(person), person.link
    resend = person.page.get_by_role("button", name="Send a new message")
    expect(resend).to_be_enabled()
    resend.click()
    expect(status(person)).to_have_text("A new message is on its way.")
    expect(field).to_have_value(match)
    expect(field).to_be_focused()
    assert person.link != first
    person.answer_link(match=match)
    expect(status(person)).to_have_text("Confirmed.")
    assert told(person) == ["otp-approved"]


def test_a_link_that_was_answered_just_before_a_resend_signs_in(person, complaints):
    """The service refuses to send another link then; the field reads why, and signs in instead of giving up."""
    match = person.issue(action="link")["match"]
    show_field(person)
    resend = person.page.get_by_role("button", name="Send a new message")
    expect(resend).to_be_enabled()

    def answer_first(route):
        person.answer_link(match=match)
        route.continue_()

    person.page.route("**/resend", answer_first)
    resend.click()
    expect(status(person)).to_have_text("Confirmed.")
    person.page.wait_for_function("told.length")
    assert told(person) == ["otp-approved"]
    assert "409" in complaints.pop()


def test_a_sign_in_that_fails_after_a_link_waits_for_a_press(person):
    """If the page cannot sign in, the field says so and does not try again by itself; Enter does."""
    person.issue(action="link")
    field = show_field(person, "told.length < 2 ? Promise.reject(new OtpProblem('unreachable')) : null")
    person.answer_link(match=person.login["match"])
    said = "Confirmed. We cannot reach the service. Check your connection and try again."
    expect(alert(person)).to_have_text(said)
    person.page.evaluate("() => field.client.dispatchEvent(new Event('change'))")
    assert told(person) == ["otp-approved"]
    field.press("Enter")
    expect(status(person)).to_have_text("Confirmed.")
    assert told(person) == ["otp-approved"] * 2


def test_a_link_goes_on_after_a_reload(person):
    """A client from the JSON of another still knows the two digits, and sees an answer that came in between."""
    match = person.issue(action="link")["match"]
    kept = person.run("return JSON.stringify(client)")
    person.login = {**person.login, "match": None}
    person.page.reload()
    show_field(person)
    person.page.evaluate(f"async (kept) => {{ {START} field.client = new OtpClient(JSON.parse(kept)) }}", kept)
    expect(person.page.get_by_role("textbox")).to_have_value(match)
    person.answer_link(match=match)
    expect(status(person)).to_have_text("Confirmed.")


@pytest.mark.parametrize(
    ("action", "match", "name"),
    [
        ("reply", "mountain", "Reply to the message with its two words and mountain"),
        ("call", "42", "Call the number in the message, key in its digits and then 42"),
    ],
)
def test_a_reply_and_a_call_are_waited_for(person, action, match, name):
    """They show their match and what to do with it; the answer signs in without a press. The test responds."""
    person.login |= {"action": action, "match": match, "code_length": None}
    answers = ["pending"]
    shown = {key: value for key, value in person.login.items() if key not in ("match", "client_token")}
    person.page.route("**/v1/verifications/*", lambda route: route.fulfill(json=shown | {"status": answers[-1]}))
    person.page.set_viewport_size({"width": 320, "height": 800})
    field = show_field(person)
    expect(field).to_have_accessible_name(name)
    expect(field).to_have_value(match)
    assert field.evaluate("(input) => input.scrollWidth <= input.clientWidth")
    expect(status(person)).to_have_text(f"We sent a message to \u2066{person.number}\u2069.")
    expect(person.page.get_by_role("button", name="Send a new message")).to_be_visible()
    answers.append("approved")
    expect(status(person)).to_have_text("Confirmed.")
    assert told(person) == ["otp-approved"]


def test_a_password_has_a_field_of_its_own_kind(person):
    """No numeric keyboard, no autofill of codes, capitals; it is checked by a press, in any spelling, and signs in."""
    person.issue(action="password")
    field = show_field(person)
    expect(field).to_have_accessible_name("The password from the message")
    for name, value in {"autocomplete": "off", "inputmode": "text", "autocapitalize": "characters"}.items():
        expect(field).to_have_attribute(name, value)
    expect(status(person)).to_have_text(f"We sent a password to \u2066{person.number}\u2069.")
    field.fill("0" * 13)  # it may be digits throughout
    shown = re.search(PASSWORD, person.messages()[-1]["body"])[0]
    field.fill("\u200f" + shown.lower().replace("-", " "))
    assert told(person) == []
    with person.page.expect_request("**/verify") as sent:
        field.press("Enter")
    assert sent.value.post_data_json == {"password": shown.lower().replace("-", " ")}
    expect(status(person)).to_have_text("Confirmed.")
    assert told(person) == ["otp-checked", "otp-approved"]


def test_a_wrong_password_is_called_so(person, complaints):
    """Verdicts, and what is missing, speak of a password; what cannot be one costs no attempt."""
    person.issue(action="password")
    field = show_field(person)
    for typed, sentence in {
        "": "Type the whole password.",
        "123456": "The password has 10 to 24 letters and digits.",
        "ZZZZZ-ZZZZZ-ZZZ": "Wrong password. 4 attempts left.",
    }.items():
        field.fill(typed)
        field.press("Enter")
        expect(alert(person)).to_have_text(sentence)
        expect(field).to_be_focused()
    assert "422" in complaints.pop()
    resend = person.page.get_by_role("button", name="Send a new password")
    expect(resend).to_be_enabled()
    resend.click()
    expect(status(person)).to_have_text("A new password is on its way.")
    expect(field).to_have_value("")


def test_a_required_password_may_be_submitted_once_something_is_typed(person):
    """An empty required field keeps the form from being submitted; a password, complete or not, does not."""
    person.issue(action="password")
    field = show_field(person)
    person.page.evaluate("field.setAttribute('required', '')")
    assert not person.page.evaluate("document.forms[0].checkValidity()")
    field.fill("7KQ2M")
    assert person.page.evaluate("document.forms[0].checkValidity()")


@pytest.mark.parametrize("known", [True, False])
def test_a_client_sends_a_password_as_one(person, known):
    """`check` sends what was typed as the password, even from a page that has only id and token."""
    person.issue(action="password")
    checked = person.run("return client.check(' ' + code.toLowerCase())", known=known)
    assert (checked["valid"], checked["verdict"], checked["sentence"]) == (True, "approved", "")


def test_what_belongs_to_another_action_is_refused_in_words(person, complaints):
    """A check of a link is refused with a sentence, and costs nothing."""
    person.issue(action="link")
    said = "This verification asks for something else. Look at the newest message."
    assert person.run("return client.check('123456').catch(said)") == ["wrong_action", said]
    assert person.run("return (await client.read()).attempts_remaining") == 5
    assert "409" in complaints.pop()


@pytest.mark.parametrize("action", ["link", "password"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_barrier_while_waiting_and_at_the_end(person, demo, action, scheme):
    """Axe reports nothing in either direction, before and after the end."""
    person.page.emulate_media(color_scheme=scheme)
    person.issue(action=action)
    show_field(person)
    person.page.evaluate("""() => {
        Object.assign(document.documentElement, { lang: "en", style: "color-scheme: light dark; background: Canvas" });
        const main = document.createElement("main");
        main.innerHTML = "<h1>Sign in</h1>";
        document.body.append(main);
        main.append(document.forms[0]);
    }""")
    for direction in ("ltr", "rtl"):
        person.page.evaluate("(to) => { document.documentElement.dir = to }", direction)
        assert barriers(person.page) == []
    url, headers = f"{demo.url}/v1/verifications/{person.login['id']}", {"Authorization": f"Bearer {demo.key}"}
    assert requests.post(f"{url}/cancel", headers=headers, timeout=30).ok
    person.page.evaluate("field.client.read()")
    expect(alert(person)).to_have_text("This verification was canceled. Start again.")
    assert barriers(person.page) == []


@pytest.mark.parametrize(("width", "size"), [(640, "100%"), (360, "200%"), (320, "100%")])
@pytest.mark.parametrize("action", ["link", "password"])
def test_at_twice_the_size_digits_and_password_are_visible(person, action, width, size):
    """At 200 % zoom, with text twice as large, and at 320 pixels, nothing is cut off."""
    person.page.set_viewport_size({"width": width, "height": 800})
    person.issue(action=action, password_length=24 if action == "password" else None)
    field = show_field(person)
    person.page.evaluate("(size) => { document.documentElement.style.fontSize = size }", size)
    if action == "password":
        field.fill("MMMMM-MMMMM-MMMMM-MMMMM-MMMM")
    assert width_of(person.page) <= width
    assert field.evaluate("(input) => input.scrollWidth <= input.clientWidth")


def test_on_a_page_from_right_to_left_the_sentence_keeps_its_order(person):
    """On an Arabic page an untranslated English name of the field stands on the right, and begins at its left."""
    person.issue(action="link")
    show_field(person)
    person.page.evaluate("document.documentElement.dir = 'rtl'")
    places = person.page.locator("[part=label]").evaluate("""(label) => {
        const range = document.createRange();
        range.setStart(label.firstChild, 0);
        range.setEnd(label.firstChild, 1);
        const text = document.createRange();
        text.selectNodeContents(label);
        return [range.getBoundingClientRect().left, text.getBoundingClientRect().right,
                label.getBoundingClientRect().right, text.getBoundingClientRect().left];
    }""")
    first, end, edge, start = places
    assert first == pytest.approx(start, abs=1)
    assert end == pytest.approx(edge, abs=1)
