"""The page of a link in a real Chromium: opened by a scanner first, answered by a person, without a script too."""

import re

import pytest
import requests
from playwright.sync_api import expect

from service.api.pages.link_words import ENGLISH, WORDS
from tests.pages.visitor import barriers, width_of

pytestmark = pytest.mark.slow


def call(demo, method, path, body=None):
    headers = {"Authorization": f"Bearer {demo.key}"}
    response = requests.request(method, demo.url + path, json=body, headers=headers, timeout=30)
    assert response.ok, response.text
    return response.json()


def issue(demo, number, locale="en"):
    """Issue a link; return (the response, its address)."""
    origin = "the till of the shop in Main Street"
    asked = {"to": number, "action": "link", "purpose": "payment", "origin_text": origin, "locale": locale}
    issued = call(demo, "POST", "/v1/verifications", asked)
    sent = requests.get(f"{demo.url}/sandbox/_/messages", params={"to": number}, timeout=30).json()
    return issued, demo.url + re.search("/l/[0-9A-Za-z]+", sent[-1]["body"])[0]


def status_of(demo, issued):
    return call(demo, "GET", f"/v1/verifications/{issued['id']}")["status"]


def test_a_scanner_opens_the_link_and_presses_a_button_first(page, demo):
    """A browser that opens the page, and presses the first or the second button, ends and approves nothing."""
    issued, url = issue(demo, "+16175550171")
    page.goto(url)
    page.get_by_role("button", name="Confirm").click()  # the browser asks for the digits
    page.get_by_role("button", name=re.compile("^It wasn")).click()
    expect(page.get_by_role("heading", name="Was it not you?")).to_be_visible()
    assert status_of(demo, issued) == "pending"
    page.get_by_role("link", name="Back").click()
    page.get_by_label("The two digits").fill(issued["match"])
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Confirmed")).to_be_visible()
    assert status_of(demo, issued) == "approved"


def test_it_works_without_a_script_and_in_two_tabs(browser, demo):
    """Without scripts, the second tab says that the first has confirmed it."""
    issued, url = issue(demo, "+16175550172")
    context = browser.new_context(java_script_enabled=False)
    tabs = [context.new_page(), context.new_page()]
    for tab in tabs:
        tab.goto(url)
    for tab, heading in zip(tabs, ("Confirmed", "Already confirmed"), strict=True):
        tab.get_by_label("The two digits").fill(issued["match"])
        tab.get_by_role("button", name="Confirm").click()
        expect(tab.get_by_role("heading", name=heading, exact=True)).to_be_visible()
    context.close()


def test_it_was_not_me_ends_it(page, demo):
    """Two presses end the verification."""
    issued, url = issue(demo, "+16175550173")
    page.goto(url)
    page.get_by_role("button", name=re.compile("^It wasn")).click()
    page.get_by_role("button", name="End it").click()
    expect(page.get_by_role("heading", name="Thank you")).to_be_visible()
    assert status_of(demo, issued) == "canceled"


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (320, "dark")])
def test_every_page_is_usable_by_everybody(page, demo, scheme, width):
    """Form, fault, second question and end: axe reports nothing, and nothing scrolls sideways."""
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 700})
    issued, url = issue(demo, f"+1617555018{(width == 320) + 2 * (scheme == 'dark')}")

    def is_usable():
        assert barriers(page) == []
        assert width_of(page) <= width

    page.goto(url)
    is_usable()
    page.get_by_role("button", name=re.compile("^It wasn")).click()
    is_usable()
    page.get_by_role("link", name="Back").click()
    page.get_by_label("The two digits").fill("00" if issued["match"] != "00" else "11")
    page.get_by_role("button", name="Confirm").click()
    expect(page.get_by_role("alert")).to_contain_text("You have 4 tries left.")
    is_usable()
    page.get_by_label("The two digits").fill(issued["match"])
    page.get_by_role("button", name="Confirm").click()
    expect(page.get_by_role("heading", name="Confirmed")).to_be_visible()
    is_usable()


def longest_word(words):
    """Return the length of the longest word of headings and buttons, which cannot be broken."""
    return max(map(len, f"{words.question} {words.not_me_question} {words.confirm} {words.not_me}".split()))


def test_long_words_and_arabic_fit_on_a_small_phone(page, demo):
    """With the longest words, and from right to left, form, fault, question and end fit into 320 px."""
    page.set_viewport_size({"width": 320, "height": 700})
    longest = sorted((words for words in WORDS.values() if words is not ENGLISH), key=longest_word)[-3:]
    for place, words in enumerate([WORDS["ar"], *longest]):
        issued, url = issue(demo, f"+1312555019{place}", words.language)
        page.goto(url)
        page.get_by_label(words.label).fill("00" if issued["match"] != "00" else "11")
        page.get_by_role("button", name=words.confirm, exact=True).click()
        expect(page.get_by_role("alert")).to_have_text(words.wrong.format(left=4))
        assert (barriers(page), width_of(page) <= 320) == ([], True)
        page.get_by_role("button", name=words.not_me).click()
        expect(page.get_by_role("heading", name=words.not_me_question)).to_be_visible()
        assert (barriers(page), width_of(page) <= 320) == ([], True)
        page.get_by_role("button", name=words.end_it).click()
        expect(page.get_by_role("heading", name=words.declined.heading)).to_be_visible()
        assert (barriers(page), width_of(page) <= 320) == ([], True)
