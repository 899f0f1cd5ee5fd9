"""The sample login page with a reply, in a real Chromium: the person answers on the phone, and the page signs in."""

import re

import pytest
from playwright.sync_api import expect

from service.core.actions.words import WORDS
from tests.pages.test_login_actions import all_done
from tests.pages.visitor import barriers, width_of

pytestmark = pytest.mark.slow
PATIENCE_MS = 30_000


def number(end):
    """Return a number that no other test uses; +1 xxx 555 01xx is reserved for fiction."""
    return f"+1718555{end:04}"


def ask(visitor, to):
    """Choose to reply, and wait for the message; return the two words of the message, and the word of the page."""
    page = visitor.page
    page.get_by_role("radio", name=re.compile("^Reply")).check()
    page.get_by_label("Your phone number").fill(to)
    page.get_by_role("button", name="Send me a message").click()
    field = page.get_by_label(re.compile("Reply to the message with its two words and"))
    expect(field).to_have_value(re.compile("^[a-z]{3,7}$"))
    visitor.sees("delivered")
    return re.search(r"with: (\w+ \w+) and", visitor.messages(to)[-1]["body"])[1], field.input_value()


def answer(visitor, body):
    """Answer the message on the phone."""
    visitor.phone.get_by_label("Reply to").fill(body)
    visitor.phone.get_by_role("button", name="Send").click()


def wrong_match(words, match):
    """Return a word of the list that is neither of the message nor of the page."""
    return next(word for word in WORDS if word not in {*words.split(), match})


def is_signed_in(visitor):
    """Wait until the page has learnt of the answer."""
    expect(visitor.page.get_by_role("heading", name="You are signed in")).to_be_visible(timeout=PATIENCE_MS)


def test_a_reply_on_the_phone_signs_in_here(visitor):
    """The page shows its word; the three words, sent on the phone, sign in, and exactly that message is confirmed."""
    words, match = ask(visitor, number(101))
    visitor.says("We sent a message to")
    visitor.reads("typed", f"Send back the two words, and “{match}”")
    answer(visitor, f"{words} {match}")
    is_signed_in(visitor)
    all_done(visitor)
    [message] = visitor.messages(number(101))
    assert (message["outcome"], message["feedback_posts"]) == ("confirmed", 1)
    expect(visitor.phone.locator(".told")).to_have_text("✓ Twilio was told: confirmed")
    assert visitor.page.request.get(f"{visitor.url}/demo/session").json()["as"] == number(101)


def test_the_words_with_another_word_confirm_it_and_sign_nobody_in(visitor):
    """With another word the loop shows a refusal and a confirmed message; then the three words sign in."""
    words, match = ask(visitor, number(102))
    answer(visitor, f"{words} {wrong_match(words, match)}")
    visitor.sees("approved", "trouble")
    visitor.reads("approved", "Refused: those are not the words of the message and of this page.")
    expect(visitor.page.get_by_text("Wrong answer. 4 attempts left.")).to_be_visible(timeout=PATIENCE_MS)
    visitor.sees("confirmed")
    answer(visitor, f"{words} {match}")
    is_signed_in(visitor)
    visitor.reads("approved", "Right; the pair of words cannot be used again.")


def test_the_page_speaks_of_words_and_not_of_a_code(visitor):
    """Heading, button and steps follow the choice at once, and no step speaks of a code."""
    page = visitor.page
    page.get_by_role("radio", name=re.compile("^Reply")).check()
    expect(page.get_by_role("heading", level=1)).to_contain_text("You answer the message.")
    ask(visitor, number(103))
    page.get_by_text("Details").click()
    expect(page.locator("#map")).to_contain_text("Pair of words of message 1")
    assert re.findall(r"\bcodes?\b", page.locator(".loop .story").inner_text()) == []


def test_an_opt_out_in_between_changes_nothing_here(visitor):
    """After STOP the next message is refused, and the page says why; after START the words still sign in."""
    words, match = ask(visitor, number(104))
    answer(visitor, "STOP")
    expect(visitor.phone.get_by_text("You have unsubscribed")).to_be_visible()
    visitor.sees("approved", "")
    answer(visitor, "START")
    expect(visitor.phone.get_by_text("You get messages from this sender again")).to_be_visible()
    answer(visitor, f"{words} {match}")
    is_signed_in(visitor)


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (360, "dark")])
def test_every_state_of_a_reply_is_accessible(visitor, width, scheme):
    """Chosen, sent, wrong and signed in: axe reports nothing, and the page never scrolls sideways."""
    page, to = visitor.page, number(110 + 2 * (width == 360) + (scheme == "dark"))
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 800})

    def is_usable():
        assert barriers(page) == []
        assert width_of(page) <= width

    words, match = ask(visitor, to)
    is_usable()
    answer(visitor, f"{words} {wrong_match(words, match)}")
    visitor.sees("approved", "trouble")
    is_usable()
    answer(visitor, f"{words} {match}")
    is_signed_in(visitor)
    visitor.sees("confirmed")
    is_usable()
