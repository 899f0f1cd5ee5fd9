"""The sample login page with a call, in a real Chromium: the person calls and keys in digits, and the page signs in."""

import re

import pytest
from playwright.sync_api import expect

from tests.pages.test_login_actions import all_done
from tests.pages.visitor import barriers, width_of

pytestmark = pytest.mark.slow
PATIENCE_MS = 30_000


def number(end):
    """Return a number that no other test uses; +1 xxx 555 01xx is reserved for fiction."""
    return f"+1929555{end:04}"


def ask(visitor, to):
    """Choose to call, and wait for the message; return the six digits of the message, and the two of the page."""
    page = visitor.page
    page.get_by_role("radio", name=re.compile("^Call")).check()
    page.get_by_label("Your phone number").fill(to)
    page.get_by_role("button", name="Send me a message").click()
    field = page.get_by_label(re.compile("Call the number in the message"))
    expect(field).to_have_value(re.compile("^[0-9]{2}$"))
    visitor.sees("delivered")
    return visitor.phone.locator(".code").last.inner_text(), field.input_value()


def call(visitor):
    """Call the number in the message, and wait until the voice asks for the digits."""
    visitor.phone.get_by_role("button", name=re.compile(r"^Call \+1500")).last.click()
    expect(visitor.phone.locator("#state")).to_have_text("Key in 8 digits.")


def key_in(visitor, digits):
    """Press the keys of the phone."""
    for digit in digits:
        visitor.phone.get_by_role("button", name=digit, exact=True).click()


def is_signed_in(visitor):
    """Wait until the page has learnt of the digits."""
    expect(visitor.page.get_by_role("heading", name="You are signed in")).to_be_visible(timeout=PATIENCE_MS)


def test_a_call_from_the_phone_signs_in_here(visitor):
    """The page shows two digits; keyed in after those of the message, they sign in, and the message is confirmed."""
    digits, match = ask(visitor, number(101))
    visitor.reads("typed", f"Call the number, key in the PIN and then {match}")
    call(visitor)
    key_in(visitor, digits + match)
    expect(visitor.phone.locator("#said li").last).to_have_text("Thank you. You are confirmed. Goodbye.")
    is_signed_in(visitor)
    all_done(visitor)
    [message] = visitor.messages(number(101))
    assert (message["outcome"], message["feedback_posts"]) == ("confirmed", 1)


def test_wrong_digits_are_asked_for_again(visitor):
    """The voice says that they are not right, the loop shows the refusal, and the right ones of this call sign in."""
    digits, match = ask(visitor, number(102))
    call(visitor)
    key_in(visitor, digits + ("00" if match != "00" else "11"))
    visitor.sees("approved", "trouble")
    visitor.reads("approved", "Refused: those are not the digits of the message and of this page.")
    expect(visitor.phone.locator("#state")).to_have_text("Key in 8 digits.")
    expect(visitor.phone.locator("#said li").last).to_contain_text("This is not right.")
    key_in(visitor, digits + match)
    is_signed_in(visitor)


def test_a_call_to_the_phone_tells_the_code(visitor):
    """Asked for by call, the phone rings; after a key the voice says the code, which signs in; nothing is reported."""
    page, phone = visitor.page, visitor.phone
    page.get_by_label("Your phone number").fill(number(103))
    page.get_by_label("Send it by").select_option("voice")
    page.get_by_role("button", name="Call me with a code").click()
    phone.get_by_role("button", name="Answer", exact=True).click()
    expect(phone.locator("#state")).to_have_text("Press a key.")
    key_in(visitor, "5")
    said = phone.locator("#said li").last
    expect(said).to_have_text(re.compile(r"(\d ){5}\d"))
    assert barriers(page) == []
    visitor.code_field.fill(re.sub(r"\D", "", said.inner_text()))
    is_signed_in(visitor)
    visitor.reads("confirmed", "Twilio takes no reports of calls.")


def test_who_gets_no_message_may_be_called_instead(visitor, complaints):
    """Beside the field, "Call me instead" calls with the next code once the limit allows it; its code signs in."""
    page, phone = visitor.page, visitor.phone
    page.get_by_label("Your phone number").fill(number(105))
    page.get_by_role("button", name="Send me a code").click()
    visitor.sees("delivered")
    button = page.get_by_role("button", name="Call me instead")
    button.click()
    visitor.says("You asked for a message a moment ago. Try again in")
    complaints.clear()  # of the browser, about the 429
    expect(visitor.resend).to_be_enabled(timeout=PATIENCE_MS)
    button.click()
    expect(phone.get_by_role("button", name="Answer", exact=True)).to_be_visible()
    visitor.reads("delivered", "On its way.")
    expect(page.locator('[data-step="delivered"]')).not_to_contain_text("Next:")  # no other channel was asked for
    phone.get_by_role("button", name="Answer", exact=True).click()
    expect(phone.locator("#state")).to_have_text("Press a key.")
    visitor.reads("sent", "This is message 2 of 2, by a call.")
    assert barriers(page) == []
    key_in(visitor, "5")
    said = phone.locator("#said li").last
    expect(said).to_have_text(re.compile(r"(\d ){5}\d"))
    visitor.code_field.fill(re.sub(r"\D", "", said.inner_text()))
    is_signed_in(visitor)


@pytest.mark.parametrize("action", ["Password", "Link", "Reply"])
def test_only_a_code_can_be_told_by_a_call(visitor, action):
    """A call says nothing but codes, so with another action the page does not offer one."""
    visitor.page.get_by_role("radio", name=re.compile(f"^{action}")).check()
    visitor.page.get_by_label("Your phone number").fill(number(120 + len(action)))
    visitor.page.get_by_role("button", name="Send me a").click()
    expect(visitor.page.get_by_role("button", name="Start again")).to_be_visible()
    expect(visitor.page.get_by_role("button", name="Call me instead")).to_be_hidden()


def test_the_next_channel_follows(visitor):
    """From a list, a text message follows the one that WhatsApp did not deliver, and its code signs in."""
    page, phone = visitor.page, visitor.phone
    visitor.plan("Not on WhatsApp")
    page.get_by_label("Your phone number").fill(number(104))
    page.get_by_label("Send it by").select_option("whatsapp,sms")
    page.get_by_role("button", name="Send me a code").click()
    visitor.reads("sent", "This is message 2 of 2, by SMS.")
    expect(phone.get_by_role("button", name="WhatsApp", exact=True)).to_be_visible()
    visitor.says("A new code is on its way.")
    visitor.code_field.fill(phone.locator(".code").inner_text())
    is_signed_in(visitor)
    visitor.sees("learned")


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (360, "dark")])
def test_every_state_of_a_call_is_accessible(visitor, width, scheme):
    """Chosen, sent, in the call and signed in: axe reports nothing, and the page never scrolls sideways."""
    page, to = visitor.page, number(110 + 2 * (width == 360) + (scheme == "dark"))
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 800})

    def is_usable():
        assert barriers(page) == []
        assert width_of(page) <= width

    digits, match = ask(visitor, to)
    is_usable()
    call(visitor)
    is_usable()
    key_in(visitor, digits + match)
    is_signed_in(visitor)
    visitor.sees("confirmed")
    is_usable()
