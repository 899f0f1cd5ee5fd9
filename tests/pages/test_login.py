"""The sample login page in a real Chromium: signing in, mistakes, waiting and faults, with the loop that it shows."""

import re
import time

import pytest
import requests
from playwright.sync_api import expect

from tests.pages.visitor import FIRST_FAULT, STEPS, Visitor, barriers, width_of

US = "+14155550123"
pytestmark = pytest.mark.slow


def number(end):
    """Return a number that no other test uses; +1 xxx 555 01xx is reserved for fiction."""
    return f"+1212555{end:04}"


def refused(complaints, status):
    """Check that the browser's console contains only refusals with this status, and clear them."""
    assert complaints
    assert all(f"status of {status}" in complaint for complaint in complaints), complaints
    complaints.clear()


def held_back(page, pattern):
    """Hold the requests to an address; return the list of held requests."""
    held = []

    def hold(route):
        held.append(route)

    page.route(pattern, hold)
    return held


def test_a_person_signs_in_and_every_step_lights_up(visitor):
    """A person enters number and code and is signed in; all steps are done, and Twilio got one report, for this SID."""
    visitor.sign_in_form(US)
    for step in STEPS[:5]:
        visitor.sees(step)
    visitor.code_field.fill(visitor.codes(US)[0])
    visitor.is_signed_in()
    for step in STEPS:
        visitor.sees(step)
    [message] = visitor.messages(US)
    assert message["outcome"] == "confirmed"
    visitor.page.get_by_text("Details").click()
    expect(visitor.page.locator("#map")).to_contain_text(message["sid"][:10])
    expect(visitor.phone.get_by_text("Twilio was told: confirmed")).to_be_visible()


def test_the_redis_record_is_shown_and_contains_no_code(visitor):
    """The record is shown as stored: a digest maps to a send and its SID; it contains neither code nor number."""
    visitor.sign_in_form(number(100))
    visitor.sees("delivered")
    visitor.page.get_by_text("Details").click()
    shown = visitor.page.locator("#redis").inner_text()
    [code], [message] = visitor.codes(number(100)), visitor.messages(number(100))
    assert message["sid"] in shown
    assert re.search(r"[0-9a-f]{12}… → SID SM", shown)
    assert code not in shown
    assert number(100).removeprefix("+") not in shown


@pytest.mark.parametrize(
    ("end", "text"),
    [(101, "Your Acme code is {0}{1}."), (116, "{0} {1}"), (117, "Route 66: your code is {0}{1}. Bye.")],
)
def test_a_whole_message_may_be_pasted(visitor, end, text):
    """After pasting the message, or a code with a blank, the code is found and checked at once."""
    visitor.sign_in_form(number(end))
    [code] = visitor.codes(number(end))
    visitor.code_field.fill(text.format(code[:3], code[3:]))
    visitor.is_signed_in()
    visitor.sees("typed")
    expect(visitor.page.locator('[data-step="typed"]')).to_contain_text("1 attempt counted")


def test_a_code_may_be_typed_in_any_digits(visitor):
    """Arabic digits, with the invisible marks that copying adds, are accepted as the code and checked at once."""
    visitor.sign_in_form(number(146))
    [code] = visitor.codes(number(146))
    visitor.code_field.fill("\u200f" + "".join(chr(0x660 + int(digit)) for digit in code) + "\u200e")
    visitor.is_signed_in()


def test_the_fields_have_autofill_attributes(visitor):
    """The number is a telephone field, the code a one-time-code field with a numeric keyboard."""
    visitor.sign_in_form(number(102))
    for name, value in {"autocomplete": "one-time-code", "inputmode": "numeric"}.items():
        expect(visitor.code_field).to_have_attribute(name, value)
    for name, value in {"autocomplete": "tel", "inputmode": "tel", "type": "tel"}.items():
        expect(visitor.page.locator("#number")).to_have_attribute(name, value)


def test_the_keyboard_is_enough(visitor):
    """A person signs in without a pointer: Enter submits, and the focus moves to the next field or message."""
    visitor.page.get_by_label("Your phone number").focus()
    visitor.page.keyboard.type(number(103))
    visitor.page.keyboard.press("Enter")
    expect(visitor.code_field).to_be_focused()
    visitor.page.keyboard.type(visitor.codes(number(103))[0])
    visitor.is_signed_in()
    expect(visitor.page.locator("#signed-in")).to_be_focused()


def test_a_wrong_code_leaves_the_attempts_that_it_says(visitor):
    """A wrong code is refused with the number of attempts left, at its field; the right one still works."""
    visitor.sign_in_form(number(104))
    visitor.code_field.fill(visitor.wrong_code(number(104)))
    visitor.says("Wrong code. 4 attempts left.")
    expect(visitor.code_field).to_be_focused()
    expect(visitor.code_field).to_have_attribute("aria-invalid", "true")
    visitor.sees("approved", "trouble")
    visitor.code_field.fill(visitor.codes(number(104))[0])
    visitor.is_signed_in()


def test_after_the_last_attempt_only_starting_again_is_left(visitor):
    """Five wrong codes disable the field for good; “Start again” becomes the main button and has the focus."""
    visitor.sign_in_form(number(105))
    *wrong, last = visitor.wrong_codes(number(105))
    for code, left in zip(
        wrong, ("4 attempts left.", "3 attempts left.", "2 attempts left.", "1 attempt left."), strict=True
    ):
        visitor.code_field.fill(code)
        visitor.says(left)
    visitor.code_field.fill(last)
    visitor.says("Too many wrong tries. Start again.")
    visitor.may_only_start_again()
    visitor.reads("approved", "the attempts are used up")
    expect(visitor.start_again).to_be_focused()
    assert [message["outcome"] for message in visitor.messages(number(105))] == ["unconfirmed"]
    visitor.start_again.dispatch_event("click", {"detail": 2})  # the second click of a double click on “Sign in”
    expect(visitor.code_field).to_be_visible()
    visitor.start_again.click()
    expect(visitor.page.get_by_label("Your phone number")).to_be_focused()
    visitor.sign_in_form(number(147))
    expect(visitor.page.get_by_role("button", name="Sign in", exact=True)).to_be_visible()


@pytest.mark.parametrize(("end", "status", "sentence"), [
    (148, "canceled", "This verification was canceled. Start again."),
    (149, "max_attempts_reached", "Too many wrong tries. Start again."),
])  # fmt: skip
def test_an_end_that_came_from_elsewhere_shows(visitor, demo, end, status, sentence):
    """If the back end cancels the verification or another browser locks it, the page offers a new start."""
    with visitor.page.expect_response("**/demo/login") as started:
        visitor.sign_in_form(number(end))
    url, headers = f"{demo.url}/v1/verifications/{started.value.json()['id']}", {"Authorization": f"Bearer {demo.key}"}
    if status == "canceled":
        requests.post(f"{url}/cancel", headers=headers, timeout=30)
    else:
        for _ in range(5):
            requests.post(f"{url}/verify", json={"code": visitor.wrong_code(number(end))}, headers=headers, timeout=30)
    visitor.says(sentence)
    visitor.may_only_start_again()


def test_starting_again_leaves_nothing_of_before(visitor):
    """After “Start again” the loop is empty, the number is kept, and the phone shows the number of the next message."""
    visitor.sign_in_form(number(150))
    visitor.sees("delivered")
    visitor.start_again.click()
    visitor.sees("stored", "")
    expect(visitor.page.get_by_label("Your phone number")).to_have_value(number(150))
    visitor.sign_in_form(number(151))
    visitor.sees("delivered")
    expect(visitor.phone.locator("#number")).to_have_value(number(151))
    visitor.code_field.fill(visitor.codes(number(151))[0])
    visitor.is_signed_in()


def test_an_uncertain_send_is_certain_once_news_arrives(visitor):
    """“We cannot tell yet” disappears when the status callback reports that the message was delivered."""
    visitor.plan(FIRST_FAULT)
    visitor.sign_in_form(number(152))
    visitor.says("We cannot tell yet whether the message went out.")
    visitor.says("We sent a code to")
    expect(visitor.page.get_by_text("We cannot tell yet")).to_be_hidden()


def test_a_resend_waits_for_its_time_and_the_first_code_still_works(visitor):
    """The button counts down; of two messages, only the one whose code was submitted is confirmed."""
    visitor.sign_in_form(number(106))
    again = visitor.resend
    expect(again).to_be_disabled()
    expect(again).to_have_text(re.compile(r"in [1-5] s"))
    expect(again).to_be_enabled(timeout=20_000)
    again.click()
    visitor.says("A new code is on its way.")
    expect(visitor.page.locator("#map li")).to_have_count(2)
    visitor.code_field.fill(visitor.codes(number(106))[0])
    visitor.is_signed_in()
    visitor.sees("confirmed")
    assert [message["outcome"] for message in visitor.messages(number(106))] == ["confirmed", "unconfirmed"]


def test_a_code_that_comes_too_late_is_refused_and_its_message_confirmed(visitor):
    """After 30 s an expired code is refused; Twilio still gets the confirmation of its message."""
    visitor.page.get_by_label(re.compile("30 seconds only")).check()
    visitor.sign_in_form(number(107))
    time.sleep(30.5)
    visitor.says("The code is too old now. Start again.")
    expect(visitor.resend).to_be_hidden()
    expect(visitor.page.get_by_role("button", name="Sign in", exact=True)).to_be_hidden()
    visitor.code_field.fill(visitor.codes(number(107))[0])
    visitor.says("That code is right, but it came too late. Start again.")
    visitor.may_only_start_again()
    visitor.sees("confirmed")
    visitor.sees("approved", "trouble")
    assert [message["outcome"] for message in visitor.messages(number(107))] == ["confirmed"]


def test_a_lost_response_does_not_prevent_signing_in(visitor):
    """If Twilio's response is lost, the page says so; the callback brings the SID, and the message is confirmed."""
    visitor.plan(FIRST_FAULT)
    visitor.sign_in_form(number(108))
    visitor.says("We cannot tell yet whether the message went out.")
    visitor.code_field.fill(visitor.codes(number(108))[0])
    visitor.is_signed_in()
    visitor.sees("sid")
    visitor.sees("confirmed")
    [message] = visitor.messages(number(108))
    assert message["outcome"] == "confirmed"


def test_a_message_that_does_not_arrive_is_noticed(visitor):
    """An undelivered message is shown in the loop, and the page offers alternatives."""
    visitor.plan("Undelivered")
    visitor.sign_in_form(number(109))
    visitor.sees("delivered", "trouble")
    visitor.says("The message did not reach the phone.")


def test_feedback_that_fails_is_posted_again(visitor):
    """Twilio refuses the report three times: signing in does not wait, and the fourth report is accepted."""
    visitor.plan("Report refused")
    visitor.sign_in_form(number(110))
    visitor.code_field.fill(visitor.codes(number(110))[0])
    visitor.is_signed_in()
    visitor.sees("confirmed", "wait")
    expect(visitor.page.locator('[data-step="confirmed"]')).to_have_attribute("data-state", "done", timeout=25_000)
    visitor.reads("confirmed", "Twilio refused the report (500, 3 times).")
    visitor.reads("confirmed", "tried again until Twilio took it.")


@pytest.mark.parametrize(
    ("typed", "sentence", "status"),
    [
        ("0415 555 0123", "Start with a plus sign and the country code", None),
        ("+1 415 555", "This number is too short for its country.", 422),
        ("+7 912 345 67 89", "Messages are not sent to the country of this number.", 422),
    ],
)
def test_a_number_that_cannot_be_sent_to_is_refused_in_plain_words(visitor, complaints, typed, sentence, status):
    """Each invalid number gets a message at its field that says what to do."""
    visitor.ask(typed)
    visitor.says(sentence)
    expect(visitor.page.get_by_label("Your phone number")).to_be_focused()
    if status:
        refused(complaints, status)


def test_too_many_requests_say_when_to_come_back(visitor, complaints):
    """An immediate second code for the same number is refused; the seconds to wait count down, and then it goes."""
    visitor.sign_in_form(number(111))
    visitor.start_again.click()
    visitor.ask(number(111))
    visitor.says(re.compile(r"You asked for a message a moment ago\. Try again in [3-5] s\."))
    expect(visitor.page.get_by_label("Your phone number")).to_be_focused()
    refused(complaints, 429)
    visitor.says("Try again in 2 s.")
    expect(visitor.page.locator("#number-error")).to_have_text("")
    expect(visitor.page.get_by_label("Your phone number")).not_to_have_attribute("aria-invalid", "true")
    visitor.page.get_by_role("button", name="Send me a code").click()
    expect(visitor.code_field).to_be_focused()


def test_an_opted_out_person_sees_why(visitor, complaints):
    """Twilio's error 21610 is shown as a sentence that says what the person can do."""
    visitor.plan("Opted out")
    visitor.ask(number(112))
    visitor.says("This number has opted out.")
    refused(complaints, 422)


@pytest.mark.parametrize(("end", "arrives"), [(113, False), (118, True)])
def test_a_request_whose_answer_is_lost_is_repeated_and_sends_one_message(visitor, complaints, end, arrives):
    """Whether or not the request arrived, the page shows the failure and keeps the input; a repeat sends one code."""

    def lose(route):
        if arrives:
            route.fetch()
        route.abort()

    visitor.page.route("**/demo/login", lose)
    visitor.ask(number(end))
    visitor.says("We cannot reach the service.")
    complaints.clear()
    visitor.page.unroute("**/demo/login")
    visitor.page.get_by_role("button", name="Send me a code").click()
    expect(visitor.code_field).to_be_focused()
    [code] = visitor.codes(number(end))
    visitor.code_field.fill(code)
    visitor.is_signed_in()


def test_a_lost_verdict_is_asked_for_again_and_does_not_become_used(visitor, complaints):
    """If the response to the check is lost, the page repeats it with the same key and the person is signed in."""
    asked = []

    def lose_the_first(route):
        asked.append(route.request.headers["idempotency-key"])
        if len(asked) == 1:
            route.fetch()
            route.abort()
        else:
            route.continue_()

    visitor.sign_in_form(number(114))
    visitor.page.route("**/verify", lose_the_first)
    visitor.code_field.fill(visitor.codes(number(114))[0])
    visitor.is_signed_in()
    assert asked[0] == asked[1]
    complaints.clear()


def test_a_lost_sign_in_is_asked_for_again(visitor, complaints):
    """If the back end's response is lost after the approval, pressing again signs in without another check."""
    visitor.sign_in_form(number(119))
    visitor.page.route("**/demo/session", lambda route: (route.fetch(), route.abort()))
    visitor.code_field.fill(visitor.codes(number(119))[0])
    visitor.says("We cannot reach the service.")
    complaints.clear()
    visitor.page.unroute("**/demo/session")
    visitor.page.get_by_role("button", name="Sign in", exact=True).click()
    visitor.is_signed_in()


def test_two_tabs_sign_in_beside_each_other(visitor):
    """A second tab of the same browser with its own login does not affect the first."""
    visitor.sign_in_form(number(140))
    other = Visitor(visitor.page.context.new_page(), visitor.url).open()
    other.sign_in_form(number(141))
    visitor.code_field.fill(visitor.codes(number(140))[0])
    visitor.is_signed_in()
    other.code_field.fill(other.codes(number(141))[0])
    other.is_signed_in()


def test_a_reloaded_page_continues_where_it_was(visitor):
    """After a reload the code field and the loop are shown again, and the code still works."""
    visitor.sign_in_form(number(142))
    visitor.page.reload()
    expect(visitor.code_field).to_be_focused()
    visitor.sees("delivered")
    expect(visitor.phone.locator("#number")).to_have_value(number(142))
    visitor.code_field.fill(visitor.codes(number(142))[0])
    visitor.is_signed_in()
    visitor.page.reload()
    expect(visitor.page.get_by_label("Your phone number")).to_be_visible()


@pytest.mark.parametrize("kept", ["{", "null", "{}", "7"])
def test_what_cannot_be_read_after_a_reload_is_dropped(visitor, kept):
    """If the browser's storage holds no verification, the page starts with the number, and forgets what it held."""
    visitor.page.evaluate("(kept) => sessionStorage.setItem('login', kept)", kept)
    visitor.page.reload()
    expect(visitor.page.get_by_label("Your phone number")).to_be_visible()
    assert visitor.page.evaluate("sessionStorage.getItem('login')") is None


def test_starting_again_ends_a_running_check(visitor):
    """“Start again” during a check ends it: a later response changes nothing."""
    visitor.sign_in_form(number(143))
    held = held_back(visitor.page, "**/verify")
    visitor.code_field.fill(visitor.codes(number(143))[0])
    visitor.page.wait_for_function("document.querySelector('#code').busy")
    visitor.start_again.click()
    expect(visitor.page.get_by_label("Your phone number")).to_be_focused()
    held[0].continue_()
    visitor.page.wait_for_timeout(300)
    expect(visitor.page.get_by_label("Your phone number")).to_be_visible()
    visitor.page.unroute("**/verify")


def test_one_step_at_a_time(visitor):
    """During a check nothing else starts: no second message is sent."""
    visitor.sign_in_form(number(144))
    expect(visitor.resend).to_be_enabled(timeout=20_000)
    held = held_back(visitor.page, "**/verify")
    visitor.code_field.fill(visitor.codes(number(144))[0])
    visitor.resend.click()
    held[0].continue_()
    visitor.is_signed_in()
    assert len(visitor.messages(number(144))) == 1


def test_a_second_press_during_a_check_is_no_second_attempt(visitor):
    """During a check, pressing “Sign in” or Enter again, or typing, sends nothing; one attempt is counted."""
    visitor.sign_in_form(number(153))
    held = held_back(visitor.page, "**/verify")
    visitor.code_field.fill(visitor.wrong_code(number(153)))
    visitor.says("Checking …")
    visitor.page.get_by_role("button", name="Sign in", exact=True).dblclick()
    visitor.code_field.press("Enter")
    visitor.page.keyboard.type("9")
    assert len(held) == 1
    held[0].continue_()
    visitor.says("Wrong code. 4 attempts left.")


def test_offline_a_person_keeps_what_was_typed(visitor, complaints):
    """Without a network the page shows an error at the field and keeps the code; once online, “Sign in” continues."""
    visitor.sign_in_form(number(154))
    visitor.page.context.set_offline(True)
    visitor.code_field.fill(visitor.codes(number(154))[0])
    visitor.says("We cannot reach the service. Check your connection and try again.")
    visitor.page.context.set_offline(False)
    visitor.page.get_by_role("button", name="Sign in", exact=True).click()
    visitor.is_signed_in()
    complaints.clear()


def test_the_loop_shows_only_the_visitors_own_verification(visitor, demo, complaints):
    """After a refused request another person's verification does not change the loop."""
    visitor.ask("+1 2")
    visitor.says("This number is too short")
    complaints.clear()
    headers = {"Authorization": f"Bearer {demo.key}"}
    requests.post(f"{demo.url}/v1/verifications", json={"to": number(145)}, headers=headers, timeout=30)
    visitor.page.wait_for_timeout(500)
    visitor.sees("stored", "")


def test_numbers_are_understood_as_people_write_them(visitor):
    """Blanks, hyphens of every kind, slashes, brackets and the zero in them are ignored; digits of any script work."""
    visitor.sign_in_form("\u202a\uff0b49 (0)171\u2011392/\u0660\u0660 .02\u202c")
    visitor.says("We sent a code to \u2066+491713920002\u2069.")
    assert len(visitor.messages("+491713920002")) == 1


def test_the_back_end_signs_in_only_after_an_approval(visitor):
    """Without an approval, or from another browser, the session is refused; an invalid claim is a 422."""
    with visitor.page.expect_response("**/demo/login") as started:
        visitor.sign_in_form(number(115))
    claim, session = {"id": started.value.json()["id"]}, f"{visitor.url}/demo/session"
    own = {"Origin": visitor.url, "Content-Type": "application/json"}
    assert visitor.page.request.post(session, data=claim, headers=own).status == 403
    visitor.code_field.fill(visitor.codes(number(115))[0])
    visitor.is_signed_in()
    assert visitor.page.request.post(session, data=claim, headers=own).status == 200, "a repeat within a minute"
    for cookies in ({}, {f"demo_login_{claim['id']}": "x"}):
        assert requests.post(session, json=claim, cookies=cookies, headers=own, timeout=30).status_code == 403
    assert requests.post(session, data="[]", headers=own, timeout=30).status_code == 422


def test_the_back_end_refuses_an_invalid_request(demo):
    """A body without a number is a 422, not a server error."""
    own = {"Origin": demo.url, "Content-Type": "application/json"}
    for body in ("", "[]", '{"to": 7}', "{}"):
        assert requests.post(f"{demo.url}/demo/login", data=body, headers=own, timeout=30).status_code == 422


def test_the_policy_lets_nothing_in_from_elsewhere(demo):
    """Both pages have a policy without inline scripts, and no other site may frame them."""
    for path in ("/", "/sandbox/phone"):
        policy = requests.get(demo.url + path, timeout=30).headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'")
        assert "unsafe" not in policy
        assert "frame-ancestors 'self'" in policy


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (360, "dark")])
def test_every_state_is_accessible(visitor, complaints, scheme, width):
    """Empty, refused, sent, wrong code, locked, signed in: axe reports nothing, and the page never scrolls sideways."""
    page, end = visitor.page, 120 + width % 7 + (10 if scheme == "dark" else 0)
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 800})

    held = held_back(page, "**/demo/login")

    def is_usable():
        assert barriers(page) == []
        assert width_of(page) <= width

    is_usable()
    visitor.ask("+1 2")
    visitor.says("Sending …")
    is_usable()
    held[0].continue_()
    visitor.says("too short")
    complaints.clear()
    is_usable()
    page.unroute("**/demo/login")
    visitor.sign_in_form(number(end))
    visitor.sees("delivered")
    is_usable()
    visitor.code_field.fill(visitor.wrong_code(number(end)))
    visitor.says("Wrong code.")
    page.get_by_text("Details").click()
    is_usable()
    for code in visitor.wrong_codes(number(end))[1:]:  # until it is locked
        with page.expect_response("**/verify"):
            visitor.code_field.fill(code)
        expect(visitor.code_field).not_to_have_js_property("readOnly", value=True)
    visitor.may_only_start_again()
    is_usable()
    visitor.start_again.click()
    visitor.sign_in_form(number(end + 50))
    visitor.code_field.fill(visitor.codes(number(end + 50))[0])
    visitor.is_signed_in()
    visitor.sees("confirmed")
    is_usable()
