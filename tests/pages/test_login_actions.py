"""The sample login page with a password and with a link, in a real Chromium, and the story that the loop tells."""

import re

import pytest
import requests
from playwright.sync_api import expect

from service.core.actions import ACTIONS
from tests.pages.visitor import STEPS, barriers, width_of

pytestmark = pytest.mark.slow
PATIENCE_MS = 30_000
WRONG_PASSWORD = "ABCDE-FGHJK-MNP"


def number(end):
    """Return a number that no other test uses; +1 xxx 555 01xx is reserved for fiction."""
    return f"+1646555{end:04}"


def ask(visitor, action, to):
    """Choose an action, and send it to a number."""
    visitor.page.get_by_role("radio", name=re.compile(action, re.IGNORECASE)).check()
    visitor.page.get_by_label("Your phone number").fill(to)
    visitor.page.get_by_role("button", name=f"Send me a {action}").click()
    expect(visitor.page.get_by_label(re.compile(f"The {action} from|Open the {action} in"))).to_be_focused()


def shown_match(visitor):
    """Return the two digits of the page."""
    field = visitor.page.get_by_label(re.compile("Open the link in the message"))
    expect(field).to_have_value(re.compile("^[0-9]{2}$"))
    return field.input_value()


def secret(visitor, action, to):
    """Return the password, or the token of the link, that was sent last."""
    return list(ACTIONS[action].found_in(visitor.messages(to)[-1]["body"]))[-1]


def answer(visitor, to, **form):
    """Press a button on the page of the link, as another browser."""
    page = f"{visitor.url}/l/{secret(visitor, 'link', to)}"
    assert requests.post(page, data=form, timeout=5).status_code == 200


def comes_back(visitor):
    """Show the page again, after the person was on another one: it reads at once whether the link was answered."""
    visitor.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


def other(match):
    """Return digits that are not these."""
    return "00" if match != "00" else "11"


def all_done(visitor):
    """Check that every step of the loop is done."""
    for step in STEPS:
        expect(visitor.page.locator(f'[data-step="{step}"]')).to_have_attribute(
            "data-state", "done", timeout=PATIENCE_MS
        )


@pytest.mark.parametrize("action", ["password", "link"])
def test_the_page_speaks_of_what_was_chosen(visitor, action):
    """Heading, button and steps follow the choice at once, and no step of it speaks of a code."""
    page = visitor.page
    expect(page.get_by_role("radio", name=re.compile("^Code"))).to_be_checked()
    page.get_by_role("radio", name=re.compile("^Code")).focus()
    for _ in range(["code", "password", "link"].index(action)):
        page.keyboard.press("ArrowDown")
    expect(page.get_by_role("button", name=f"Send me a {action}")).to_be_visible()
    does = {"password": "You type the password.", "link": "You open the link and confirm."}[action]
    expect(page.get_by_role("heading", level=1)).to_contain_text(does)
    assert re.findall(r"\bcodes?\b", page.locator(".loop").inner_text()) == []
    to = number(100 + len(action))
    ask(visitor, action, to)
    visitor.sees("delivered")
    page.get_by_text("Details").click()
    expect(page.locator("#map")).to_contain_text(f"{action.capitalize()} of message 1")
    assert re.findall(r"\bcodes?\b", page.locator(".loop .story").inner_text()) == []


def test_a_password_signs_in(visitor):
    """A wrong password leaves four attempts; the right one, in small letters without hyphens, signs in."""
    ask(visitor, "password", number(110))
    field = visitor.page.get_by_label("The password from the message")
    field.fill(WRONG_PASSWORD)
    field.press("Enter")
    visitor.reads("approved", "Refused: that is not the password.")
    visitor.says("Wrong password. 4 attempts left.")
    field.fill(secret(visitor, "password", number(110)).lower())
    visitor.page.get_by_role("button", name="Sign in", exact=True).click()
    visitor.is_signed_in()
    all_done(visitor)
    [message] = visitor.messages(number(110))
    assert (message["outcome"], message["feedback_posts"]) == ("confirmed", 1)


def test_a_link_is_opened_on_the_phone_and_signs_in_here(visitor):
    """After a scanner the person opens the link in a tab of its own and types the digits; this page signs in."""
    page, to = visitor.page, number(111)
    ask(visitor, "link", to)
    visitor.sees("delivered")
    match = shown_match(visitor)
    visitor.reads("typed", f"Open the link and type {match} there")
    visitor.phone.get_by_role("button", name="Let a scanner open it first").click()
    visitor.reads("typed", "A scanner opened the link: that alone changes nothing.")
    visitor.sees("typed", "")
    assert visitor.messages(to)[0]["outcome"] == "unconfirmed"
    with page.expect_popup() as opened:
        visitor.phone.locator("a.link").click()
    link = opened.value
    expect(link.get_by_text("the login page of the demo")).to_be_visible()
    link.get_by_label("The two digits").fill(match)
    link.get_by_role("button", name="Confirm").click()
    expect(link.get_by_role("heading", name="Confirmed")).to_be_visible()
    link.close()
    page.bring_to_front()
    expect(page.get_by_role("heading", name="You are signed in")).to_be_visible(timeout=PATIENCE_MS)
    all_done(visitor)
    [message] = visitor.messages(to)
    assert (message["outcome"], message["feedback_posts"]) == ("confirmed", 1)


def test_wrong_digits_are_refused_and_twilio_is_told_all_the_same(visitor):
    """The loop says that the message did arrive; the digits survive a reload, and the right ones sign in."""
    to = number(112)
    ask(visitor, "link", to)
    match = shown_match(visitor)
    answer(visitor, to, match=other(match))
    visitor.reads("approved", "Refused: those are not the two digits. Twilio is told all the same")
    visitor.sees("confirmed")
    visitor.page.reload()
    assert shown_match(visitor) == match
    visitor.reads("typed", f"Open the link and type {match} there")
    answer(visitor, to, match=match)
    comes_back(visitor)
    visitor.is_signed_in()
    visitor.reads("approved", "Right; the link cannot be used again.")


def test_it_was_not_me_ends_the_login(visitor):
    """The loop says who ended it, and that Twilio is told; starting again is all there is to do."""
    ask(visitor, "link", number(113))
    answer(visitor, number(113), decline="confirmed")
    visitor.reads("approved", "me” was pressed on the link")
    visitor.reads("approved", "Twilio is told all the same, because the message did arrive.")
    visitor.sees("confirmed")
    visitor.says("This verification was canceled. Start again.")
    assert visitor.page.locator(".login button:visible").all_inner_texts() == ["Start again"]


def test_an_answer_that_comes_too_late_is_refused_and_its_message_confirmed(visitor):
    """A link of 30 seconds is answered after them: the loop says so, and that Twilio is told."""
    visitor.page.get_by_label(re.compile("Let the code live for 30 seconds")).check()
    ask(visitor, "link", number(114))
    match = shown_match(visitor)
    visitor.page.wait_for_timeout(30_500)
    answer(visitor, number(114), match=match)
    visitor.reads("approved", "Refused: it came too late. Twilio is told all the same")
    visitor.sees("confirmed")
    expect(visitor.page.get_by_text("The message is too old now. Start again.")).to_be_visible(timeout=PATIENCE_MS)


def test_the_browser_that_opened_the_link_is_not_signed_in(visitor, browser):
    """A person who answers the link in another browser confirms it, and only the page that started signs in."""
    to, elsewhere = number(115), browser.new_context()
    ask(visitor, "link", to)
    link = elsewhere.new_page()
    link.goto(f"{visitor.url}/l/{secret(visitor, 'link', to)}")
    link.get_by_label("The two digits").fill(shown_match(visitor))
    link.keyboard.press("Enter")
    expect(link.get_by_role("heading", name="Confirmed")).to_be_visible()
    comes_back(visitor)
    visitor.is_signed_in()
    assert visitor.page.request.get(f"{visitor.url}/demo/session").json()["as"] == to
    assert link.request.get(f"{visitor.url}/demo/session").status == 401
    elsewhere.close()


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (360, "dark")])
@pytest.mark.parametrize("action", ["password", "link"])
def test_every_state_of_an_action_is_accessible(visitor, action, width, scheme):
    """Chosen, sent, wrong and signed in: axe reports nothing, and the page never scrolls sideways."""
    page, to = visitor.page, number(120 + 4 * (action == "link") + 2 * (width == 360) + (scheme == "dark"))
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 800})

    def is_usable():
        assert barriers(page) == []
        assert width_of(page) <= width

    page.get_by_role("radio", name=re.compile(action, re.IGNORECASE)).check()
    is_usable()
    ask(visitor, action, to)
    visitor.sees("delivered")
    is_usable()
    if action == "link":
        match = shown_match(visitor)
        answer(visitor, to, match=other(match))
        visitor.sees("approved", "trouble")
        is_usable()
        answer(visitor, to, match=match)
        comes_back(visitor)
    else:
        field = page.get_by_label("The password from the message")
        for typed, state in ((WRONG_PASSWORD, "trouble"), (secret(visitor, action, to), "done")):
            is_usable()
            field.fill(typed)
            field.press("Enter")
            visitor.sees("approved", state)
    visitor.is_signed_in()
    visitor.sees("confirmed")
    is_usable()
