"""A visitor of the sample login page: types, waits and reads like a person, and reads the state of the simulator."""

import re
from dataclasses import dataclass

import requests
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

STEPS = ("asked", "stored", "sent", "sid", "delivered", "typed", "approved", "confirmed", "learned")
FIRST_FAULT = "Lose Twilio's answer"


@dataclass(frozen=True)
class Visitor:
    """One visitor on one page of one demo."""

    page: Page
    url: str

    def open(self, path="/"):
        """Open a page of the demo."""
        self.page.goto(self.url + path)
        return self

    @property
    def phone(self):
        """The virtual phone in its frame."""
        return self.page.frame_locator("iframe")

    def plan(self, fault):
        """Press the button of a fault on the phone, and check that it is planned."""
        if fault != FIRST_FAULT:
            self.phone.get_by_text("Fifteen more faults").click()
        self.phone.get_by_role("button", name=re.compile(f"^{fault}")).click()
        expect(self.phone.locator("#planned li")).to_have_count(1)

    def ask(self, number):
        """Type a number and request a code."""
        self.page.get_by_label("Your phone number").fill(number)
        self.page.get_by_role("button", name="Send me a code").click()

    def sign_in_form(self, number):
        """Request a code and wait for its field."""
        self.ask(number)
        expect(self.code_field).to_be_focused()

    @property
    def code_field(self):
        """The field for the code."""
        return self.page.get_by_label("The code from the message")

    @property
    def resend(self):
        """The button for the next code, with its countdown."""
        return self.page.get_by_role("button", name="Send a new code", include_hidden=True)

    @property
    def start_again(self):
        """The button that abandons this verification."""
        return self.page.get_by_role("button", name="Start again")

    def may_only_start_again(self):
        """Check that the verification has ended: the field is disabled, and one main button is left."""
        expect(self.code_field).to_be_disabled()
        expect(self.resend).to_be_hidden()
        assert self.page.locator(".login button.main:visible").all_inner_texts() == ["Start again"]

    def says(self, text):
        """Check that the page shows a sentence."""
        expect(self.page.get_by_text(text)).to_be_visible()

    def is_signed_in(self):
        """Check that the visitor is signed in."""
        expect(self.page.get_by_role("heading", name="You are signed in")).to_be_visible()

    def sees(self, step, state="done"):
        """Check the state of a step of the loop."""
        expect(self.page.locator(f'[data-step="{step}"]')).to_have_attribute("data-state", state)

    def reads(self, step, text):
        """Check that a step of the loop contains a text."""
        expect(self.page.locator(f'[data-step="{step}"]')).to_contain_text(text)

    def messages(self, number):
        """Return the messages in the simulator to a number, oldest first."""
        return requests.get(f"{self.url}/sandbox/_/messages", params={"to": number}, timeout=30).json()

    def codes(self, number):
        """Return the codes that were sent to a number, oldest first."""
        return [re.search(r"\b\d{6}\b", message["body"])[0] for message in self.messages(number)]

    def wrong_code(self, number):
        """Return a code that is in no message to this number."""
        return self.wrong_codes(number)[0]

    def wrong_codes(self, number):
        """Return five codes that are in no message to this number: the field checks none of them twice by itself."""
        return [code for code in (str(digit) * 6 for digit in range(10)) if code not in self.codes(number)][:5]


def barriers(page):
    """Return the barriers by axe's rules for WCAG 2.2 AA and its best practices."""
    found = Axe().run(page).response["violations"]
    return [f"{rule['id']}: {[node['html'] for node in rule['nodes']]}" for rule in found]


def width_of(page):
    """Return the layout width of the page, in pixels."""
    return page.evaluate("document.documentElement.scrollWidth")
